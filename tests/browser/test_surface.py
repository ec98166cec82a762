"""The front end on a bare page, with no Jupyter: light, words and picks by mouse, keyboard and finger."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from mini_ism.views import TokenizedDialogue, mask_map, svg
from mini_ism.widgets.surface import Surface
from tests.browser.harness import bare_page

NAMES = ["<b>cup</b>", 'a "b" & c', "oven", "{row}", "end"]
DIALOGUE = TokenizedDialogue(NAMES, ["user"] * 3 + ["assistant"] * 2, [0] * 3 + [1] * 2)
FILM = """<svg width="300" height="40"><title>all</title><g data-drag="film">{}</g></svg>""".format(
    "".join(
        f'<rect data-pick="step" data-step="{n}" x="{n * 30}" width="28" height="28" fill="#999"'
        f"{svg.current(n == 2)}><title>step {n}</title></rect>"
        for n in range(10)
    )
)


class Bare:
    """A page with one surface on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        script = str(Surface._esm) + "\nwindow.picks = []; window.surface = mount(host, '', pick => picks.push(pick));"
        page.set_content(
            f'<style>{Surface._css}</style><button>before</button><div id="host"></div><button>after</button>'
            f'<script type="module">const host = document.getElementById("host");{script}</script>'
        )
        page.wait_for_function("window.surface")
        self.host, self.tip = page.locator("#host"), page.locator(".mi-tip")

    def show(self, html: str) -> None:
        self.page.evaluate("html => surface.update(html)", html)

    def picks(self) -> list[dict[str, Any]]:
        """What was picked since the last call."""
        return self.page.evaluate("picks.splice(0)")

    def cell(self, row: float, column: float) -> tuple[float, float]:
        """Where a cell of the map lies in the window."""
        box = self.page.locator(".mi-row").nth(0).bounding_box()
        assert box
        side = box["height"]
        return box["x"] + (column + 0.5) * side, box["y"] + (row + 0.5) * side


WIDE = """<div style="min-width:1400px"><svg aria-label="Lanes" viewBox="0 0 700 40" width="100%">
<g class="mi-stay"><text y="12">ism</text></g>{}</svg></div>"""


@pytest.fixture
def bare(browser: Browser) -> Iterator[Bare]:
    with bare_page(browser, has_touch=True) as page:
        yield Bare(page)


@pytest.fixture
def masked(bare: Bare) -> Bare:
    """A causal mask on it."""
    bare.show(str(mask_map(np.tril(np.ones((5, 5), dtype=bool)), DIALOGUE, title="Mask", row=1)))
    return bare


def lit(bare: Bare) -> list[str]:
    """The labels that are lit."""
    return bare.page.locator("text.mi-lit").all_text_contents()


def test_row_column_and_words_under_the_mouse(masked: Bare) -> None:
    for row, column, words in (
        (2, 0, "oven (2) reads <b>cup</b> (0): back"),
        (0, 2, "<b>cup</b> (0) does not see oven (2): hidden"),
        (3, 1, '{row} (3) reads a "b" & c (1): back'),
    ):
        masked.page.mouse.move(*masked.cell(row, column))
        expect(masked.tip).to_have_text(words)
        expect(masked.page.locator(".mi-band")).to_have_count(2)
        assert sorted(lit(masked)) == sorted([NAMES[row], NAMES[column]])
    masked.page.mouse.move(*masked.cell(4, -2))  # beside the matrix: the row alone
    expect(masked.tip).to_have_text("end (4) sees 0..4")
    expect(masked.page.locator(".mi-band")).to_have_count(1)
    masked.page.mouse.move(*masked.cell(-2, 3))
    expect(masked.tip).to_have_text("{row} (3)")
    masked.page.mouse.move(650, 690)
    expect(masked.tip).to_have_count(0)
    expect(masked.page.locator(".mi-band")).to_have_count(0)


def test_what_is_lit_stays_lit_in_the_next_picture(masked: Bare) -> None:
    masked.page.mouse.move(*masked.cell(2, 1))
    masked.show(str(mask_map(np.ones((5, 5), dtype=bool), DIALOGUE, title="Mask", row=2)))
    expect(masked.page.locator(".mi-band")).to_have_count(2)
    expect(masked.tip).to_have_text('oven (2) reads a "b" & c (1): back')
    masked.page.mouse.move(*masked.cell(1, 2))
    masked.show(str(mask_map(np.tril(np.ones((5, 5), dtype=bool)), DIALOGUE, title="Mask", row=2)))
    expect(masked.tip).to_have_text('a "b" & c (1) does not see oven (2): hidden')  # what it is now
    two = TokenizedDialogue(["a", "b"], ["user"] * 2, [0] * 2)
    masked.show(str(mask_map(np.ones((2, 2), dtype=bool), two)))
    expect(masked.page.locator(".mi-band")).to_have_count(0)  # there is no such row any more
    expect(masked.tip).to_have_count(0)


def test_mouse_finger_and_keys_pick_the_same(masked: Bare) -> None:
    masked.page.mouse.click(*masked.cell(2, 1))
    assert masked.picks() == [{"pick": "grid", "row": 2, "column": 1}]
    masked.page.touchscreen.tap(*masked.cell(3, 0))
    assert masked.picks() == [{"pick": "grid", "row": 3, "column": 0}]
    expect(masked.page.locator(".mi-band")).to_have_count(2)
    masked.page.touchscreen.tap(650, 690)
    expect(masked.page.locator(".mi-band")).to_have_count(0)
    masked.page.touchscreen.tap(*masked.cell(-2, 4))
    assert masked.picks() == [{"pick": "grid", "row": None, "column": 4}]
    masked.page.get_by_role("button", name="before").focus()
    masked.page.keyboard.press("Tab")
    expect(masked.host).to_be_focused()
    for key in ("ArrowDown", "ArrowLeft"):  # from the chosen cell, (1, 1)
        masked.page.keyboard.press(key)
    expect(masked.tip).to_have_text("oven (2) reads <b>cup</b> (0): back")
    expect(masked.page.locator(".mi-live")).to_have_text("oven (2) reads <b>cup</b> (0): back")
    masked.page.keyboard.press("Enter")
    assert masked.picks() == [{"pick": "grid", "row": 2, "column": 0}]
    masked.page.keyboard.press("Escape")
    expect(masked.tip).to_have_count(0)
    masked.page.keyboard.press("Tab")
    expect(masked.page.get_by_role("button", name="after")).to_be_focused()


def test_text_is_never_markup(masked: Bare) -> None:
    masked.page.mouse.move(*masked.cell(0, 0))
    expect(masked.tip).to_have_text("<b>cup</b> (0) reads <b>cup</b> (0): back")
    expect(masked.page.locator("b")).to_have_count(0)


def test_dragging_and_arrow_keys_scrub(bare: Bare) -> None:
    bare.show(FILM)
    boxes = [box for box in (rect.bounding_box() for rect in bare.page.locator("rect").all()) if box]
    middle = boxes[0]["y"] + 14
    bare.page.mouse.move(boxes[3]["x"] + 5, middle)
    expect(bare.tip).to_have_text("step 3")
    assert bare.picks() == []
    bare.page.mouse.down()
    for n in (4, 5, 4):
        bare.page.mouse.move(boxes[n]["x"] + 5, middle)
        bare.page.mouse.move(boxes[n]["x"] + 9, middle)  # still the same step: no pick
    bare.show(FILM)  # as Python does after a pick
    expect(bare.tip).to_have_text("step 4")
    bare.page.mouse.move(boxes[4]["x"] + 5, middle + 300)  # off the strip
    bare.page.mouse.up()
    bare.page.mouse.move(boxes[7]["x"] + 5, middle)
    assert [pick["step"] for pick in bare.picks()] == [3, 4, 5, 4]
    bare.show(FILM)
    bare.page.mouse.move(650, 650)
    bare.host.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):  # from the step that is current
        bare.page.keyboard.press(key)
    assert [pick["step"] for pick in bare.picks()] == [3, 4, 3]


def test_a_picture_that_cannot_be_chosen_from_is_no_tab_stop(bare: Bare) -> None:
    bare.show('<svg width="50" height="50"><rect width="50" height="50"><title>only words</title></rect></svg>')
    bare.page.get_by_role("button", name="before").focus()
    bare.page.keyboard.press("Tab")
    expect(bare.page.get_by_role("button", name="after")).to_be_focused()
    bare.page.locator("rect").hover()
    expect(bare.tip).to_have_text("only words")


def test_a_wide_picture_scrolls_to_what_has_changed_and_the_page_stays(bare: Bare) -> None:
    bare.page.add_style_tag(content="body{height:3000px}")
    spot = bare.page.locator(".mi-touched")

    def changed(x: int) -> None:
        bare.show(WIDE.format(f'<rect class="mi-touched" x="{x}" y="20" width="10" height="10"/>'))
        where, box = spot.bounding_box(), bare.host.bounding_box()
        assert where
        assert box
        assert box["x"] <= where["x"]
        assert where["x"] + where["width"] <= box["x"] + box["width"]
        name = bare.page.locator(".mi-stay").bounding_box()
        assert name
        assert name["x"] == pytest.approx(box["x"], abs=3)  # one still sees whose line it is

    for x in (0, 500, 650, 20):
        changed(x)
    assert bare.page.evaluate("[scrollX, scrollY]") == [0, 0]
    expect(bare.host).to_have_attribute("aria-label", "Lanes. Arrow keys scroll.")
    bare.page.get_by_role("button", name="before").focus()
    bare.page.keyboard.press("Tab")
    expect(bare.host).to_be_focused()
    before = bare.page.evaluate("host.scrollLeft")
    bare.page.keyboard.press("ArrowRight")
    bare.page.wait_for_function("before => host.scrollLeft > before", arg=before)
    bare.page.set_viewport_size({"width": 1500, "height": 700})
    expect(bare.host).not_to_have_attribute("tabindex", "0")  # all of it is there: nothing to scroll


def test_keys_bring_what_they_choose_into_sight(bare: Bare) -> None:
    boxes = "".join(f'<rect data-pick="step" data-step="{n}" x="{n * 70}" width="60" height="9"/>' for n in range(10))
    bare.show(WIDE.format(boxes))
    bare.host.focus()
    for _ in range(10):
        bare.page.keyboard.press("ArrowRight")
    lit, box = bare.page.locator(".mi-lit").bounding_box(), bare.host.bounding_box()
    assert lit
    assert box
    assert lit["x"] + lit["width"] <= box["x"] + box["width"]
    assert box["x"] <= lit["x"]
