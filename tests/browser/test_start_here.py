"""The first notebook as a newcomer meets it: opened, run from the menu, played with."""

from playwright.sync_api import expect

from tests.browser.harness import LabPage, each

NAME = "00_start_here"


def test_run_all_then_a_slider_moves_the_picture(lab: LabPage) -> None:
    lab.open_notebook(NAME)
    lab.run_all()
    lab.wait_done()
    assert lab.cell_errors() == []

    expect(lab.widgets().get_by_role("status").first).to_be_visible()
    for status in each(lab.widgets().get_by_role("status")):
        expect(status).not_to_be_empty()

    widget = lab.widgets().filter(has=lab.page.get_by_role("slider")).first
    widget.scroll_into_view_if_needed()
    status = widget.get_by_role("status").first
    said = status.inner_text()
    before = lab.screenshot("start_here_before", widget).read_bytes()
    slider = widget.get_by_role("slider").first
    slider.focus()
    # A slider that starts at its end can only go the other way.
    at_end = slider.get_attribute("aria-valuenow") == slider.get_attribute("aria-valuemax")
    slider.press("ArrowLeft" if at_end else "ArrowRight")
    expect(status).not_to_have_text(said)
    assert lab.screenshot("start_here_after", widget).read_bytes() != before

    assert lab.outside == []
    assert lab.errors == []


def test_dark_theme_keeps_every_view_readable(lab: LabPage) -> None:
    lab.open_notebook(NAME)
    lab.run_all()
    lab.wait_done()
    expect(lab.widgets().get_by_role("status").first).to_be_visible()
    for theme in ("dark", "light"):
        lab.set_theme(theme)
        for number, widget in enumerate(each(lab.widgets())):
            expect(widget.get_by_role("status").first).to_be_visible()
            lab.screenshot(f"start_here_{theme}_{number}", widget)
    assert lab.errors == []
