"""Every measured number in a sentence is held by rows: move any last digit, and something here fails."""

from pathlib import Path

import pytest

from mini_ism.results import results_dir
from research.lessons import SENTENCES, untold
from research.mutation import moved, mutants, survivors
from research.statements import Evidence

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_no_number_that_no_row_holds(notebook: Path) -> None:
    assert list(untold(notebook, Evidence(results_dir()))) == []


def test_sentences_are_of_notebooks_that_are_there() -> None:
    assert SENTENCES.keys() <= {path.stem for path in NOTEBOOKS}


def test_a_number_is_moved_by_its_last_digit() -> None:
    assert [moved(number) for number in ("11.05", "100%", "99.9%", "1,234.5")] == ["11.06", "101%", "99.0%", "1,234.6"]
    assert list(mutants("`0.5` of 7.5, and 95% intervals")) == [("7.5", "`0.5` of 7.6, and 95% intervals")]


@pytest.mark.slow
def test_every_moved_number_is_noticed() -> None:
    count, escaped = survivors(ROOT)
    assert count > 40
    assert escaped == []
