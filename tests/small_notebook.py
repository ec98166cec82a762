"""A notebook with one of each thing the harness must handle: stream, clock, widget, picture."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PROSE = "A slider drives a bar; the line below the bar says in words what is shown."

WIDGET = """\
import base64, io
import ipywidgets as widgets
from PIL import Image

slider, view = widgets.IntSlider(value=3, max=9, description="turn"), widgets.HTML()
def draw(change=None):
    bar = f'<rect width="{20 * slider.value + 10}" height="30" fill="#0072b2"/>'
    style = "color: var(--jp-ui-font-color1, #333)"
    status = f'<div role="status" style="{style}">value {slider.value} of 9</div>'
    view.value = f'<svg width="220" height="40">{bar}</svg>{status}'
slider.observe(draw, "value")
draw()
box = widgets.VBox([slider, view])
_ = [box.add_class(name) for name in ("mi-widget", "mi-mask")]"""

DISPLAY = """\
from IPython.display import display

file = io.BytesIO()
Image.new("RGB", (70, 30), "#0072b2").save(file, "PNG")
model = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
png = base64.b64encode(file.getvalue()).decode()
bundle = {"text/plain": "a bar, 3 of 9 long", "image/png": png}
display({**bundle, "application/vnd.jupyter.widget-view+json": model}, raw=True)"""


def write_small_notebook(path: Path, *extra_cells: str) -> None:
    """Write the notebook to ``path``, with further code cells at its end."""
    cells = [
        new_markdown_cell(PROSE),
        new_code_cell('print("first")\nprint("second")'),
        new_code_cell("import time\n\nprint(time.time_ns())", metadata={"tags": ["varies"]}),
        new_code_cell(WIDGET),
        new_code_cell(DISPLAY),
        *map(new_code_cell, extra_cells),
    ]
    # Without a kernel's name JupyterLab would ask for one.
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
