"""Every notebook on first opening, before anything has run, in a JupyterLab that does not trust it."""

import nbformat
import pytest
from playwright.sync_api import expect

from tests.browser.harness import LabPage, until
from tests.still_pictures import outputs, pictures
from tools.course import COURSE

OUTPUTS = ".jp-Notebook .jp-OutputArea-output"
LOADED = """images => images.map(image => image.complete && image.naturalWidth > 20 && image.naturalHeight > 20
    && image.getBoundingClientRect().width > 20 && image.getBoundingClientRect().height > 20)"""


@pytest.mark.parametrize("name", COURSE)
def test_all_pictures_show_before_anything_has_run(name: str, lab: LabPage) -> None:
    notebook = nbformat.read(lab.server.source / f"{name}.ipynb", as_version=4)
    expected = sum(map(pictures, outputs(notebook)))
    assert expected > 0
    lab.open_notebook(name)
    images = lab.page.locator(f"{OUTPUTS} img")
    expect(images).to_have_count(expected)  # cells out of sight are drawn when there is time
    until(lambda: all(images.evaluate_all(LOADED)), "all pictures to be drawn", lab.page)
    for theme in ("dark", "light"):
        lab.set_theme(theme)
        images.first.scroll_into_view_if_needed()
        lab.screenshot(f"untrusted_{name}_{theme}")
    tables = sum(output.get("data", {}).get("text/html", "").count("<table") for output in outputs(notebook))
    expect(lab.page.locator(f"{OUTPUTS} table")).to_have_count(tables)
    expect(lab.page.locator(OUTPUTS).filter(has_text="Error displaying widget")).to_have_count(0)
    expect(lab.page.locator(OUTPUTS).filter(has_text="Loading widget")).to_have_count(0)
    assert lab.outside == []
    assert lab.errors == []


def test_a_caption_stands_once(lab: LabPage) -> None:
    lab.open_notebook("00_start_here")
    for name in ("causal", "prefix", "ism"):
        expect(lab.page.locator(OUTPUTS).get_by_text(f"{name}: row = reader")).to_have_count(1)
