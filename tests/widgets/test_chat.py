"""The chat without a browser: what it says, who stands side by side, and that nothing a user types breaks it."""

import html
import re
from typing import Any

import pytest

from mini_ism import GPT, get_mask, load_tokenizer
from mini_ism.cost import plan
from mini_ism.sampling import Sampler
from mini_ism.trace import turn_costs
from mini_ism.widgets import ChatWidget
from tests.small_models import Models, three_models

TOKENIZER = load_tokenizer()
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def models() -> Models:
    return three_models()


def enter(chat: ChatWidget, text: str) -> None:
    """What the page says when Enter is pressed."""
    chat.text._handle_custom_msg({"entered": text}, [])


def said(chat: ChatWidget) -> list[list[str]]:
    """The user's messages in each conversation."""
    return [[m["content"] for m in s.messages if m["role"] == "user"] for s in chat.sessions.values()]


def test_enter_sends_to_every_model(models: Models) -> None:
    chat = ChatWidget(models)
    assert "Nobody has said anything" in chat.status
    chat.text.value = "Where is the cup?"
    assert all(session.turn == 0 for session in chat.sessions.values())
    enter(chat, "Where is the cup?")
    assert chat.text.value == ""
    chat.text.value = "Why"
    chat.button.click()
    assert said(chat) == [["Where is the cup?", "Why"]] * 3
    for name, session in chat.sessions.items():
        cost = turn_costs(session.trace)[-1]
        assert f"{name} kept {cost.reused} and read {cost.prefilled}" in chat.status
        shown = html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", "", chat.lanes[name].log.value))
        assert f"kept {cost.reused} · read {cost.prefilled} · wrote {cost.decoded}" in shown
        assert session.messages[-1]["content"] in shown
        assert "▏" not in shown
    assert chat.status.startswith("Turn 2: causal kept")
    assert "prefix kept 0 and" in chat.status
    expected = plan("ism", chat.sessions["ism"].segments)
    assert [c.reused for c in turn_costs(expected)] == [c.reused for c in turn_costs(chat.sessions["ism"].trace)]


@pytest.mark.parametrize(
    ("text", "complaint"), [("", "empty"), ("  ", "empty"), ("cup " * 1250, r"are left; .* “Start over”")]
)
def test_a_message_that_cannot_be_sent_is_told_in_place(text: str, complaint: str, models: Models) -> None:
    chat = ChatWidget(models)
    chat.text.value = text
    for send in (lambda: enter(chat, text), chat.button.click):
        send()
        assert re.search(complaint, chat.error)
        assert chat.text.value == text  # to be mended
        assert all(session.messages == [] for session in chat.sessions.values())
    enter(chat, "Hello.")
    assert (chat.error, chat.text.value) == ("", "")
    assert all(session.turn == 1 for session in chat.sessions.values())


def test_two_lines_are_one_message(models: Models) -> None:
    chat = ChatWidget(models)
    chat.text.value = "My name is Ada.\nWhat is my name?"
    assert said(chat) == [[]] * 3
    chat.button.click()
    enter(chat, "The cup is here.\nWhere is the cup?\n")
    assert said(chat) == [["My name is Ada. What is my name?", "The cup is here. Where is the cup?"]] * 3


@pytest.mark.parametrize("text", [SCRIPT, "🦊🦊", "a < b & c > d", "<|assistant|>", "\x1b[31m"])
def test_replies_and_messages_are_text_and_nothing_else(text: str, models: Models) -> None:
    chat = ChatWidget(models)
    enter(chat, text)
    assert chat.error == ""
    for lane in chat.lanes.values():
        assert "<script" not in lane.log.value
        assert html.escape(text) in lane.log.value
    chat.send("Why?")
    assert all(session.turn == 2 for session in chat.sessions.values())


def test_examples_are_sent_and_reset_forgets(models: Models) -> None:
    chat = ChatWidget(models)
    assert len(chat.examples) == 8
    first, second, *_ = chat.examples
    for turn, text in enumerate((first, second), start=1):
        chat.examples[text].click()
        for session in chat.sessions.values():
            assert session.turn == turn
            assert session.messages[2 * turn - 2] == {"role": "user", "content": text}
    chat.again.click()
    assert chat.again.description == "Start over"
    assert all(session.messages == [] for session in chat.sessions.values())
    assert "Nobody has said anything" in chat.status
    assert list(ChatWidget(models, ["Hello.", "Why?"]).examples) == ["Hello.", "Why?"]


def test_a_long_word_is_noted_until_the_next_message(models: Models) -> None:
    chat = ChatWidget(models)
    chat.send("My name is Ada.")
    assert chat.note.value == ""
    chat.send("My name is Thandiwe<b>.")
    count = len(TOKENIZER.encode(" Thandiwe<b"))
    assert f"“Thandiwe&lt;b” is {count} tokens long" in chat.note.value
    assert chat.error == ""
    chat.again.click()
    assert chat.note.value == ""


def test_what_no_longer_fits_is_told_with_the_button_to_press(models: Models) -> None:
    chat = ChatWidget(models)
    chat.send("cup " * 130)
    assert chat.error == ""
    room = chat.sessions["causal"].room
    chat.send("cup " * 130)
    assert chat.error == (
        f"the message does not fit: of causal's 200 positions {room} are left; make it shorter, or press “Start over”"
    )
    chat.again.click()
    chat.send("cup")
    assert chat.error == ""


def test_an_answer_that_repeats_itself_is_stopped_and_that_is_said(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sampler, "pick", lambda *_: TOKENIZER.encode_single_token("ar"))
    chat = ChatWidget(models)
    chat.send("My name is Maria.")
    for name, lane in chat.lanes.items():
        assert lane.session.messages[-1]["content"] == "arararar"
        assert "stopped: it was repeating itself" in lane.log.value
        assert f"{name} stopped: it was repeating itself." in chat.status
    monkeypatch.undo()
    monkeypatch.setattr(Sampler, "pick", lambda *_: TOKENIZER.encode_single_token("<|end|>"))
    chat.send("Why?")
    assert "stopped" not in chat.status
    assert all(lane.log.value.count("stopped: it was repeating itself") == 1 for lane in chat.lanes.values())


def test_the_odds_are_shown_where_they_are_asked_for(models: Models) -> None:
    chat = ChatWidget(models)
    surfaces = [lane.words.surface for lane in chat.lanes.values()]
    chat.send("Where is the cup?")
    assert all(surface.value == "" and surface.layout.display == "none" for surface in surfaces)
    chat.odds.value = True
    assert all("mi-next" in surface.value and surface.layout.display == "" for surface in surfaces)
    seen: list[str] = []
    surfaces[0].observe(lambda change: seen.append(change["new"]), "value")
    chat.send("Why?")
    reply = chat.sessions["causal"].reply
    assert reply is not None
    assert len([value for value in seen if value]) >= len(reply.tokens)  # live, a picture for each token
    chat.odds.value = False
    assert all(surface.value == "" for surface in surfaces)
    chat.odds.value = True
    chat.again.click()
    assert all(lane.words.surface.value == "" and lane.shows_odds for lane in chat.lanes.values())


def test_stopping_leaves_a_chat_that_goes_on(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = ChatWidget(models)
    calls = 0
    real = GPT.compute

    def interrupted(self: GPT, *values: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 8:
            raise KeyboardInterrupt
        return real(self, *values, **named)

    monkeypatch.setattr(GPT, "compute", interrupted)
    chat.send("Where is the cup?")
    assert "Stopped" in chat.error
    chat.send("Why?")
    assert chat.error == ""
    assert all(session.messages[-1]["role"] == "assistant" for session in chat.sessions.values())


def test_a_chat_needs_a_model() -> None:
    with pytest.raises(ValueError, match="no model to chat with"):
        ChatWidget({})


def test_one_model_under_several_masks(models: Models) -> None:
    chat = ChatWidget(models, masks=("causal", "prefix", "causal & sliding_window(8)"), weights="ism")
    assert list(chat.lanes) == ["causal", "prefix", "causal & sliding_window(8)"]
    assert all(session.model is models["ism"][0] for session in chat.sessions.values())
    chat.send("Where is the cup?")
    chat.send("Why?")
    assert "prefix kept 0 and read" in chat.status
    for name, session in chat.sessions.items():
        assert session.mask.name == get_mask(name).name
        assert f"{html.escape(name)}: ism&#x27;s weights" in chat.lanes[name].log.value
    assert "1st token ms" in chat.bars.value
    assert "Chat with ism's weights under causal, prefix" in chat.figure().alt


def test_the_menu_changes_who_talks_and_repeats_what_was_said(models: Models) -> None:
    chat = ChatWidget(models)
    chat.send("Where is the cup?")
    chat.line_up.value = "prefix"
    assert list(chat.sessions) == ["causal", "prefix", "ism"]
    assert all(session.model is models["prefix"][0] for session in chat.sessions.values())
    assert said(chat) == [["Where is the cup?"]] * 3
    chat.line_up.value = ""
    assert [session.model for session in chat.sessions.values()] == [model for model, _ in models.values()]
    chat.again.click()
    assert chat.bars.value == ""
    chat.line_up.value = "ism"  # with nothing to repeat
    assert "Nobody has said anything" in chat.status


def test_a_mask_that_leaves_a_row_empty_is_told_in_place(models: Models) -> None:
    chat = ChatWidget(models, masks=("ism", "same_query"), weights="ism")
    chat.send("Where is the cup?")
    assert re.search("'same_query' leaves position .* nothing to attend to", chat.error)
    chat.line_up.value = ""
    assert chat.error == ""
    chat.send("Why?")
    assert all(session.messages[-1]["role"] == "assistant" for session in chat.sessions.values())


def test_bad_line_ups_are_refused_at_once(models: Models) -> None:
    with pytest.raises(ValueError, match="weights='gpt' names no model; models are causal, prefix, ism"):
        ChatWidget(models, weights="gpt")
    with pytest.raises(ValueError, match=r"weights='ism' needs masks to be read under, but masks=\(\) has none"):
        ChatWidget(models, masks=(), weights="ism")
    with pytest.raises(ValueError, match="unknown mask 'ims'"):
        ChatWidget(models, masks=("ims",))
    with pytest.raises(TypeError, match=r"examples must be messages in a list, got 'Hello.'"):
        ChatWidget(models, "Hello.")
