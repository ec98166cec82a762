"""The trace: what a session records is what it computed, and the sums by turn are sums."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mini_ism import GPT, ChatSession, Mask
from mini_ism.cost import plan
from mini_ism.trace import Event, TurnCost, turn_costs
from tests.sessions import CONTEXT, MODELS, answers, models, says, send
from tests.strategies import TOKENIZER, any_mask, segments_of_turns


@contextmanager
def counting(model: GPT) -> Iterator[list[int]]:
    """How many positions each forward really computed."""
    seen: list[int] = []
    hook = model.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[1]))
    yield seen
    hook.remove()


@settings(max_examples=30)
@given(models, any_mask(CONTEXT), st.lists(st.tuples(says, answers), min_size=1, max_size=3))
def test_the_trace_adds_up(model: GPT, mask: Mask, turns: list[tuple[str, list[int]]]) -> None:
    chat = ChatSession(model, TOKENIZER, mask, system="Be kind.")
    with counting(model) as computed:
        for text, answer in turns:
            send(chat, text, answer)
    work = [event for event in chat.trace if event.phase in ("prefill", "decode")]
    assert [event.positions for event in work] == computed

    held = 0
    for event in chat.trace:  # replayed, the cache is never read past its end, and never has a hole
        assert event.seconds >= 0
        match event.phase:
            case "discard":
                assert event.stop == held > event.start
                held = event.start
            case "reuse":
                assert (event.start, event.stop) == (0, held)
            case _:
                assert event.start == held
                held = event.stop
                assert event.flops == model.flops(event.positions, event.positions * event.stop)
        assert event.kv_bytes == model.kv_bytes(held)
    assert held == chat.cached == len(chat.tokens)

    for turn in range(1, len(turns) + 1):
        reused = phase(chat, turn, "reuse")
        read = phase(chat, turn, "prefill")
        stop = len(encode(chat, turn))
        assert sum(event.positions for event in reused + read) == stop
        assert read[-1].stop == stop


def phase(chat: ChatSession, turn: int, name: str) -> list[Event]:
    return [event for event in chat.trace if (event.turn, event.phase) == (turn, name)]


def encode(chat: ChatSession, turn: int) -> Tensor:
    """The tokens up to a turn's assistant marker."""
    query = int((chat.segments.id == 2 * turn - (chat.messages[0]["role"] != "system")).nonzero()[0])
    return chat.tokens[:query]


@pytest.mark.parametrize("name", ["causal", "ism", "mas", "causal & sliding_window(3)"])
def test_all_is_reused(name: str) -> None:
    chat = ChatSession(MODELS[0], TOKENIZER, name, system="Be kind.")
    send(chat, "Hi.", [30, 31])
    length = len(chat.tokens)
    send(chat, "Where is the key?", [33, 34])
    assert [(e.start, e.stop) for e in phase(chat, 2, "reuse")] == [(0, length)]
    assert [(e.start, e.stop) for e in phase(chat, 2, "prefill")] == [(length, len(encode(chat, 2)))]
    assert [e.positions for e in phase(chat, 2, "decode")] == [1, 1, 1]  # two words and the end
    assert not [e for e in chat.trace if e.phase == "discard"]


def test_prefix_reuses_nothing() -> None:
    chat = ChatSession(MODELS[0], TOKENIZER, "prefix", system="Be kind.")
    send(chat, "Hi.", [30, 31])
    length = len(chat.tokens)
    send(chat, "Where is the key?", [33])
    assert phase(chat, 2, "reuse") == []
    assert [(e.start, e.stop) for e in phase(chat, 2, "discard")] == [(0, length)]
    assert [(e.start, e.stop) for e in phase(chat, 2, "prefill")] == [(0, len(encode(chat, 2)))]
    assert [e.positions for e in phase(chat, 2, "decode")] == [1, 1]  # while answering, all is kept


def test_in_between_something_is_reused() -> None:
    """The system prompt is read on its own, all else both ways."""
    ours = Mask(lambda q, kv, s: s.system[kv] | ~s.system[q], "two worlds")
    chat = ChatSession(MODELS[0], TOKENIZER, ours, system="Be kind.")
    system = len(chat.tokens)
    send(chat, "Hi.", [30])
    send(chat, "the box", [31])
    assert [(e.start, e.stop) for e in phase(chat, 2, "reuse")] == [(0, system)]


def test_turn_costs_by_hand() -> None:
    s = segments_of_turns(5, 2, 4, 3)
    assert [(c.reused, c.discarded, c.prefilled, c.decoded) for c in turn_costs(plan("ism", s))] == [
        (0, 0, 5, 2),
        (7, 0, 4, 3),
    ]
    assert [(c.reused, c.discarded, c.prefilled, c.decoded) for c in turn_costs(plan("prefix", s))] == [
        (0, 0, 5, 2),
        (0, 7, 11, 3),
    ]
    everybody = turn_costs(plan("bidirectional", segments_of_turns(5, 2)))[0]  # starts again for every token
    assert (everybody.prefilled, everybody.decoded, everybody.discarded) == (5, 6 + 7, 5 + 6)


def test_seconds_are_summed_and_the_first_token_waits_for_the_prefill_only() -> None:
    trace = [
        Event(1, "prefill", 0, 3, 0.5, 10, 30),
        Event(1, "prefill", 3, 5, 0.25, 10, 50),
        Event(1, "decode", 5, 6, 1.0, 4, 60),
        Event(2, "reuse", 0, 6, 0.0, 0, 60),
    ]
    assert turn_costs(trace) == [
        TurnCost(1, 0, 0, 5, 1, 0.75, 1.75, 24, 60),
        TurnCost(2, 6, 0, 0, 0, 0.0, 0.0, 0, 60),
    ]
    assert turn_costs(trace)[0].computed == 6
