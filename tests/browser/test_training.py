"""The training monitor in a browser: started by keyboard, paused by mouse, found again by another kernel."""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser, Locator, expect

from tests.browser.harness import PATIENCE, LabPage, LabServer

NAMES = ("driven", "found_again")  # a notebook, and a folder of runs, for each test
CELLS = (
    """\
from mini_ism.training import TrainingConfig
from mini_ism.widgets import TrainingMonitor

small = dict(steps=4000, dialogues=2, validate=20, validation_size=3)
monitor = TrainingMonitor({m: TrainingConfig(mask=m, **small) for m in ("causal", "ism")}, "runs/NAME", turn=2)
monitor""",
    "monitor.state",
)
TRAINING = 3000 * PATIENCE  # milliseconds until there is something to see


@pytest.fixture(scope="module")
def lab_server(browser: Browser, tmp_path_factory: pytest.TempPathFactory, offline: Path) -> Iterator[LabServer]:
    """JupyterLab over one small notebook; the course's own would train for a minute before each test."""
    folder = tmp_path_factory.mktemp("training")
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    for name in NAMES:
        cells = [new_code_cell(cell.replace("NAME", name)) for cell in CELLS]
        nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / f"{name}.ipynb")
    with LabServer(folder, tmp_path_factory.mktemp("lab"), offline) as server:
        yield server


def shown(lab: LabPage, name: str) -> Locator:
    """The monitor, once its notebook has run."""
    lab.open_notebook(name)
    lab.run_all()
    lab.wait_done()
    assert lab.cell_errors() == []
    monitor = lab.widgets("mi-training").first
    expect(monitor.get_by_role("status")).not_to_be_empty()
    monitor.scroll_into_view_if_needed()
    return monitor


def button(monitor: Locator, name: str) -> Locator:
    """A button by what is written on it; its icon is a letter of its accessible name."""
    return monitor.get_by_role("button").filter(has_text=re.compile(rf"^\s*{re.escape(name)}\s*$"))


@pytest.mark.colab
def test_start_pause_and_resume_while_the_kernel_stays_free(lab: LabPage) -> None:
    monitor = shown(lab, NAMES[0])
    status = monitor.get_by_role("status")
    expect(status).to_have_text("Ready: press Start.")
    empty = lab.screenshot("training_ready", monitor).read_bytes()

    start = button(monitor, "Start")
    start.focus()
    lab.page.keyboard.press("Enter")
    pause = button(monitor, "Pause")
    expect(pause).to_be_focused()  # the same button, so a second Enter pauses
    expect(status).to_contain_text(re.compile(r"^Training\. causal after \d+ steps.*ism after"), timeout=TRAINING)

    lab.run_all()  # cells run beside the training; the new monitor takes the folder over
    lab.wait_done()
    monitor = lab.widgets("mi-training").first
    status = monitor.get_by_role("status")
    expect(status).to_contain_text("Found a run that was not finished: press Resume")
    button(monitor, "Resume").click()
    expect(status).to_contain_text(re.compile(r"answers right.*ism after \d+ steps.*answers right"), timeout=TRAINING)
    button(monitor, "Pause").click()
    expect(status).to_contain_text("Paused, and saved", timeout=TRAINING)
    lab.page.mouse.move(2, 2)
    still = lab.still("training_paused", monitor)
    assert still != empty
    lab.page.wait_for_timeout(800)
    assert lab.screenshot("training_paused", monitor).read_bytes() == still

    monitor.get_by_label("Against", exact=True).select_option("tokens computed")
    expect(monitor.locator("svg.mi")).to_have_attribute("aria-label", re.compile("against tokens computed"))
    assert lab.screenshot("training_tokens", monitor).read_bytes() != still

    button(monitor, "Stop").click()
    expect(status).to_contain_text("Stopped, and saved", timeout=TRAINING)
    over = button(monitor, "Start over")
    over.click()
    expect(button(monitor, "Delete? Press again")).to_be_visible()
    button(monitor, "Delete? Press again").click()
    expect(status).to_have_text("Ready: press Start.")
    assert lab.outside == []
    assert lab.errors == []


def test_another_kernel_goes_on_and_both_themes_are_readable(
    browser: Browser, lab_server: LabServer, screenshots: Path
) -> None:
    lab = LabPage(browser, lab_server, screenshots)
    monitor = shown(lab, NAMES[1])
    status = monitor.get_by_role("status")
    expect(status).to_have_text("Ready: press Start.")
    button(monitor, "Start").click()
    expect(status).to_contain_text(re.compile(r"answers right.*ism after \d+ steps.*answers right"), timeout=TRAINING)
    button(monitor, "Stop").click()
    expect(status).to_contain_text("Stopped, and saved", timeout=TRAINING)
    lab.close()  # and its kernel with it

    lab = LabPage(browser, lab_server, screenshots)
    monitor = shown(lab, NAMES[1])
    status = monitor.get_by_role("status")
    expect(status).to_contain_text(re.compile(r"Found a run that was not finished.*causal after \d+ steps"))
    expect(monitor.locator("path.mi-curve")).not_to_have_count(0)
    seen = {}
    for theme in ("dark", "light"):
        lab.set_theme(theme)
        expect(status).to_be_visible()
        line = monitor.locator("path.mi-curve").first.evaluate("line => getComputedStyle(line).stroke")
        ink = status.evaluate("line => getComputedStyle(line).color")
        seen[theme] = (line, ink, lab.screenshot(f"training_{theme}", monitor).read_bytes())
    assert all(dark != light for dark, light in zip(seen["dark"], seen["light"], strict=True))
    assert lab.errors == []
    lab.close()
