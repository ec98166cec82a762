"""Cells of a notebook whose extra is missing say so, one by one."""

from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell

from mini_ism.hf.notebook import MISSING, skip_cells_without


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def test_cells_are_skipped_from_the_next_on(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    skip_cells_without("transformers", "no_such_package")
    for cell in ("import no_such_package", "x = 1 /\n  0  # not even Python", "%%nomagic\n"):
        assert shell.run_cell(cell).success
    assert capsys.readouterr().out == f"{MISSING}\n" * 3


def test_with_all_packages_cells_run(shell: InteractiveShell) -> None:
    skip_cells_without("transformers")
    assert shell.run_cell("x = 41 + 1").success
    assert shell.user_ns["x"] == 42


def test_outside_a_notebook_nothing_happens() -> None:
    skip_cells_without("no_such_package")
