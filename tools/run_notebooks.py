"""Execute the notebooks and write their outputs back, the same bytes every time.

``python -m tools.run_notebooks [--fresh] [NOTEBOOK ...]`` (all of ``notebooks/`` by default) runs
each notebook top to bottom in a clean kernel, in a copy of the notebooks' directory, then strips
what a second run or another machine would change: widget state, timings, random cell ids, versions.

A cell tagged ``varies`` (it prints a measured time, say) keeps its committed outputs while its
source is unchanged, so that a run without edits changes no byte; ``--fresh`` renews those too. A cell
tagged ``hf`` also keeps them where that extra is not installed: there it only prints how to get it.
A notebook that fails is named, and the others still run.
"""

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from tools.course import COURSE, frame
from tools.jupyter_env import ROOT, fresh_environment

__all__ = [
    "NOTEBOOKS",
    "VARIES",
    "WIDGET_VIEW",
    "execute",
    "is_tagged",
    "lacks_extra",
    "normalise",
    "read",
    "write",
]

NOTEBOOKS = ROOT / "notebooks"
VARIES = "varies"
EXTRA, NEEDED = "hf", ("transformers", "peft")
"""The tag of cells that need the extra of that name, and what the extra brings."""
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
KEPT_CELL_METADATA = ("tags", "jupyter")
TIMEOUT_SECONDS = 2400  # SmolLM2 trains for a quarter of an hour or more in 09


def read(path: Path) -> NotebookNode:
    """Read a notebook as nbformat 4."""
    notebook: NotebookNode = nbformat.read(path, as_version=4)
    return notebook


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook in one step (never half a file), with the same line ends everywhere."""
    text: str = nbformat.writes(notebook)
    part = path.with_suffix(".ipynb.tmp")
    part.write_bytes((text.rstrip("\n") + "\n").encode("utf-8"))
    part.replace(path)


def is_tagged(cell: NotebookNode, tag: str) -> bool:
    """Whether a cell carries a tag."""
    return tag in cell.metadata.get("tags", [])


def lacks_extra(cell: NotebookNode) -> bool:
    """Whether a cell needs an extra that is not installed here."""
    return is_tagged(cell, EXTRA) and any(find_spec(package) is None for package in NEEDED)


def execute(path: Path, scratch: Path, *, offline: Path | None = None) -> NotebookNode:
    """Run a notebook in a clean kernel and return it with the outputs of that run.

    Args:
        path: the notebook; the file itself is not changed.
        scratch: an empty directory for a copy of the notebook's directory and for Jupyter's files.
        offline: see :func:`tools.jupyter_env.fresh_environment`.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised; the message shows which and why.
    """
    (scratch / "jupyter").mkdir(parents=True)
    env = fresh_environment(scratch / "jupyter", offline=offline)
    work = scratch / "notebooks"
    shutil.copytree(path.parent, work, ignore=shutil.ignore_patterns(".ipynb_checkpoints", "runs"))
    notebook = read(path)
    specs = KernelSpecManager(kernel_dirs=[str(scratch / "jupyter/data/kernels")])
    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs),
        timeout=TIMEOUT_SECONDS,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(work)}},
    )
    client.execute(env=env, cleanup_kc=True)
    return notebook


def normalise(notebook: NotebookNode, committed: NotebookNode | None = None) -> None:
    """Strip, in place, what changes between two runs of the same notebook.

    Args:
        notebook: just executed.
        committed: the same notebook as it was; unedited ``varies`` cells keep its outputs, and so do cells that need
            an extra which is not installed.
    """
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook.metadata = NotebookNode(kernelspec=kernel, language_info={"name": "python"})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        cell.id = _cell_id(cell, seen)
        cell.metadata = NotebookNode(
            {name: cell.metadata[name] for name in KEPT_CELL_METADATA if cell.metadata.get(name)}
        )
        for output in cell.get("outputs", []):
            # Its model lives in the kernel that made it: reopened, it would show an error message
            # instead of the picture next to it in the bundle.
            output.get("data", {}).pop(WIDGET_VIEW, None)
    if committed is not None:
        _keep_varying_outputs(notebook, committed)


def _cell_id(cell: NotebookNode, seen: dict[str, int]) -> str:
    """A name from the source alone; a cell repeated word for word gets a number."""
    name = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
    seen[name] = seen.get(name, 0) + 1
    return name if seen[name] == 1 else f"{name}-{seen[name]}"


def _keep_varying_outputs(notebook: NotebookNode, committed: NotebookNode) -> None:
    old = {cell.id: cell for cell in committed.cells if cell.get("outputs")}
    for cell in notebook.cells:
        if (is_tagged(cell, VARIES) or lacks_extra(cell)) and cell.id in old:
            cell.outputs = old[cell.id].outputs
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = cell.execution_count


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.run_notebooks", description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--fresh", action="store_true", help="renew the cells tagged 'varies' too")
    arguments = parser.parse_args(argv)
    paths = arguments.notebooks or sorted(NOTEBOOKS.glob("*.ipynb"))
    if not paths:
        parser.error(f"no notebook in {os.path.relpath(NOTEBOOKS)}")
    failed = False
    for path in paths:
        before = path.read_bytes()
        if path.stem in COURSE:
            framed = read(path)
            frame(framed, path.stem)
            write(framed, path)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            try:
                notebook = execute(path.resolve(), Path(scratch))
            except CellExecutionError as error:  # the others still run
                print(f"{path.name}: failed\n{error}", file=sys.stderr)
                failed = True
                continue
        normalise(notebook, None if arguments.fresh else read(path))
        write(notebook, path)
        print(f"{path.name}: {'unchanged' if path.read_bytes() == before else 'rewritten'}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
