"""The harness itself, on a small notebook: it sees errors and outside requests, and it waits."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.harness import LabPage, LabServer, sliders
from tests.small_notebook import write_small_notebook

OUTSIDE = 'from IPython.display import HTML\nHTML(\'<img src="http://outside.invalid/a.png" alt="">\')'
SLOW = 'import time\ntime.sleep(2)\nprint("last line")'


@pytest.fixture(scope="module")
def small_server(tmp_path_factory: pytest.TempPathFactory, offline: Path) -> Iterator[LabServer]:
    notebooks = tmp_path_factory.mktemp("small")
    write_small_notebook(notebooks / "slow.ipynb", SLOW)
    write_small_notebook(notebooks / "outside.ipynb", OUTSIDE)
    write_small_notebook(notebooks / "failing.ipynb", "1 / 0", "print('never')")
    with LabServer(notebooks, tmp_path_factory.mktemp("small_lab"), offline) as server:
        yield server


@pytest.fixture
def small_lab(browser: Browser, small_server: LabServer, screenshots: Path) -> Iterator[LabPage]:
    window = LabPage(browser, small_server, screenshots)
    yield window
    window.close()


@pytest.mark.colab
def test_run_wait_and_move_a_slider(small_lab: LabPage) -> None:
    small_lab.open_notebook("slow")
    small_lab.run_all()
    small_lab.wait_done()
    expect(small_lab.page.get_by_text("last line", exact=True)).to_be_visible()
    assert small_lab.cell_errors() == []

    widget = small_lab.widgets("mi-mask")
    expect(widget.get_by_role("status")).to_have_text("value 3 of 9")
    before = small_lab.screenshot("harness_before", widget).read_bytes()
    sliders(widget).press("ArrowRight")
    expect(widget.get_by_role("status")).to_have_text("value 4 of 9")
    assert small_lab.screenshot("harness_after", widget).read_bytes() != before
    assert small_lab.outside == []
    assert small_lab.errors == []


def test_a_second_run_is_waited_for(small_lab: LabPage) -> None:
    """The numbers of an earlier run (or of a committed notebook) are not taken for this one's."""
    small_lab.open_notebook("slow")
    for _ in range(2):
        small_lab.run_all()
        small_lab.wait_done()
    assert small_lab.prompts() == [f"[{number}]:" for number in range(6, 11)]


def test_themes_change(small_lab: LabPage) -> None:
    small_lab.open_notebook("slow")
    light = small_lab.screenshot("harness_light").read_bytes()
    small_lab.set_theme("dark")
    assert small_lab.screenshot("harness_dark").read_bytes() != light
    small_lab.set_theme("light")


def test_outside_requests_are_seen_and_refused(small_lab: LabPage) -> None:
    small_lab.open_notebook("outside")
    small_lab.run_all()
    small_lab.wait_done()
    small_lab.page.wait_for_function("document.querySelector('img[src*=outside]')?.complete")
    assert set(small_lab.outside) == {"http://outside.invalid/a.png"}
    assert any("outside.invalid" in error for error in small_lab.errors)


def test_a_failing_cell_ends_the_wait(small_lab: LabPage) -> None:
    small_lab.open_notebook("failing")
    small_lab.run_all()
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        small_lab.wait_done()


def test_a_notebook_that_is_not_there_is_named(small_lab: LabPage) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        small_lab.open_notebook("missing")
