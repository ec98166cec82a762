"""The message box on a bare page, with no Jupyter: keys, pasting, and what comes back from a Python that is late."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from mini_ism.widgets.message_box import MessageBox
from tests.browser.harness import bare_page

MODEL = """
class Model {
    state = {label: "Message", placeholder: "Type.", told: ""};
    sent = [];
    handlers = {};
    get(name) { return this.state[name]; }
    set(name, value) {
        if (this.state[name] === value) return;
        this.state[name] = value;
        (this.handlers[`change:${name}`] ?? []).forEach(handler => handler());
    }
    on(name, handler) { (this.handlers[name] ??= []).push(handler); }
    send(message) { this.sent.push(message); }
    hear(message) { this.handlers["msg:custom"].forEach(handler => handler(message)); }
}
window.model = new Model();
widget.initialize({model});
for (const el of document.querySelectorAll(".view")) widget.render({model, el});"""
"""As much of anywidget's model as the box uses."""


class Bare:
    """A page with two views of one box."""

    def __init__(self, page: Page) -> None:
        self.page = page
        script = str(MessageBox._esm).replace("export default", "const widget =") + MODEL
        page.set_content(
            f'<style>{MessageBox._css}</style><button>before</button><div class="view"></div><button>after</button>'
            f'<div class="view"></div><script type="module">{script}</script>'
        )
        page.wait_for_function("window.model")
        self.box, self.other = page.get_by_label("Message").all()
        self.type, self.press = page.keyboard.type, page.keyboard.press
        self.box.focus()

    def sent(self) -> list[dict[str, Any]]:
        """What Python was sent since the last call."""
        return self.page.evaluate("model.sent.splice(0)")

    def hear(self, was: str, now: str) -> None:
        """What Python says at last."""
        self.page.evaluate("message => model.hear(message)", {"was": was, "now": now})


@pytest.fixture
def bare(browser: Browser) -> Iterator[Bare]:
    with bare_page(browser) as page:
        yield Bare(page)


def test_enter_sends_and_the_next_message_begins_at_once(bare: Bare) -> None:
    bare.type("My name is Zoe.\nWhat is my name?\nWhy")
    assert bare.sent() == [{"entered": "My name is Zoe."}, {"entered": "What is my name?"}]
    expect(bare.box).to_have_value("Why")
    expect(bare.other).to_have_value("Why")
    bare.press("Tab")
    assert bare.sent() == [{"typed": "Why"}]  # before a click on a button
    expect(bare.page.get_by_role("button", name="after")).to_be_focused()


def test_a_key_held_down_sends_once(bare: Bare) -> None:
    bare.type("Why")
    for _ in range(3):
        bare.page.keyboard.down("Enter")
    assert bare.sent() == [{"entered": "Why"}]
    expect(bare.box).to_have_value("")


def test_shift_and_enter_make_a_line_and_the_box_grows(bare: Bare) -> None:
    def height() -> float:
        shape = bare.box.bounding_box()
        assert shape
        return shape["height"]

    heights = [height()]
    for line in ("one", "two", "three", "four"):
        bare.type(line)
        bare.press("Shift+Enter")
        heights.append(height())
    assert heights == sorted(heights)
    assert heights[0] == heights[1] < heights[2] < heights[4]
    assert bare.sent() == []
    bare.press("Enter")
    assert bare.sent() == [{"entered": "one\ntwo\nthree\nfour\n"}]
    assert height() == heights[0]


def test_pasted_lines_wait_for_enter(bare: Bare) -> None:
    bare.page.keyboard.insert_text("one\ntwo")
    assert bare.sent() == []
    bare.press("Enter")
    assert bare.sent() == [{"entered": "one\ntwo"}]


@pytest.mark.parametrize("composing", [{"isComposing": True}, {"keyCode": 229}])
def test_an_input_method_keeps_its_enter(composing: dict[str, Any], bare: Bare) -> None:
    bare.page.keyboard.insert_text("にほん")
    press = "(box, more) => box.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', cancelable: true, ...more}))"
    assert bare.box.evaluate(press, composing)  # the browser goes on with it
    assert bare.sent() == []
    expect(bare.box).to_have_value("にほん")


@pytest.mark.parametrize(
    ("typed", "was", "now", "then"),
    [
        ("", "", "Too long.", "Too long."),  # refused
        ("Why", "", "Too long.", "Too long.\nWhy"),  # refused late
        ("Why", "", "", "Why"),  # an empty message refused
        ("Why", "", "  ", "  Why"),
        ("Why", "Why", "", ""),  # taken by the button
        ("Why not?", "Why", "", " not?"),  # taken late
        ("Who?", "Why", "", "Who?"),  # taken, and changed since
    ],
)
def test_what_python_says_late_spares_what_was_typed_since(
    typed: str, was: str, now: str, then: str, bare: Bare
) -> None:
    bare.type(typed)
    bare.hear(was, now)
    expect(bare.box).to_have_value(then)
    bare.type("!")
    expect(bare.box).to_have_value(f"{then}!")
