"""What the README says was found can be traced: each figure stands in a page that is made from rows or evaluations."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SECTION = "## What was found"


def figures(text: str) -> list[str]:
    """Numbers with a decimal point or a percent sign, and numbers of times."""
    return re.findall(r"\d[\d,]*\.\d+%?|\d+%", text)


def found() -> str:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return readme.split(SECTION)[1].split("\nThe shipped models")[0]  # theirs are bounds, which other tests hold


def test_there_is_something_to_trace() -> None:
    assert len(figures(found())) >= 10


@pytest.mark.parametrize("figure", sorted(set(figures(found()))))
def test_a_figure_stands_in_the_page_of_results_or_in_the_model_card(figure: str) -> None:
    pages = (ROOT / "RESULTS.md", ROOT / "data" / "checkpoints" / "README.md", ROOT / "benchmarks" / "RESULTS.md")
    printed = {each for page in pages for each in figures(page.read_text(encoding="utf-8"))}
    assert figure in printed
