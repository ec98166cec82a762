"""The message box's Python half: what the page tells, and what goes back into the box."""

from typing import Any

import pytest

from mini_ism.widgets.message_box import MessageBox


def test_what_is_told_and_what_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    box, entered, sent = MessageBox("Message"), list[str](), list[Any]()
    monkeypatch.setattr(box, "send", sent.append)
    box.on_enter(entered.append)
    box._handle_custom_msg({"typed": "Why"}, [])
    assert box.value == "Why"
    box._handle_custom_msg({"entered": "Why not?"}, [])
    assert (box.value, entered, sent) == ("", ["Why not?"], [])  # the page has emptied it, and is not told to
    box.value = "Why not?"
    box.value = ""
    assert sent == [{"was": "", "now": "Why not?"}, {"was": "Why not?", "now": ""}]


@pytest.mark.parametrize("message", [None, "entered", [], {}, {"entered": 7}, {"typed": None}, {"entered": None}])
def test_what_is_no_text_is_ignored(message: Any) -> None:
    box, entered = MessageBox("Message"), list[str]()
    box.on_enter(entered.append)
    box.value = "Why"
    box._handle_custom_msg(message, [])
    assert (box.value, entered) == ("Why", [])


def test_it_brings_its_front_end_along() -> None:
    state = MessageBox("Message", "Type.").get_state()
    assert (state["label"], state["placeholder"]) == ("Message", "Type.")
    assert "initialize({ model })" in state["_esm"]
    assert ".mi-message" in state["_css"]
    assert "http" not in state["_esm"] + state["_css"]  # nothing is loaded from anywhere
