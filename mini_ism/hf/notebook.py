"""Notebook cells where an extra is missing: each says in one line how to get it, instead of failing."""

from __future__ import annotations

from importlib.util import find_spec

MISSING = 'This cell needs more: pip install "mini-ism[hf]", then restart the kernel.'


def skip_cells_without(*packages: str) -> None:
    """From the next cell on, print :data:`MISSING` in place of each cell, if any of the packages is not installed.

    Outside a notebook this does nothing.
    """
    from IPython import get_ipython

    shell = get_ipython()
    if shell is not None and any(find_spec(package) is None for package in packages):
        shell.input_transformers_cleanup.append(_replaced)


def _replaced(lines: list[str]) -> list[str]:
    """A cell's source lines, replaced by one that says what is missing."""
    return [f"print({MISSING!r})\n"]
