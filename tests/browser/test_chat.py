"""The chat of the first notebook as a newcomer meets it: examples, words, the odds of each next word, small windows."""

import re

from playwright.sync_api import Locator, expect

from tests.browser.harness import LabPage

NAME = "00_start_here"


def fits(widget: Locator) -> bool:
    """Whether nothing of a widget sticks out of it to the right; the bars are in a box that scrolls."""
    sticks_out = """widget => {
        const box = widget.querySelector('.mi-surface:has(.mi-bars)');
        const seen = part => getComputedStyle(box).overflowX === 'auto' && box.contains(part) ? box : part;
        const right = widget.getBoundingClientRect().right + 1;
        const shown = [...widget.querySelectorAll('button, input, textarea, select, svg, span[data-pick]')];
        return shown.some(part => part.offsetParent !== null && seen(part).getBoundingClientRect().right > right);
    }"""
    return not widget.evaluate(sticks_out)


def test_examples_words_and_the_odds_of_the_next_word(lab: LabPage) -> None:
    chat = lab.run_to_widget(NAME, "mi-chat")
    said = chat.get_by_role("status")
    expect(chat).to_contain_text("know only what you tell them here")
    chips = chat.locator("button.mi-chip")
    expect(chips).to_have_count(8)
    chat.get_by_role("button", name="Start over").click()
    expect(said).to_contain_text("Nobody has said anything")
    chips.nth(2).click()
    expect(said).to_contain_text("Turn 1: causal kept 0")
    for log in chat.get_by_role("log").all():
        expect(log).to_contain_text("The cup is in the oven.")
        expect(log).to_contain_text("first token")

    words = chat.get_by_text("Which words do they know?")
    expect(chat.get_by_text("Any name will do")).to_be_hidden()
    words.focus()
    lab.page.keyboard.press("Enter")
    expect(chat.get_by_text("Any name will do")).to_be_visible()
    lab.screenshot("chat_words", chat)
    lab.page.keyboard.press("Enter")

    bars = chat.locator("svg.mi-next")
    expect(bars).to_have_count(0)
    toggle = chat.get_by_label("show how likely each next word was")
    toggle.focus()
    lab.page.keyboard.press("Space")
    expect(bars).to_have_count(3)
    surface = chat.locator(".mi-surface:has(svg.mi-next)").first
    surface.scroll_into_view_if_needed()
    surface.focus()
    lab.page.keyboard.press("ArrowRight")
    expect(bars.first).to_have_attribute("aria-label", re.compile("^Next word after "))
    lab.page.keyboard.press("ArrowLeft")
    expect(bars.first).to_have_attribute("aria-label", re.compile("^Next word at the beginning: .* was written$"))
    surface.locator('[data-token="2"]').click()
    expect(surface.locator('[data-token="2"]')).to_have_attribute("aria-current", "true")
    expect(bars.first).to_have_attribute("aria-label", re.compile("^Next word after “In the”"))

    entry = chat.get_by_role("textbox")
    entry.click()
    lab.page.keyboard.type("Thandiwe is in the kitchen. Where is <b>Thandiwe</b>?\n")
    expect(said).to_contain_text("Turn 2: causal kept")
    expect(chat.get_by_role("note")).to_contain_text("“Thandiwe” is 7 tokens long")
    expect(bars).to_have_count(3)

    for theme in ("dark", "light"):
        lab.set_theme(theme)
        lab.screenshot(f"chat_odds_{theme}", chat)
    for kind, width in (("800px", 800), ("150_per_cent", 1400 * 2 // 3)):  # a browser's zoom makes the page narrower
        lab.page.set_viewport_size({"width": width, "height": 1000})
        chat.scroll_into_view_if_needed()
        lab.page.wait_for_timeout(500)
        lab.screenshot(f"chat_{kind}", chat)
        assert fits(chat), kind
    toggle.focus()
    lab.page.keyboard.press("Space")
    expect(bars).to_have_count(0)
    assert lab.cell_errors() == []
    assert lab.outside == []
    assert lab.errors == []
