"""Widgets without a browser: what they say for given controls, and that nothing a user types breaks them."""

import html
import re
from typing import Any

import pytest
import tiktoken
import torch

from mini_ism import GPT, ChatSession, GPTConfig, load_tokenizer
from mini_ism.cost import plan, turn_costs
from mini_ism.dialogue import encode_message
from mini_ism.views.picture import WIDGET_VIEW
from mini_ism.widgets import CachePlayer, ChatWidget, MaskExplorer
from mini_ism.widgets.panel import EXAMPLE

TOKENIZER = load_tokenizer()
LENGTHS = [len(encode_message(message, TOKENIZER)) for message in EXAMPLE]
STARTS = [sum(LENGTHS[:n]) for n in range(len(LENGTHS) + 1)]
SCRIPT = "<script>alert(1)</script>"


@pytest.mark.parametrize("messages", [[], [{"role": "assistant", "content": "Hi."}], [{"role": "user", "content": 3}]])
def test_a_bad_dialogue_is_refused_at_once(messages: list[dict[str, Any]]) -> None:
    with pytest.raises((TypeError, ValueError)):
        MaskExplorer(messages)
    with pytest.raises((TypeError, ValueError)):
        CachePlayer(messages)


def test_the_player_counts_what_the_rules_say() -> None:
    player = CachePlayer()
    assert player.status.startswith("Nothing has been read yet")
    player.step.value = len(player.film) - 1
    old, total = STARTS[2], STARTS[4]
    assert f"causal {total}, prefix {total + old}, ism {total}" in player.status
    second = next(n for n, frame in enumerate(player.film) if frame.turn == 2)
    player.step.value = second
    assert f"causal keeps {old}; prefix throws away {old}; ism keeps {old}." in player.status
    player.back.click()
    assert player.step.value == second - 1
    for _ in range(3):
        player.forward.click()
    assert player.step.value == second + 2
    player.step.value = 0
    player.back.click()
    assert player.step.value == 0


@pytest.fixture
def models() -> dict[str, tuple[GPT, tiktoken.Encoding]]:
    def model(rule: str, seed: int) -> GPT:
        torch.manual_seed(seed)
        return GPT(GPTConfig(TOKENIZER.n_vocab, layers=1, heads=2, width=16, context=200, mask=rule))

    return {rule: (model(rule, seed), TOKENIZER) for seed, rule in enumerate(("causal", "prefix", "ism"))}


def test_the_player_plays_real_conversations(
    models: dict[str, tuple[GPT, tiktoken.Encoding]],
) -> None:
    sessions = {name: ChatSession(*pair) for name, pair in models.items()}
    with pytest.raises(ValueError, match="said nothing yet"):
        CachePlayer(sessions=sessions)
    for number, session in enumerate(sessions.values()):
        session.send("Where is the cup?", max_new_tokens=2 + number)
        session.send("Why?", max_new_tokens=2)
    player = CachePlayer(sessions=sessions)
    for name, session in sessions.items():
        assert player.film[-1].lanes[name].computed == sum(cost.computed for cost in turn_costs(session.trace))
    player.step.value = len(player.film) - 1
    assert "Turn 2" in player.status
    with pytest.raises(ValueError, match="not both"):
        CachePlayer(EXAMPLE, sessions=sessions)


def test_enter_sends_to_every_model(models: dict[str, tuple[GPT, tiktoken.Encoding]]) -> None:
    chat = ChatWidget(models)
    assert "Nobody has said anything" in chat.status
    chat.text.value = "Where is the cup?"
    assert all(session.turn == 0 for session in chat.sessions.values())
    chat.text.value = "Where is the cup?\n"
    assert chat.text.value == ""
    chat.text.value = "Why"
    chat.button.click()
    for name, session in chat.sessions.items():
        assert [m["content"] for m in session.messages if m["role"] == "user"] == [
            "Where is the cup?",
            "Why",
        ]
        cost = turn_costs(session.trace)[-1]
        assert f"{name} kept {cost.reused} and read {cost.prefilled}" in chat.status
        shown = html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", "", chat.columns[name].value))
        assert f"kept {cost.reused} · read {cost.prefilled} · wrote {cost.decoded}" in shown
        assert session.messages[-1]["content"] in shown
        assert "▏" not in shown
    assert chat.status.startswith("Turn 2: causal kept")
    assert "prefix kept 0 and" in chat.status
    expected = plan("ism", chat.sessions["ism"].segments)
    assert [c.reused for c in turn_costs(expected)] == [c.reused for c in turn_costs(chat.sessions["ism"].trace)]


@pytest.mark.parametrize(("text", "complaint"), [("", "empty"), ("  ", "empty"), ("cup " * 1250, "were left|are left")])
def test_a_message_that_cannot_be_sent_is_told_in_place(
    text: str, complaint: str, models: dict[str, tuple[GPT, tiktoken.Encoding]]
) -> None:
    chat = ChatWidget(models)
    chat.text.value = text + "\n"
    assert re.search(complaint, chat.error)
    assert all(session.messages == [] for session in chat.sessions.values())
    chat.text.value = "Hello.\n"
    assert chat.error == ""
    assert all(session.turn == 1 for session in chat.sessions.values())


@pytest.mark.parametrize("text", [SCRIPT, "🦊🦊", "a < b & c > d", "<|assistant|>", "\x1b[31m"])
def test_replies_and_messages_are_text_and_nothing_else(
    text: str, models: dict[str, tuple[GPT, tiktoken.Encoding]]
) -> None:
    chat = ChatWidget(models)
    chat.text.value = f"{text}\n"
    assert chat.error == ""
    for column in chat.columns.values():
        assert "<script" not in column.value
        assert html.escape(text) in column.value
    chat.send("Why?")
    assert all(session.turn == 2 for session in chat.sessions.values())


def test_examples_start_over_and_reset_forgets(
    models: dict[str, tuple[GPT, tiktoken.Encoding]],
) -> None:
    chat = ChatWidget(models, examples={"two": ["Hello.", "Why?"]})
    chat.send("Something else.")
    chat.examples["two"].click()
    assert all(session.turn == 2 for session in chat.sessions.values())
    chat.again.click()
    assert all(session.messages == [] for session in chat.sessions.values())
    assert "Nobody has said anything" in chat.status


def test_stopping_leaves_a_chat_that_goes_on(
    models: dict[str, tuple[GPT, tiktoken.Encoding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = ChatWidget(models)
    calls = 0
    real = GPT.forward

    def interrupted(self: GPT, *values: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 8:
            raise KeyboardInterrupt
        return real(self, *values, **named)

    monkeypatch.setattr(GPT, "forward", interrupted)
    chat.send("Where is the cup?")
    assert "Stopped" in chat.error
    chat.send("Why?")
    assert chat.error == ""
    assert all(session.messages[-1]["role"] == "assistant" for session in chat.sessions.values())


def test_a_chat_needs_a_model() -> None:
    with pytest.raises(ValueError, match="no model to chat with"):
        ChatWidget({})


def test_each_widget_has_a_still_picture_a_sentence_and_a_view(
    models: dict[str, tuple[GPT, tiktoken.Encoding]],
) -> None:
    for widget, kind in (
        (MaskExplorer(), "mi-mask"),
        (CachePlayer(), "mi-cache"),
        (ChatWidget(models), "mi-chat"),
    ):
        data = widget._repr_mimebundle_()
        assert data[WIDGET_VIEW]["model_id"] == widget.box.model_id
        assert data["image/png"]
        assert len(data["text/plain"].split()) > 4
        assert {"mi-widget", kind} <= set(widget.box._dom_classes)
        assert 'role="status"' in widget._status.value
