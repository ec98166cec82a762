"""The attention explorer in its notebook, by keyboard and by mouse: what it says, and what it paints."""

import re
import time
from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import Error, Locator, expect

from mini_ism.views.attention_colours import coloured
from mini_ism.views.styles import DARK, LIGHT
from tests.browser.harness import PATIENCE, LabPage, map_cell, sliders, tab_stops, until

NAME = "05_attention_maps"
MAP = "svg:has(.mi-outline)"
Colour = tuple[int, ...]


@pytest.fixture
def explorer(lab: LabPage) -> Locator:
    """The explorer of a notebook that has just run."""
    return lab.run_to_widget(NAME, "mi-attention")


def painted(lab: LabPage, explorer: Locator, row: int, column: int) -> Colour:
    """The colour in the middle of a cell of the map."""
    x, y = map_cell(explorer, row, column)
    lab.page.mouse.move(0, 0)  # hovering tints a row
    png = lab.page.screenshot(clip={"x": x - 0.5, "y": y - 0.5, "width": 1, "height": 1})
    return tuple(Image.open(BytesIO(png)).convert("RGB").getpixel((0, 0)))  # type: ignore[arg-type]


def expect_colour(lab: LabPage, explorer: Locator, row: int, column: int, wanted: Colour) -> None:
    """Wait until a cell is painted so: the map is another element after each redraw."""
    deadline = time.monotonic() + PATIENCE
    found: Colour = ()
    while not (found and near(found, wanted)):
        if time.monotonic() > deadline:
            raise AssertionError(f"row {row}, column {column} is painted {found}, not {wanted}")
        try:
            found = painted(lab, explorer, row, column)
        except Error as error:
            if "not attached" not in str(error):
                raise


def told(status: Locator) -> tuple[int, int, float]:
    """The row that the status line speaks of, the first token it names, and its share."""
    found = re.search(r"\((\d+)\) (?:looks at|moves).*?\((\d+)\) ([+−]?\d+)%", status.inner_text())
    assert found, status.inner_text()
    return int(found[1]), int(found[2]), float(found[3].replace("−", "-")) / 100


def near(one: Colour, other: Colour, within: int = 14) -> bool:
    return all(abs(a - b) <= within for a, b in zip(one, other, strict=True))


def colour_of(share: float, *, signed: bool) -> Colour:
    return tuple(int(part) for part in coloured([[share]], [[True]], signed=signed)[0, 0, :3])


def hidden(theme: dict[str, str]) -> Colour:
    return tuple(int(theme["hidden"][at : at + 2], 16) for at in (1, 3, 5))


def clean(lab: LabPage) -> bool:
    return lab.cell_errors() == lab.outside == lab.errors == []


def test_tokens_heads_and_views_in_both_themes(lab: LabPage, explorer: Locator) -> None:
    """By keyboard and mouse: the cell that the status line names has the colour of its share, and hidden ones none."""
    said = explorer.get_by_role("status")
    last = explorer.locator(f"{MAP} .mi-row").count() - 1
    token, layer, head = (sliders(explorer).nth(n) for n in range(3))
    for theme, colours in (("light", LIGHT), ("dark", DARK)):
        lab.set_theme(theme)  # type: ignore[arg-type]
        explorer.get_by_role("button", name="own mask").click()
        expect(said).to_contain_text("under ism")
        for control, key, wanted in (
            (token, "Home", "(0) looks at"),
            (token, "ArrowRight", "(1) looks at"),
            (head, "Home", "head 1,"),
            (head, "ArrowRight", "head 2,"),
            (layer, "Home", "layer 1,"),
            (layer, "ArrowRight", "layer 2,"),
        ):
            control.focus()
            control.press(key)
            expect(said).to_contain_text(wanted)
            row, column, share = told(said)
            expect_colour(lab, explorer, row, column, colour_of(share, signed=False))
            expect_colour(lab, explorer, row, last, hidden(colours))
        lab.screenshot(f"attention_{theme}_own", explorer)
        explorer.get_by_role("button", name="swapped").click()
        expect(said).to_contain_text("under causal")
        expect(said).to_contain_text("0% of it lies ahead")
        expect_colour(lab, explorer, 1, 5, hidden(colours))
        explorer.get_by_role("button", name="difference").click()
        expect(said).to_contain_text("causal instead of ism")
        expect(explorer.locator(".mi-outline-swapped")).to_have_count(1)
        row, column, share = told(said)
        expect_colour(lab, explorer, row, column, colour_of(share, signed=True))
        lab.screenshot(f"attention_{theme}_difference", explorer)
    assert clean(lab)


@pytest.mark.colab
def test_rules_models_and_messages(lab: LabPage, explorer: Locator) -> None:
    """A bad rule and an empty message are told in place; another model and another dialogue are read at once."""
    said, alert = explorer.get_by_role("status"), explorer.get_by_role("alert")
    before = said.inner_text()
    rule = explorer.get_by_label("Rule", exact=True)
    rule.fill("ism &")
    expect(alert).to_contain_text("cannot read mask")
    expect(said).to_have_text(before)
    rule.fill("bidirectional")
    expect(alert).to_have_count(0)
    expect(explorer.get_by_label("Swap for", exact=True)).to_have_value("bidirectional")
    explorer.get_by_role("button", name="swapped").click()
    expect(said).to_contain_text("under bidirectional")
    explorer.get_by_label("Model", exact=True).select_option("causal")
    expect(said).to_contain_text("causal, layer")
    explorer.get_by_label("Swap for", exact=True).select_option("ISM")
    expect(rule).to_have_value("ism")
    expect(said).to_contain_text("under ism")

    box = explorer.get_by_label("user", exact=True).first
    box.fill("")
    expect(alert).to_contain_text("message 1 (user) is empty")
    box.fill("<b>Where</b> is the 🦊?")
    expect(alert).to_have_count(0)
    expect(explorer.locator("svg b")).to_have_count(0)
    explorer.get_by_role("button", name="Remove a turn").click()
    expect(explorer.locator("textarea")).to_have_count(2)
    token = sliders(explorer).nth(0)
    token.focus()
    token.press("End")
    rows = explorer.locator(f"{MAP} .mi-row")  # fewer as soon as the turn is gone from the picture
    until(lambda: f"({rows.count() - 1}) looks at" in said.inner_text(), "the last token of the shorter talk", lab.page)
    assert clean(lab)


@pytest.mark.colab
def test_the_pictures_answer_to_the_mouse_and_the_keyboard(lab: LabPage, explorer: Locator) -> None:
    """It opens on the marker; hovering says a cell's share; heads and tokens are chosen by a click, or by keys."""
    said, tip, keys = explorer.get_by_role("status"), lab.page.locator(".mi-tip"), lab.page.keyboard
    expect(said).to_contain_text("‹assistant›")
    marker, column, share = told(said)
    token = sliders(explorer).nth(0)
    assert tab_stops(explorer, token) <= 12

    lab.page.mouse.move(*map_cell(explorer, marker, column))
    expect(tip).to_have_text(re.compile(rf"^‹assistant› \({marker}\) reads .* \({column}\): {share:.0%}$"))
    expect(explorer.locator(".mi-band")).to_have_count(2)
    lab.screenshot("attention_hover", explorer)
    lab.page.mouse.click(*map_cell(explorer, 3, 1))
    expect(said).to_contain_text("(3) looks at")
    explorer.locator("[data-pick=head]").nth(0).click()
    expect(said).to_contain_text("layer 1, head 1,")
    keys.press("ArrowRight")  # the thumbnails have the focus
    keys.press("ArrowDown")
    keys.press("Enter")
    expect(said).to_contain_text("layer 2, head 2,")

    explorer.get_by_role("button", name="lines").click()
    lines = explorer.locator(".mi-line")
    expect(lines.first).to_be_attached()
    lab.screenshot("attention_lines", explorer)
    explorer.locator("[data-side=left][data-token='5']").click()
    expect(said).to_contain_text("(5) looks at")
    explorer.locator("[data-side=right][data-token='4']").hover()
    expect(tip).to_contain_text(re.compile(r"\(5\) reads .* \(4\): \d+%"))
    assert clean(lab)
