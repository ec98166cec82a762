"""What the README says was found can be traced: each figure stands in a page that is made from rows or evaluations."""

import re
from pathlib import Path

import pytest

from mini_ism.results import load_rows
from mini_ism.results.costs import first_tokens

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


def test_the_stake_of_the_first_notebook_stands_in_the_rows() -> None:
    text = (ROOT / "notebooks" / "00_start_here.ipynb").read_text(encoding="utf-8")
    (stake,) = re.findall(r"eleven times as long\*\* for its first word: (\d+) ms instead of (\d+)", text)
    eighth = {mask: 1000 * seconds[7] for mask, seconds in first_tokens(load_rows("costs")).items()}
    assert [round(eighth["prefix"]), round(eighth["ism"])] == list(map(int, stake))
    assert round(eighth["prefix"] / eighth["ism"]) == round(eighth["prefix"] / eighth["causal"]) == 11
