"""The page on scale: short, reachable, and with the figures that its command counts."""

from pathlib import Path

import pytest

from tools.scale_page import PAGE, amount, main, page

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_page_has_the_figures_that_its_command_counts(capsys: pytest.CaptureFixture[str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text.replace(" GB |", " MB |")) == text
    assert main(["--check"]) == 0
    assert capsys.readouterr().out == "up to date\n"


def test_the_page_is_short_and_linked() -> None:
    words = PAGE.read_text(encoding="utf-8").replace("|", " ").split()
    assert len(words) <= 700
    assert "(docs/scale.md)" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_amounts_have_three_figures() -> None:
    assert [amount(n, "B") for n in (5, 999, 1000, 1234567, 8.1e16)] == ["5 B", "999 B", "1 kB", "1.23 MB", "81 PB"]
    assert amount(313_000) == "313 k"
