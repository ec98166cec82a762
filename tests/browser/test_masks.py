"""The mask explorer in the notebook about masks, by keyboard and by mouse: what it says, and what it paints."""

import re
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, expect

from tests.browser.harness import LabPage, LabServer, map_cell, sliders, tab_stops, write_notebooks

NAME = "01_masks"
ENDLESS = """\
from mini_ism import register_mask
from mini_ism.widgets import MaskExplorer

@register_mask
def endless(q, kv, s):
    while True:
        pass

MaskExplorer()"""


@pytest.fixture
def explorer(lab: LabPage) -> Locator:
    """The explorer of a notebook that has just run."""
    return lab.run_to_widget(NAME, "mi-mask")


def clean(lab: LabPage) -> bool:
    return lab.cell_errors() == lab.outside == lab.errors == []


def pixel(png: bytes) -> tuple[int, int, int]:
    red, green, blue = Image.open(BytesIO(png)).convert("RGB").getpixel((0, 0))  # type: ignore[misc]
    return red, green, blue


def cell_colour(lab: LabPage, explorer: Locator, row: int, column: int) -> str:
    """What a cell of the map is painted as: "back", "ahead", "hidden", by the nearest of the theme's colours."""
    x, y = map_cell(explorer, row, column)
    colours = explorer.locator("svg[aria-label^=Mask]").evaluate(
        """svg => {
            const style = getComputedStyle(svg);
            return ['back', 'ahead', 'hidden'].map(name => style.getPropertyValue('--mi-' + name));
        }"""
    )
    lab.page.mouse.move(0, 0)  # hovering tints a row
    shown = pixel(lab.page.screenshot(clip={"x": x - 0.5, "y": y - 0.5, "width": 1, "height": 1}))
    wanted = {
        name: tuple(int(colour.strip()[n : n + 2], 16) for n in (1, 3, 5))
        for name, colour in zip(("back", "ahead", "hidden"), colours, strict=True)
    }
    return min(wanted, key=lambda name: sum(abs(a - b) for a, b in zip(wanted[name], shown, strict=True)))


def test_directions_and_order_by_mouse(lab: LabPage, explorer: Locator) -> None:
    said, rule = explorer.get_by_role("status"), explorer.get_by_label("Rule", exact=True)
    explorer.get_by_label("Preset", exact=True).select_option("causal")
    expect(rule).to_have_value("causal")
    expect(said).to_contain_text("(4) sees 0..4 (5 of")
    picture = explorer.locator("svg[aria-label^=Mask]")
    expect(picture).to_have_attribute("aria-label", re.compile(r"^Mask causal: "))  # hindsight's row says the same
    assert cell_colour(lab, explorer, 4, 2) == "back"
    assert cell_colour(lab, explorer, 4, 9) == "hidden"

    switches = explorer.locator(".widget-toggle-button")
    switches.nth(0).click()
    expect(rule).to_have_value("causal | inside(0)")
    expect(switches.nth(0)).to_have_text("⇄ both ways")
    expect(said).to_contain_text("(4) sees 0..13 (14 of")
    expect(picture).to_have_attribute("aria-label", re.compile(r"^Mask causal \| inside\(n=0\): "))
    assert cell_colour(lab, explorer, 4, 9) == "ahead"
    switches.nth(2).click()
    expect(explorer).to_contain_text("Same matrix here as")
    expect(explorer.locator("tr").filter(has_text="Same matrix here as")).to_contain_text("ism")

    boxes = explorer.locator("textarea")
    first, second = boxes.nth(0).input_value(), boxes.nth(2).input_value()
    explorer.get_by_role("button", name="Move turn 1 down").click()
    expect(boxes.nth(0)).to_have_value(second)
    expect(boxes.nth(2)).to_have_value(first)
    explorer.get_by_role("button", name="Remove answer 1").click()
    expect(boxes).to_have_count(2)
    expect(boxes.nth(0)).to_have_value(f"{second} {first}")
    explorer.get_by_role("button", name="Add a turn").click()
    expect(boxes).to_have_count(4)
    assert clean(lab)


@pytest.mark.colab
def test_everything_answers_to_the_keyboard(lab: LabPage, explorer: Locator) -> None:
    said, keys = explorer.get_by_role("status"), lab.page.keyboard
    turn, token = sliders(explorer).nth(0), sliders(explorer).nth(1)
    token.focus()
    keys.press("Home")
    expect(said).to_contain_text("(0) sees 0 (1 of")
    before = lab.screenshot("masks_row_0", explorer).read_bytes()
    keys.press("ArrowRight")
    expect(said).to_contain_text("(1) sees 0..1 (2 of")
    assert lab.screenshot("masks_row_1", explorer).read_bytes() != before
    turn.focus()
    keys.press("ArrowLeft")
    expect(explorer.locator(".widget-toggle-button").nth(2)).to_have_text("later turn")
    keys.press("ArrowRight")
    expect(explorer.locator(".widget-toggle-button").nth(2)).to_have_text("← backwards")

    explorer.locator(".widget-toggle-button").nth(1).focus()
    keys.press("Space")
    rule = explorer.get_by_label("Rule", exact=True)
    expect(rule).to_have_value("hindsight | inside(1)")
    explorer.get_by_role("button", name="Move answer 1 down").focus()
    keys.press("Enter")
    expect(explorer.get_by_label("assistant", exact=True).nth(0)).to_have_value("I do not know.")
    explorer.get_by_label("show how far each row sees, f(j)").focus()
    keys.press("Space")
    expect(explorer.locator(".mi-staircase")).to_have_count(1)
    expect(said).to_contain_text("f(1) = 1")
    assert clean(lab)


@pytest.mark.colab
def test_bad_input_is_told_in_place_and_forgiven(lab: LabPage, explorer: Locator) -> None:
    rule, alert = explorer.get_by_label("Rule", exact=True), explorer.get_by_role("alert")
    picture = explorer.locator("svg[aria-label^=Mask]")
    for text, complaint in (("ism &", "cannot read mask"), ("same_query", "nothing to attend to")):
        rule.fill(text)
        expect(alert).to_contain_text(complaint)
        expect(picture).to_have_attribute("aria-label", re.compile("^Mask hindsight:"))
    rule.fill("prefix")
    expect(alert).to_have_count(0)
    box = explorer.get_by_label("user", exact=True).first
    for text, complaint in (("", "message 1 (user) is empty"), ("cup " * 1250, "at most 512")):
        box.fill(text)
        expect(alert).to_contain_text(complaint)
    box.fill("<script>alert(1)</script> 🦊")
    expect(alert).to_have_count(0)
    expect(explorer.locator("svg script")).to_have_count(0)
    expect(picture).to_have_attribute("aria-label", re.compile("^Mask prefix:"))
    assert clean(lab)


def test_the_picture_is_saved(lab: LabPage, explorer: Locator, tmp_path: Path) -> None:
    explorer.get_by_role("button", name="Save the picture").click()
    for name, start in (("mask.svg", b"<svg"), ("mask.png", b"\x89PNG")):
        with lab.page.expect_download() as download:
            explorer.get_by_role("link", name=name).click()
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    page = lab.page.context.new_page()  # alone, without the notebook around it
    page.set_content((tmp_path / "mask.svg").read_text(encoding="utf-8"))
    page.screenshot(path=lab.screenshots / "masks_saved_svg.png")
    assert page.locator("text").count() > 10
    page.close()
    assert clean(lab)


def test_both_themes_paint_the_same_cells_in_their_own_colours(lab: LabPage, explorer: Locator) -> None:
    seen = {}
    for theme in ("light", "dark"):
        lab.set_theme(theme)
        explorer.scroll_into_view_if_needed()
        lab.screenshot(f"masks_{theme}", explorer)
        cells = [cell_colour(lab, explorer, *place) for place in ((6, 2), (15, 20), (2, 9))]
        assert cells == ["back", "ahead", "hidden"]
        seen[theme] = explorer.locator("svg[aria-label^=Mask]").screenshot()
    assert seen["light"] != seen["dark"]
    assert clean(lab)


def test_a_rule_without_end_can_be_interrupted(browser: Browser, tmp_path: Path, offline: Path) -> None:
    for name in ("notebooks", "server"):
        (tmp_path / name).mkdir()
    notebooks = write_notebooks(tmp_path / "notebooks", {"endless": ENDLESS})
    with LabServer(notebooks, tmp_path / "server", offline) as server:
        lab = LabPage(browser, server, tmp_path)
        explorer = lab.run_to_widget("endless", "mi-mask")
        rule, state = explorer.get_by_label("Rule", exact=True), lab.page.locator("#jp-main-statusbar")
        rule.fill("endless")
        rule.press("Enter")
        expect(state).to_contain_text("| Busy")
        lab.interrupt()
        expect(explorer.get_by_role("alert")).to_contain_text("Stopped.")
        rule.fill("causal")
        rule.press("Enter")
        expect(explorer.locator("svg[aria-label^='Mask causal']")).to_have_count(1)
        expect(explorer.get_by_role("alert")).to_have_count(0)
        assert lab.errors == []
        lab.close()


@pytest.mark.colab
def test_the_map_answers_to_the_mouse_and_the_keyboard(lab: LabPage, explorer: Locator) -> None:
    said, tip, keys = explorer.get_by_role("status"), lab.page.locator(".mi-tip"), lab.page.keyboard
    explorer.get_by_label("Preset", exact=True).select_option("causal")
    expect(explorer.locator("svg[aria-label^='Mask causal:']")).to_be_visible()
    assert tab_stops(explorer, sliders(explorer).nth(1)) <= 12

    lab.page.mouse.move(*map_cell(explorer, 7, 2))
    expect(tip).to_contain_text(re.compile(r"\(7\) reads .* \(2\): back"))
    expect(explorer.locator(".mi-band")).to_have_count(2)
    expect(explorer.locator("text.mi-lit")).to_have_count(2)
    lab.screenshot("masks_hover", explorer)
    lab.page.mouse.move(*map_cell(explorer, 2, 7))
    expect(tip).to_contain_text(re.compile(r"\(2\) does not see .* \(7\): hidden"))
    lab.page.mouse.click(*map_cell(explorer, 7, 2))
    expect(said).to_contain_text("(7) sees 0..7")
    for key in ("ArrowDown", "ArrowDown", "Enter"):  # the map has the focus, and JupyterLab's cells stay where they are
        keys.press(key)
    expect(said).to_contain_text("(9) sees 0..9")
    explorer.locator("[data-pick=token]").nth(3).click()
    expect(said).to_contain_text("(3) sees 0..3")
    assert clean(lab)


@pytest.mark.parametrize("width", [800, 533])
def test_a_narrow_page_has_it_all_in_reach(lab: LabPage, explorer: Locator, width: int) -> None:
    """At 800 pixels, and at 150% of that, nothing is cut off, and the picture is below what changes it."""
    lab.page.set_viewport_size({"width": width, "height": 1500})
    lab.page.keyboard.press("Control+b")  # no side bar
    picture = explorer.locator("svg[aria-label^=Mask]")
    picture.scroll_into_view_if_needed()
    lab.still(f"masks_{width}", explorer)
    box, widget, slider = (part.bounding_box() for part in (picture, explorer, sliders(explorer).nth(1)))
    assert box
    assert widget
    assert slider
    assert widget["x"] <= box["x"]
    assert box["x"] + box["width"] <= widget["x"] + widget["width"] + 1
    assert 0 < box["y"] - slider["y"] < 400
    assert clean(lab)
