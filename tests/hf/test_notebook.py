"""Cells of a notebook whose extra is missing say so, one by one."""

from types import SimpleNamespace
from unittest.mock import patch

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from mini_ism.hf.notebook import MISSING, skip_cells_without


def transformed(cell: str, *packages: str) -> str:
    """What IPython runs in place of a cell after packages were asked for."""
    manager = TransformerManager()
    shell = SimpleNamespace(input_transformers_cleanup=manager.cleanup_transforms)
    with patch("IPython.get_ipython", lambda: shell):
        skip_cells_without(*packages)
    return str(manager.transform_cell(cell))


@pytest.mark.parametrize("cell", ["import no_such_package", "x = 1 /\n  0  # not even Python", "%%nomagic\n"])
def test_cells_are_replaced_where_a_package_is_missing(cell: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(transformed(cell, "transformers", "no_such_package"))
    assert capsys.readouterr().out == f"{MISSING}\n"


def test_with_all_packages_cells_run_as_they_are() -> None:
    assert transformed("x = 41 + 1\n", "transformers") == "x = 41 + 1\n"


def test_outside_a_notebook_nothing_happens() -> None:
    skip_cells_without("no_such_package")
