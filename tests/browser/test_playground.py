"""The playground: opened from disk in Chromium, with the network off."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from mini_ism import load_model
from mini_ism.chat import ChatSession
from mini_ism.corpus.topics import EXAMPLES
from mini_ism.masks import COURSE_MASKS
from tests.test_playground import KINDS, NEAR, PARITY, answer_logits, dialogues
from tools import build_playground

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the page lies, built anew."""
    return build_playground.write(tmp_path_factory.mktemp("playground")).as_uri()


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Open]:
    """Opens the page in a window of its own; at the end nothing was asked of the network, and nothing was an error."""
    contexts, requests, errors = [], [], []

    def visited(state: str = "", *, width: int = 1280, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(f"{address}{state}")
        expect(page.locator("#loading")).to_have_count(0)
        return page

    yield visited
    for context in contexts:
        context.close()
    assert errors == []
    assert [url for url in requests if not url.startswith((address.removesuffix("index.html"), "data:"))] == []


def lane(page: Page, number: int) -> Any:
    return page.locator(".lane").nth(number)


def status(page: Page, view: str) -> Any:
    return page.locator(f"#{view} [data-part=status]")


def test_the_first_click_is_answered_as_the_package_answers(visit: Open) -> None:
    page = visit("#say=")
    page.get_by_role("button", name=EXAMPLES[0]).click()
    for number, name in enumerate(COURSE_MASKS):
        reply = ChatSession(*load_model(name)).send(EXAMPLES[0], max_new_tokens=40, stop_loops=True).text
        expect(lane(page, number).locator(".bubble.assistant")).to_have_text(f"assistant{reply}")
    expect(page.locator("#report")).to_contain_text("Turn 1, before the first word: causal kept 0")
    expect(page.locator(".lane .bars")).to_have_count(3)


def test_logits_are_those_of_pytorch(visit: Open) -> None:
    asked = [(mask, mask, messages) for messages in dialogues(24)[18:] for mask in COURSE_MASKS]
    unasked: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    script = PARITY.read_text(encoding="utf-8").partition("\nif (typeof process")[0]
    ask = f"questions => {{ {script}; return answers(questions).logits.flatMap(part => [...part]); }}"
    found = np.array(visit().evaluate(ask, {**unasked, "uncached": asked}))
    expected = np.concatenate([answer_logits(name, messages, mask) for name, mask, messages in asked])
    assert np.abs(found.reshape(expected.shape) - expected).max() < NEAR


def test_a_rule_can_be_picked_turned_and_typed(visit: Open) -> None:
    page = visit("#view=mask")
    rule, mask = page.get_by_label("Rule", exact=True), page.locator("#mask")
    expect(rule).to_have_value("ism")
    first = page.get_by_role("switch", name="Message 1 reads both ways")
    expect(first).to_have_attribute("aria-checked", "true")
    first.click()
    expect(rule).to_have_value("ism & (causal | ~inside(0))")
    expect(first).to_have_attribute("aria-checked", "false")
    expect(first).to_be_focused()
    first.click()
    expect(rule).to_have_value("ism")
    rule.fill("kv <= q | ism")
    expect(mask.get_by_role("alert")).to_contain_text("brackets of its own")
    rule.fill("(kv <= q) & (q - kv < 3)")
    expect(mask.get_by_role("alert")).to_be_empty()
    mask.locator(".seen").nth(9).click()
    expect(status(page, "mask")).to_contain_text("sees 7..9 (3 of")
    mask.get_by_label("Start from").select_option(label="prefix")
    expect(mask.locator(".facts")).to_contain_text("the cache keeps 0 of")


def test_an_edited_message_is_answered_anew(visit: Open) -> None:
    page = visit("#view=mask")
    field = page.get_by_label("Message 1, user")
    field.fill("The book is in the bag. Where is the book?")
    field.press("Enter")
    expect(lane(page, 2).locator(".bubble.user").first).to_contain_text("The book is in the bag.")
    expect(page.locator(".lane").first.locator(".bubble.user")).to_have_count(2)
    lane(page, 0).get_by_role("button", name="Edit message 2").click()
    box = page.locator("#message")
    expect(box).to_have_value("What is my name?")
    box.fill("Who am I?")
    box.press("Enter")
    expect(lane(page, 1).locator(".bubble.user").nth(1)).to_contain_text("Who am I?")


def test_the_film_follows_the_conversation(visit: Open) -> None:
    page = visit(reduced_motion="reduce")
    before = page.locator("#film .steps span").count()
    expect(page.locator("#film table")).to_contain_text("first word")
    page.locator("#message").fill(EXAMPLES[1])
    page.locator("#message").press("Enter")
    expect(page.locator("#film .scrubber")).to_contain_text("turn 3")
    assert page.locator("#film .steps span").count() > before
    page.locator("#film .steps span").nth(0).click()
    expect(status(page, "film")).to_contain_text("Nothing has been read yet")
    page.get_by_role("button", name="Step", exact=True).click()
    expect(status(page, "film")).to_contain_text("Turn 1, the question is read")
    page.locator("#film .steps span[data-tip*='the question arrives']").last.click()
    expect(status(page, "film")).to_contain_text("prefix throws away")
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()  # again, when the film is over
    expect(status(page, "film")).to_contain_text("Turn 3, the answer is written")


COUNT = """() => {
  window.listening = 0;
  const { addEventListener: add, removeEventListener: remove } = document;
  document.addEventListener = function (...what) { listening += 1; add.apply(this, what); };
  document.removeEventListener = function (...what) { listening -= 1; remove.apply(this, what); };
}"""


def test_conversations_that_are_replaced_leave_nothing_behind(visit: Open) -> None:
    page = visit()
    page.evaluate(COUNT)
    page.get_by_text("Settings").click()
    for seed in range(10):
        page.locator("#seed").fill(str(seed + 2))
        page.locator("#seed").press("Enter")
    expect(page).to_have_url(re.compile("seed=11"))
    assert page.evaluate("listening") == 0


def test_heads_can_be_compared_under_two_masks(visit: Open) -> None:
    page = visit("#view=attention")
    attention = page.locator("#attention")
    expect(status(page, "attention")).to_contain_text("Layer 2, head 1 under ism. ")
    attention.get_by_label("minus").select_option("causal")
    expect(status(page, "attention")).to_contain_text("under ism minus causal")
    attention.locator("[data-pick=head][data-layer='2'][data-head='3']").click()
    expect(status(page, "attention")).to_contain_text("Layer 3, head 4")
    attention.locator("[data-part=map]").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(status(page, "attention")).to_contain_text("(5) ")


def test_an_address_brings_the_view_back_and_no_markup(visit: Open) -> None:
    attack = "<img src=x onerror=alert(1)>"
    page = visit(f"#say={attack}&system={attack}&rule={attack}&view=mask&focus=causal")
    expect(page.locator("#mask [role=alert]")).to_contain_text("cannot read")
    expect(lane(page, 0).locator(".bubble.user")).to_contain_text(attack)
    expect(page.locator("img")).to_have_count(0)
    page.get_by_role("tab", name="Attention").click()
    page.get_by_label("Side by side").evaluate("select => select.closest('details').open = true")
    page.get_by_label("Side by side").select_option("ism")
    again = visit(page.url[page.url.index("#") :])
    expect(again.get_by_role("tab", name="Attention")).to_have_attribute("aria-selected", "true")
    expect(again.locator("#attention [data-part=whose]")).to_contain_text("ism\u2019s weights")
    expect(again.locator(".lane.focused")).to_contain_text("causal")


def test_a_message_that_does_not_fit_is_refused_and_the_rest_stays(visit: Open) -> None:
    page = visit()
    page.locator("#message").fill("x y " * 150)
    page.locator("#message").press("Enter")
    page.locator("#message").fill("z w " * 150)
    page.locator("#message").press("Enter")
    expect(page.locator("#complaint")).to_contain_text("does not fit")
    page.get_by_role("button", name="Start over").click()
    expect(page.locator("#complaint")).to_be_empty()
    expect(lane(page, 0)).to_contain_text("Nothing said yet")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_shows_one_lane_and_never_scrolls_sideways(visit: Open, theme: str, screenshots: Path) -> None:
    page = visit(width=390, color_scheme=theme)
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    expect(page.locator(".lane:visible")).to_have_count(1)
    page.locator("#lane-tabs").get_by_text("prefix").click()
    expect(page.locator(".lane:visible")).to_contain_text("prefix")
    for view in ("mask", "attention", "film"):
        page.locator(f"[data-view={view}]").click()
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.screenshot(path=screenshots / f"playground_{view}_390_{theme}.png", full_page=True)


def test_the_tour_has_six_steps_and_needs_no_mouse(visit: Open) -> None:
    page = visit(reduced_motion="reduce")
    page.get_by_role("button", name="Tour").focus()
    page.keyboard.press("Enter")
    for step in range(1, 7):
        expect(page.locator("#tour")).to_contain_text(f"Step {step} of 6")
        page.keyboard.press("Enter")
    expect(page.locator("#tour")).to_be_hidden()
    expect(page.get_by_role("button", name="Tour")).to_be_focused()
    expect(page.get_by_role("tab", name="Attention")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Attention").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Cache film")).to_be_focused()


def test_every_picture_has_words(visit: Open) -> None:
    page = visit()
    for view in ("film", "mask", "attention"):
        page.locator(f"[data-view={view}]").click()
        nameless = "svgs => svgs.filter(svg => (svg.getAttribute('aria-label') ?? '').length < 8).length"
        assert page.locator("svg.mi").evaluate_all(nameless) == 0
        expect(status(page, view)).not_to_be_empty()
    assert json.loads(page.evaluate("JSON.stringify(SHIPPED.examples)")) == list(EXAMPLES)
    expect(page.locator("#about")).to_contain_text("know only what you tell them")
