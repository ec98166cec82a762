"""Replies as they are written: pieces that join to the text, whole characters, stop strings."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mini_ism import ChatSession
from mini_ism.replies import AnswerWriter
from tests.sessions import END, MODELS, assert_exact, prompt_length, saying, send, words
from tests.strategies import TOKENIZER


@settings(max_examples=30)
@given(st.lists(words, min_size=1, max_size=12))
def test_streamed_pieces_are_the_text(answer: list[int]) -> None:
    """Whatever the bytes: characters split over tokens, or never finished."""
    chat = ChatSession(MODELS[1], TOKENIZER, "causal")
    with saying(*answer):
        pieces = list(chat.stream("Hi."))
    assert chat.reply is not None
    assert "".join(pieces) == chat.reply.text == str(chat.reply)
    assert chat.reply.text == TOKENIZER.decode(answer).removeprefix(" ")
    assert chat.messages[-1] == {"role": "assistant", "content": chat.reply.text}


def test_a_character_is_streamed_when_it_is_whole() -> None:
    parts = [TOKENIZER.encode_single_token(bytes([byte])) for byte in "\u20ac".encode()]
    chat = ChatSession(MODELS[0], TOKENIZER, "causal")
    with saying(*parts, *parts):
        assert list(chat.stream("Hi.")) == ["", "", "\u20ac", "", "", "\u20ac"]
    with saying(*parts[:2]):
        assert "".join(chat.stream("Hi.")) == chat.messages[-1]["content"] == "\ufffd"


def test_why_an_answer_must_not_go_on() -> None:
    def full(text: str, room: int = 9, **options: Any) -> str | None:
        writer = AnswerWriter(TOKENIZER, **options)
        for token in TOKENIZER.encode(text):
            writer.add(token)
        return writer.full(room)

    assert full(" the key") is full(" the" + 4 * " box jar") is None
    assert full(" the" + 4 * " box jar", stop_loops=True) == "loop"
    assert full(" the" + 3 * " box jar" + " box", stop_loops=True) is None
    assert full(" the key", room=1, longest=2) == "context"
    assert full(" the key", longest=2) == "length"
    assert full(" the key", room=1, stops=["key"], longest=2) == "stop"


def test_what_was_repeated_stays_in_tokens_cache_and_text() -> None:
    chat = ChatSession(MODELS[0], TOKENIZER, "ism")
    forever = TOKENIZER.encode(" the key") + 20 * TOKENIZER.encode(" box jar")
    with saying(*forever):
        pieces = list(chat.stream("Hi.", stop_loops=True))
    reply = chat.reply
    assert reply is not None
    assert (reply.text, reply.stopped) == ("the key" + 4 * " box jar", "loop")
    assert "".join(pieces) == reply.text == chat.messages[-1]["content"]
    written = forever[: len(reply.tokens)]
    assert chat.tokens[-len(written) - 1 :].tolist() == [*written, END]
    assert len(chat.tokens) == chat.cached == chat.trace[-1].stop
    assert not [event for event in chat.trace if event.phase == "discard"]
    assert_exact(chat, prompt_length(chat, reply), reply)
    again = send(chat, "Hi.", [30])
    assert_exact(chat, prompt_length(chat, again), again)


def test_a_stop_string_ends_the_answer_wherever_it_lies() -> None:
    model, answer = MODELS[0], TOKENIZER.encode(" the key is in the box.")
    cases = [("in the", "the key is "), ("y is", "the ke"), (["zebra", "box"], "the key is in the "), ("the", "")]
    for stop, text in cases:
        chat = ChatSession(model, TOKENIZER, "ism")
        with saying(*answer):
            pieces = list(chat.stream("Where?", stop=stop))
        assert chat.reply is not None
        assert ("".join(pieces), chat.reply.text, chat.reply.stopped) == (text, text, "stop")
        assert chat.messages[-1]["content"] == text
        reply = send(chat, "Hi.", [30])
        assert_exact(chat, prompt_length(chat, reply), reply)
    chat = ChatSession(model, TOKENIZER, "ism")
    with saying(*answer):
        assert "".join(chat.stream("Where?", stop=["box of"])) == "the key is in the box."
    assert chat.reply is not None
    assert chat.reply.stopped == "end"
