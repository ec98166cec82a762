"""What the notebooks of the course share, written in one place: their order, the link to Colab and the set-up cell.

:func:`frame` puts both into a notebook; ``python -m tools.run_notebooks`` does so before it runs one,
and a test holds every committed notebook to it.
"""

from __future__ import annotations

import sys
from functools import cache

from nbformat import NotebookNode

from tools.jupyter_env import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

COURSE = (
    "00_start_here",
    "01_masks",
    "02_gpt_from_scratch",
    "03_dialogues",
    "04_training",
    "05_attention_maps",
    "06_cache_reuse",
    "07_quality_and_latency",
    "07b_appendix",
    "08_theory",
    "09_real_models",
)

LINK = "[▶ Open in Colab]"  # words, not the usual picture: a notebook opened offline would show a broken one

SETUP = """\
import importlib.util
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("mini_ism") is None:
    here = Path().resolve()
    checkout = next((str(up) for up in (here, *here.parents) if (up / "mini_ism" / "__init__.py").is_file()), "")
    wheel = max(map(str, here.glob("mini_ism-*.whl")), default="")
    source = checkout or wheel or "git+{repository}"
    sys.path += [checkout] * bool(checkout)
    try:
        importlib.import_module("mini_ism.widgets")  # a checkout will do where all that it needs is installed
    except ImportError:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", *["--editable"] * bool(checkout), source]
        done = subprocess.run(pip, capture_output=True, text=True)
        if done.returncode:
            told = [line.strip() for line in done.stderr.splitlines() if "fatal:" in line or "ERROR:" in line]
            why = told[0] if told else "pip gives no reason"
            remedy = "Connect to a network, or run `pip install .` in a checkout, then restart the kernel."
            raise SystemExit(f"mini-ism cannot be installed from {{source}} ({{why}}). {{remedy}}") from None"""


@cache
def repository() -> str:
    """The repository's URL, from ``pyproject.toml``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    url: str = project["urls"]["Repository"]
    return url


def colab(name: str) -> str:
    """Where Colab opens the notebook of that name (without ``.ipynb``)."""
    owner_and_name = repository().removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{owner_and_name}/blob/main/notebooks/{name}.ipynb"


def setup() -> str:
    """The source of the set-up cell.

    It does nothing if the package is installed. Otherwise it installs the checkout that contains the notebook, a wheel
    next to the notebook, or the repository from its address, whichever comes first; a failure of pip is one line.
    """
    return SETUP.format(repository=repository())


def frame(notebook: NotebookNode, name: str) -> None:
    """Write the link to Colab under the title, and the set-up cell, folded, in place.

    Raises:
        ValueError: the notebook does not begin with a title, or its first code cell is not a set-up cell.
    """
    first = notebook.cells[0]
    if first.cell_type != "markdown" or not first.source.startswith("# "):
        raise ValueError(f"{name} does not begin with a markdown cell that holds its title")
    title, *rest = first.source.splitlines()
    while rest and (not rest[0].strip() or rest[0].startswith(LINK)):
        rest.pop(0)
    first.source = "\n".join([title, "", f"{LINK}({colab(name)})", "", *rest])
    code = next(cell for cell in notebook.cells if cell.cell_type == "code")
    if "find_spec" not in code.source:
        raise ValueError(f"the first code cell of {name} is not the set-up cell (see tools/course.py)")
    code.source = setup()
    code.metadata["jupyter"] = {"source_hidden": True}  # a reader begins with the subject
