"""The conversation engine: exact for any rule, honest in its trace, and never left in an unusable state."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mini_ism import GPT, ChatSession, Mask, encode_dialogue, get_mask, load_tokenizer
from mini_ism.chat import ContextFullError
from mini_ism.replies import Reply
from mini_ism.sampling import Sampler
from mini_ism.trace import Event
from tests.strategies import NONEMPTY, SHAPES, any_mask, build, random_model, tables

TOKENIZER = load_tokenizer()
VOCAB = TOKENIZER.n_vocab
END = TOKENIZER.encode_single_token("<|end|>")
CONTEXT = 96
MODELS = [random_model(n, vocab_size=VOCAB, context=CONTEXT, **shape) for n, shape in enumerate(SHAPES)]
models = st.sampled_from(MODELS)
says = st.sampled_from(["Hi.", "Where is the key?", "the box", "My name is Zolta.", "a \u20ac"])
words = st.integers(0, VOCAB - 6)  # any token but the markers
answers = st.lists(words, min_size=1, max_size=4)


def close(got: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)


@contextmanager
def saying(*answer: int) -> Iterator[None]:
    """Whatever the model thinks, the next reply is this one."""
    with patch.object(Sampler, "pick", side_effect=[*answer, END]):
        yield


def send(chat: ChatSession, text: str, answer: list[int]) -> Reply:
    with saying(*answer):
        return chat.send(text)


@torch.inference_mode()
def assert_exact(chat: ChatSession, prompt: int, reply: Reply) -> None:
    """Each score the reply was picked from is that of one uncached forward over all tokens so far."""
    for step, scores in enumerate(reply.logits):
        stop = prompt + step
        dense = chat.mask.dense(chat.segments[:stop])
        close(scores, chat.model(chat.tokens[None, :stop], dense)[0, -1])


def prompt_length(chat: ChatSession, reply: Reply) -> int:
    return len(chat.tokens) - 1 - len(reply.tokens)


# -- 1. exact for any rule --------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    models,
    any_mask(CONTEXT),
    st.booleans(),
    st.lists(st.tuples(says, answers), min_size=1, max_size=3),
)
def test_cached_turns_equal_uncached_forwards(
    model: GPT, mask: Mask, system: bool, turns: list[tuple[str, list[int]]]
) -> None:
    chat = ChatSession(model, TOKENIZER, mask, system="Be kind." if system else None)
    for text, answer in turns:
        reply = send(chat, text, answer)
        assert reply.tokens.tolist() == answer
        assert reply.stopped == "end"
        assert len(reply.logits) == len(answer) + 1
        assert_exact(chat, prompt_length(chat, reply), reply)
    assert chat.turn == len(turns)
    assert chat.cached == len(chat.tokens)


@settings(max_examples=25)
@given(
    models,
    st.sampled_from(NONEMPTY).map(build),
    st.lists(says, min_size=2, max_size=3),
    st.integers(0, 99),
)
def test_sampled_turns_equal_uncached_forwards(model: GPT, mask: Mask, texts: list[str], seed: int) -> None:
    chat = ChatSession(model, TOKENIZER, mask)
    for text in texts:
        reply = chat.send(text, max_new_tokens=4, temperature=1.0, seed=seed)
        assert_exact(chat, prompt_length(chat, reply), reply)


@pytest.mark.parametrize("chunk", [1, 3, 500])
@pytest.mark.parametrize("name", ["causal", "causal & sliding_window(4)", "causal & sink(2) | sliding_window(1)"])
def test_in_chunks_where_the_rule_allows_it(name: str, chunk: int) -> None:
    whole = ChatSession(MODELS[0], TOKENIZER, name, system="Be kind.")
    parts = ChatSession(MODELS[0], TOKENIZER, name, system="Be kind.", chunk=chunk)
    for text, answer in (("Where is the key?", [30, 31, 32]), ("My name is Zolta.", [40])):
        one, two = send(whole, text, answer), send(parts, text, answer)
        close(two.logits, one.logits)
        assert_exact(parts, prompt_length(parts, two), two)
    sizes = [event.positions for event in parts.trace if event.phase == "prefill"]
    assert max(sizes) == chunk if chunk < 500 else len(sizes) == 2


@pytest.mark.parametrize("name", ["ism", "prefix", "bidirectional", "mas"])
def test_refused_where_the_rule_does_not(name: str) -> None:
    chat = ChatSession(MODELS[0], TOKENIZER, name, chunk=1)
    message = (
        f"a chunk of 1 would end before position 1, but under mask '{name}' position 0 reads on to "
        r"position \d+: its keys and values .* Use chunk=None"
    )
    with pytest.raises(ValueError, match=message):
        chat.send("Where is the key?")
    assert (chat.turn, chat.cached, chat.messages, len(chat.tokens)) == (0, 0, [], 0)


def test_ism_may_be_cut_between_queries_but_not_inside_one() -> None:
    chat = ChatSession(MODELS[0], TOKENIZER, "ism")
    send(chat, "Hi.", [30, 31])
    chat.chunk = 2
    held = len(chat.tokens)
    with pytest.raises(ValueError, match=f"before position {held + 2}, .* position {held} reads on"):
        chat.send("Where is the key?")
    assert (chat.turn, len(chat.tokens), chat.cached) == (1, held, held)
    chat.chunk = 40  # a query whole is fine
    reply = send(chat, "Where is the key?", [33])
    assert_exact(chat, prompt_length(chat, reply), reply)


# -- what-ifs ---------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(models, any_mask(CONTEXT), st.lists(st.tuples(says, answers), min_size=2, max_size=3), st.data())
def test_truncate_then_say_something_else(
    model: GPT, mask: Mask, turns: list[tuple[str, list[int]]], data: st.DataObject
) -> None:
    chat = ChatSession(model, TOKENIZER, mask, system="Be kind.")
    fresh = ChatSession(model, TOKENIZER, mask, system="Be kind.")
    keep = data.draw(st.integers(0, len(turns) - 1))
    for number, (text, answer) in enumerate(turns):
        send(chat, text, answer)
        if number < keep:
            send(fresh, text, answer)
    twin = chat.fork()
    twin.truncate(keep)
    assert twin.messages == fresh.messages
    assert torch.equal(twin.tokens, fresh.tokens)
    assert twin.cached <= len(fresh.tokens)
    got, wanted = (
        send(twin, "The lamp is in the jar.", [50, 51]),
        send(fresh, "The lamp is in the jar.", [50, 51]),
    )
    close(got.logits, wanted.logits)
    assert torch.equal(twin.tokens, fresh.tokens)
    assert_exact(twin, prompt_length(twin, got), got)

    # the original knows nothing of it
    assert chat.turn == len(turns)
    reply = send(chat, "Hi.", [44])
    assert_exact(chat, prompt_length(chat, reply), reply)


def test_a_fork_shares_nothing_that_changes() -> None:
    chat = ChatSession(MODELS[0], TOKENIZER, "ism", system="Be kind.")
    send(chat, "Hi.", [30])
    before = (chat.tokens.tolist(), [dict(m) for m in chat.messages], len(chat.trace), chat.cached)
    one, two = chat.fork(), chat.fork()
    a, b = send(one, "the box", [41]), send(two, "Where is the key?", [42, 43])
    assert_exact(one, prompt_length(one, a), a)
    assert_exact(two, prompt_length(two, b), b)
    assert (chat.tokens.tolist(), chat.messages, len(chat.trace), chat.cached) == before


def test_truncate_bounds() -> None:
    chat = ChatSession(MODELS[0], TOKENIZER, "ism", system="Be kind.")
    send(chat, "Hi.", [30])
    with pytest.raises(ValueError, match="cannot keep 2 turns of a conversation of 1"):
        chat.truncate(2)
    with pytest.raises(ValueError, match="the turns to keep must be at least 0, got -1"):
        chat.truncate(-1)
    chat.truncate(0)
    assert [m["role"] for m in chat.messages] == ["system"]
    bare = ChatSession(MODELS[0], TOKENIZER, "prefix")
    send(bare, "Hi.", [30])
    bare.truncate(0)
    assert (bare.messages, len(bare.tokens), bare.cached) == ([], 0, 0)
    reply = send(bare, "Hi.", [30])
    assert_exact(bare, prompt_length(bare, reply), reply)


# -- the trace --------------------------------------------------------------------------------------------------------


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
    said = len(chat.tokens)
    send(chat, "Where is the key?", [33, 34])
    assert [(e.start, e.stop) for e in phase(chat, 2, "reuse")] == [(0, said)]
    assert [(e.start, e.stop) for e in phase(chat, 2, "prefill")] == [(said, len(encode(chat, 2)))]
    assert [e.positions for e in phase(chat, 2, "decode")] == [1, 1, 1]  # two words and the end
    assert not [e for e in chat.trace if e.phase == "discard"]


def test_prefix_reuses_nothing() -> None:
    chat = ChatSession(MODELS[0], TOKENIZER, "prefix", system="Be kind.")
    send(chat, "Hi.", [30, 31])
    said = len(chat.tokens)
    send(chat, "Where is the key?", [33])
    assert phase(chat, 2, "reuse") == []
    assert [(e.start, e.stop) for e in phase(chat, 2, "discard")] == [(0, said)]
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


# -- the conversation's text ------------------------------------------------------------------------------------------


@settings(max_examples=12)
@given(
    st.lists(
        st.tuples(says, st.sampled_from(["In the box.", "Zolta.", "\u20ac\U0001f511"])),
        min_size=1,
        max_size=2,
    )
)
def test_tokens_and_segments_are_the_encoded_dialogues(turns: list[tuple[str, str]]) -> None:
    chat = ChatSession(MODELS[0], TOKENIZER, "ism", system="Be kind.")
    for text, answer in turns:
        send(chat, text, TOKENIZER.encode_ordinary(" " + answer))
    encoded = encode_dialogue(chat.messages, TOKENIZER)
    assert [m["content"] for m in chat.messages] == [
        "Be kind.",
        *(t for turn in turns for t in turn),
    ]
    assert torch.equal(chat.tokens, encoded.tokens)
    for name in ("id", "is_query", "is_system"):
        assert torch.equal(getattr(chat.segments, name), getattr(encoded.segments, name)), name
    assert chat.room == CONTEXT - len(encoded)


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


def test_an_answer_may_be_empty() -> None:
    chat = ChatSession(MODELS[0], TOKENIZER, "ism")
    reply = send(chat, "Hi.", [])
    assert (reply.text, reply.stopped, len(reply.tokens), len(reply.logits)) == ("", "end", 0, 1)
    assert chat.tokens[-1] == END
    again = send(chat, "the box", [30])
    assert_exact(chat, prompt_length(chat, again), again)


def test_why_a_reply_stopped() -> None:
    chat = ChatSession(MODELS[0], TOKENIZER, "ism")
    with patch.object(Sampler, "pick", return_value=30):
        reply = chat.send("Hi.", max_new_tokens=3)
        assert (reply.stopped, reply.tokens.tolist(), len(reply.logits)) == ("length", [30] * 3, 3)
        assert chat.tokens[-1] == END  # the turn is closed all the same
        reply = chat.send("Hi.", max_new_tokens=1000)
    assert reply.stopped == "context"
    assert len(chat.tokens) == chat.cached == CONTEXT
    assert_exact(chat, prompt_length(chat, reply), reply)


# -- a full context ---------------------------------------------------------------------------------------------------


def state(chat: ChatSession) -> tuple[object, ...]:
    messages = [dict(message) for message in chat.messages]
    return chat.tokens.tolist(), chat.segments.id.tolist(), messages, chat.cached, len(chat.trace)


def test_a_message_that_does_not_fit_changes_nothing() -> None:
    model = random_model(vocab_size=VOCAB, context=24)
    chat = ChatSession(model, TOKENIZER, "prefix")
    send(chat, "Hi.", [30, 31])
    before, used = state(chat), len(chat.tokens)
    needed = len(encode_dialogue([{"role": "user", "content": "key " * 20}], TOKENIZER)) + 2
    message = f"needs {needed} positions .* only {24 - used} of the context's 24 are left after {used}"
    with pytest.raises(ContextFullError, match=message):
        chat.send("key " * 20)
    assert state(chat) == before
    reply = send(chat, "a", [32])  # what fits still does
    assert_exact(chat, prompt_length(chat, reply), reply)


def test_the_shortest_answer_still_fits() -> None:
    length = len(encode_dialogue([{"role": "user", "content": "Hi."}], TOKENIZER))
    tight = ChatSession(random_model(vocab_size=VOCAB, context=length + 2), TOKENIZER, "ism")
    with patch.object(Sampler, "pick", return_value=30):
        assert tight.send("Hi.").stopped == "context"
    assert tight.room == 0
    with pytest.raises(ContextFullError, match="only 0 of the context's"):
        tight.send("Hi.")
    with pytest.raises(ContextFullError):
        ChatSession(random_model(vocab_size=VOCAB, context=length + 1), TOKENIZER, "ism").send("Hi.")


# -- interrupts -------------------------------------------------------------------------------------------------------


@contextmanager
def interrupted(model: GPT, call: int, where: str) -> Iterator[None]:
    """Ctrl-C in the n-th forward: before it, in its last block, or just after it."""
    left = [call]

    def strike(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    register: dict[str, Callable[..., torch.utils.hooks.RemovableHandle]] = {
        "before": model.shift.register_forward_pre_hook,
        "inside": model.blocks[-1].register_forward_pre_hook,
        "after": model.blocks[-1].register_forward_hook,
    }
    hook = register[where](strike)
    try:
        yield
    finally:
        hook.remove()


@settings(max_examples=40)
@given(
    models,
    st.one_of(st.sampled_from(["causal", "ism", "prefix"]).map(get_mask), any_mask(CONTEXT)),
    st.integers(1, 6),
    st.sampled_from(["before", "inside", "after"]),
)
def test_an_interrupt_leaves_a_usable_session(model: GPT, mask: Mask, call: int, where: str) -> None:
    answer = [30, 31, 32]
    chat, calm = (ChatSession(model, TOKENIZER, mask, system="Be kind.") for _ in range(2))
    for session in (chat, calm):
        send(session, "Where is the key?", [20, 21])
    try:
        with interrupted(model, call, where), saying(*answer):
            chat.send("My name is Zolta.")
        assert call > 5  # a prefill, three words, the end
    except KeyboardInterrupt:
        assert call <= 5
    written = chat.reply.tokens.tolist() if chat.turn == 2 and chat.reply else None
    if call == 1:  # nothing was written: the turn is forgotten
        assert written is None
        assert state(chat)[:3] == state(calm)[:3]
    else:  # what was written is kept, and the answer is closed
        assert written == answer[: min(call - 1, 3)]
        assert chat.reply is not None
        assert chat.reply.stopped == ("end" if call > 4 else "interrupted")
        assert len(chat.reply.logits) == min(call - 1, 4)
        send(calm, "My name is Zolta.", written)
    assert torch.equal(chat.tokens, calm.tokens)
    assert chat.messages == calm.messages
    one, two = send(chat, "the box", [40, 41]), send(calm, "the box", [40, 41])
    close(one.logits, two.logits)
    assert_exact(chat, prompt_length(chat, one), one)


@pytest.mark.parametrize("how", ["close", "drop", "send", "truncate", "fork"])
@pytest.mark.parametrize("pieces", [0, 1, 2])
def test_a_stream_that_nobody_reads_to_its_end(how: str, pieces: int) -> None:
    chat, calm = (ChatSession(MODELS[0], TOKENIZER, "ism") for _ in range(2))
    for session in (chat, calm):
        send(session, "Hi.", [20])
    with saying(30, 31, 32):
        stream = chat.stream("Where is the key?")
        for _ in range(pieces):
            next(stream)
        other = chat
        match how:
            case "close":
                stream.close()  # type: ignore[attr-defined]
            case "drop":
                del stream
            case "truncate":
                chat.truncate(chat.turn)
            case "fork":
                other = chat.fork()
    if pieces:
        send(calm, "Where is the key?", [30, 31][:pieces])
    for session in {chat, other}:
        if how != "send":
            assert torch.equal(session.tokens, calm.tokens)
            assert session.messages == calm.messages
    wanted = send(calm, "the box", [40])
    for session in {chat, other}:
        close(send(session, "the box", [40]).logits, wanted.logits)
        assert session.messages == calm.messages
    stream = iter(())
    assert chat.messages == calm.messages  # also when the old stream is gone for good
    assert torch.equal(chat.tokens, calm.tokens)


def test_a_rule_that_fails_half_way_leaves_the_session_as_it_was() -> None:
    small = torch.ones(14, 14, dtype=torch.bool).tril()
    chat = ChatSession(MODELS[0], TOKENIZER, Mask(lambda q, kv, s: small[q, kv], "small"))
    send(chat, "Hi.", [30])
    before = state(chat)
    with pytest.raises(IndexError):
        chat.send("Where is the key? My name is Zolta. Where is the box?")
    assert state(chat)[:4] == before[:4]


# -- sampling ---------------------------------------------------------------------------------------------------------


def sampler(temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None) -> Sampler:
    return Sampler(TOKENIZER, temperature, top_k, top_p, 0)


def scores(seed: int, size: int = VOCAB) -> Tensor:
    return 3 * torch.randn(size, generator=torch.Generator().manual_seed(seed))


BARRED = [TOKENIZER.encode_single_token(f"<|{name}|>") for name in ("system", "user", "assistant", "pad")]


def by_hand(logits: Tensor) -> list[int]:
    """Tokens from the likeliest down, the markers left out."""
    return [t for t in logits[:VOCAB].argsort(descending=True).tolist() if t not in BARRED]


@given(st.integers(0, 999))
def test_greedy_and_all_that_equal_it(seed: int) -> None:
    logits = scores(seed)
    best = by_hand(logits)[0]
    assert sampler(0.0).pick(logits) == best
    assert sampler(1.0, top_k=1).pick(logits) == best
    assert sampler(1.0, top_p=1e-6).pick(logits) == best
    assert sampler(1e-4).pick(logits) == best
    assert sampler(1e-38).pick(logits) == best


def test_top_k_and_top_p_keep_the_likeliest() -> None:
    logits = scores(1)
    ranked = by_hand(logits)
    chance = sampler(2.0, top_k=3)
    assert {chance.pick(logits) for _ in range(300)} == set(ranked[:3])

    # four tokens hold .5 .3 .15 .05 of the probability
    logits = torch.full((VOCAB,), -torch.inf)
    logits[[5, 6, 7, 8]] = torch.tensor([0.15, 0.5, 0.05, 0.3]).log()
    for share, kept in ((0.4, {6}), (0.6, {6, 8}), (0.81, {6, 8, 5}), (1.0, {5, 6, 7, 8})):
        chance = sampler(1.0, top_p=share)
        assert {chance.pick(logits) for _ in range(400)} == kept, share
    chance = sampler(1.0, top_k=2, top_p=0.99)
    assert {chance.pick(logits) for _ in range(200)} == {6, 8}
    assert sampler(1.0, top_k=VOCAB * 2).pick(logits) in {5, 6, 7, 8}


def test_chance_follows_the_scores() -> None:
    logits = torch.full((VOCAB,), -torch.inf)
    logits[[5, 6]] = torch.tensor([0.25, 0.75]).log()
    chance = sampler(1.0)
    share = sum(chance.pick(logits) == 6 for _ in range(2000)) / 2000
    assert abs(share - 0.75) < 0.05
    chance = sampler(0.5)  # .25 and .75 squared: a tenth and nine
    share = sum(chance.pick(logits) == 6 for _ in range(2000)) / 2000
    assert abs(share - 0.9) < 0.04


def test_markers_are_never_written_but_the_end_may_be() -> None:
    for temperature in (0.0, 1.0):
        logits = torch.zeros(VOCAB + 10)
        logits[[*BARRED, *range(VOCAB, VOCAB + 10)]] = 100.0  # rows the tokenizer does not know, too
        chance = sampler(temperature)
        assert {chance.pick(logits) for _ in range(50)}.isdisjoint({*BARRED, *range(VOCAB, VOCAB + 10)})
        logits[END] = 200.0
        assert chance.pick(logits) == END


def test_the_same_seed_gives_the_same_answer() -> None:
    def tokens(seed: int | None) -> list[int]:
        chat = ChatSession(MODELS[0], TOKENIZER, "ism")
        return chat.send("Hi.", max_new_tokens=12, temperature=1.5, seed=seed).tokens.tolist()

    state_before = torch.get_rng_state()
    assert tokens(7) == tokens(7)
    assert tokens(7) != tokens(8)
    assert tokens(None) != tokens(None)
    assert torch.equal(torch.get_rng_state(), state_before)  # nobody else's numbers are touched


def test_greedy_is_the_default_and_needs_no_seed() -> None:
    one, two = (ChatSession(MODELS[2], TOKENIZER, "ism").send("Hi.", max_new_tokens=5) for _ in "ab")
    assert torch.equal(one.tokens, two.tokens)
    for token, row in zip(one.tokens.tolist(), one.logits, strict=False):
        assert token == by_hand(row)[0]


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.1}, "temperature must be 0 or more, and finite, got -0.1"),
        ({"temperature": float("nan")}, "temperature must be 0 or more, and finite, got nan"),
        ({"temperature": float("inf")}, "temperature must be 0 or more, and finite, got inf"),
        ({"top_k": 0}, "top_k must be at least 1, got 0"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1, got 0.0"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1, got 1.1"),
        ({"max_new_tokens": 0}, "max_new_tokens must be at least 1, got 0"),
        ({"max_new_tokens": 2.5}, "max_new_tokens must be a whole number, got 2.5"),
        ({"max_new_tokens": True}, "max_new_tokens must be a whole number, got True"),
        ({"top_k": 2.0}, "top_k must be a whole number, got 2.0"),
        ({"seed": 2**70}, "seed must be from -9223372036854775808 to 18446744073709551615, got 1180591620717411303424"),
        ({"seed": 1.0}, "seed must be a whole number, got 1.0"),
        ({"stop": [""]}, "stop must be texts that are not empty"),
        ({"stop": [3]}, "stop must be texts that are not empty"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    chat = ChatSession(MODELS[0], TOKENIZER, "ism")
    with pytest.raises((TypeError, ValueError), match=message):
        chat.stream("Hi.", **options)
    assert state(chat) == ([], [], [], 0, 0)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (3, TypeError, "a message must be a string, got 3"),
        (None, TypeError, "a message must be a string, got None"),
        ("", ValueError, "the message is empty; say something"),
        (" \n", ValueError, "the message is empty; say something"),
    ],
)
def test_bad_messages(text: str, error: type[Exception], message: str) -> None:
    chat = ChatSession(MODELS[0], TOKENIZER, "ism")
    with pytest.raises(error, match=message):
        chat.send(text)
    assert chat.turn == 0


@pytest.mark.parametrize("options", [{"seed": np.int64(3)}, {"top_k": np.int32(2)}, {"max_new_tokens": np.uint8(2)}])
def test_numpy_integers_are_integers(options: dict[str, Any]) -> None:
    one, two = (ChatSession(MODELS[0], TOKENIZER, "ism") for _ in range(2))
    plain = {name: int(value) for name, value in options.items()}
    calm = {"temperature": 1.0, "seed": 5, "max_new_tokens": 3}
    assert torch.equal(one.send("Hi.", **(calm | options)).tokens, two.send("Hi.", **(calm | plain)).tokens)


@pytest.mark.parametrize("temperature", [1e-46, 5e-324, 1e-300, np.float32(1e-45)])
def test_a_tiny_temperature_is_greedy(temperature: float) -> None:
    row = torch.randn(VOCAB, generator=torch.Generator().manual_seed(2))
    assert Sampler(TOKENIZER, temperature, seed=0).pick(row) == Sampler(TOKENIZER).pick(row)


def test_bad_sessions() -> None:
    with pytest.raises(ValueError, match="unknown mask 'imsm'"):
        ChatSession(MODELS[0], TOKENIZER, "imsm")
    with pytest.raises(ValueError, match="chunk must be at least 1, got 0"):
        ChatSession(MODELS[0], TOKENIZER, "causal", chunk=0)
    with pytest.raises(ValueError, match=f"the tokenizer has {VOCAB} tokens, the model only 40; use"):
        ChatSession(random_model(), TOKENIZER)
    with pytest.raises(TypeError, match="a message must be a string, got 3"):
        ChatSession(MODELS[0], TOKENIZER, system=3)  # type: ignore[arg-type]


def test_the_mask_is_the_one_the_model_was_trained_with() -> None:
    model = random_model(vocab_size=VOCAB, mask="ism(sink=True)")
    assert ChatSession(model, TOKENIZER).mask.name == "ism(sink=True)"


@settings(max_examples=12)
@given(tables(size=CONTEXT))
def test_any_rule_without_a_name(mask: Mask) -> None:
    chat = ChatSession(MODELS[3], TOKENIZER, mask)
    for _ in range(2):
        reply = send(chat, "Hi.", [30])
        assert_exact(chat, prompt_length(chat, reply), reply)


# -- going on, and stopping -------------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(models, any_mask(CONTEXT), st.lists(st.tuples(says, answers), min_size=1, max_size=2))
def test_a_saved_conversation_goes_on(model: GPT, mask: Mask, turns: list[tuple[str, list[int]]]) -> None:
    chat = ChatSession(model, TOKENIZER, mask, system="Be kind.")
    for text, answer in turns:
        send(chat, text, answer)
    again = ChatSession(model, TOKENIZER, mask, messages=encode_safe(chat.messages))
    assert again.messages == encode_safe(chat.messages)
    assert again.turn == len(turns)
    reply = send(again, "Hi.", [30, 31])
    assert_exact(again, prompt_length(again, reply), reply)


def encode_safe(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """The messages as text can hold them: an answer of half a character is another one when it is read again."""
    return [{**message, "content": message["content"] or "?"} for message in messages]


def test_what_cannot_go_on() -> None:
    question = {"role": "user", "content": "Hi."}
    for messages, message in (
        ([question], "message 1 is from 'user', but here the dialogue needs 'assistant'"),
        ([{"role": "assistant", "content": "Hi."}], "message 0 is from 'assistant'"),
        ([{"role": "system", "content": "Be kind."}], "message 1 is from 'system'"),
    ):
        with pytest.raises(ValueError, match=message):
            ChatSession(MODELS[0], TOKENIZER, system="Be kind." if "system" in message else None, messages=messages)
    with pytest.raises(ContextFullError, match=r"has \d+ tokens, which leaves no room for a turn"):
        ChatSession(MODELS[0], TOKENIZER, system="a b c d e f g h " * 60)


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


# -- the weights ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["in place", "load_state_dict", "an optimiser"])
def test_weights_that_change_between_turns_are_noticed(how: str) -> None:
    model = random_model(vocab_size=VOCAB, context=CONTEXT)
    chat = ChatSession(model, TOKENIZER, "ism")
    send(chat, "Where is the key?", [30, 31])
    match how:
        case "in place":
            with torch.no_grad():
                model.blocks[0].get_parameter("norm1").mul_(2)
        case "load_state_dict":
            model.load_state_dict(random_model(9, vocab_size=VOCAB, context=CONTEXT).state_dict())
        case "an optimiser":
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            model(chat.tokens[None]).square().mean().backward()
            optimizer.step()
    reply = send(chat, "Hi.", [33])
    assert_exact(chat, prompt_length(chat, reply), reply)
    assert [event.phase for event in chat.trace if event.turn == 2][:2] == ["discard", "prefill"]


def test_a_table_that_is_edited_between_turns_is_read_anew() -> None:
    table = torch.ones(CONTEXT, CONTEXT, dtype=torch.bool).tril()
    chat = ChatSession(MODELS[0], TOKENIZER, Mask(lambda q, kv, s: table[q, kv], "table"))
    send(chat, "Where is the key?", [30, 31])
    table[5, 2] = False
    reply = send(chat, "Hi.", [33])
    assert_exact(chat, prompt_length(chat, reply), reply)
