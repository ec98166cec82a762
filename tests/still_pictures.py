"""What a notebook that nobody has run yet must show: the pictures in its committed outputs."""

import re

from nbformat import NotebookNode

STRIPPED = re.compile(r"<(?:svg|style|script|iframe|object)\b|\bvar\(")
"""What pages that do not trust a notebook take out of its HTML; the words inside an SVG stay and litter the page."""
IMAGE = re.compile(r'<img alt="[^"]+" src="data:image/(?:png|svg\+xml);base64,')
"""A picture that is all there, with words for those who cannot see it."""


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    """The outputs of all cells, in order."""
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def pictures(output: NotebookNode) -> int:
    """How many pictures an output should show; HTML comes before a PNG where there are both."""
    data = output.get("data", {})
    return data["text/html"].count("<img") if "text/html" in data else int("image/png" in data)
