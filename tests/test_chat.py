"""The conversation engine: exact for any rule, and never left in an unusable state."""

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

from mini_ism import GPT, ChatSession, Mask, encode_dialogue, get_mask
from mini_ism.chat import ContextFullError
from mini_ism.sampling import Sampler
from tests.sessions import (
    CONTEXT,
    END,
    MODELS,
    VOCAB,
    answers,
    assert_exact,
    models,
    prompt_length,
    saying,
    says,
    send,
    state,
)
from tests.strategies import TOKENIZER, any_rule, close, random_model

# -- exact for any rule; tests/benchmarks has more --------------------------------------------------------------------


@settings(max_examples=10)
@given(
    models,
    any_rule(CONTEXT),
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


@settings(max_examples=10)
@given(models, any_rule(CONTEXT), st.lists(st.tuples(says, answers), min_size=2, max_size=3), st.data())
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


# -- the conversation's text ------------------------------------------------------------------------------------------


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


def test_each_token_is_shown_with_the_scores_it_was_picked_from() -> None:
    chat = ChatSession(MODELS[0], TOKENIZER, "ism")
    seen: list[tuple[int, Tensor]] = []
    with saying(30, 31, 32):
        for number, _ in enumerate(chat.stream("Hi.", on_token=lambda token, logits: seen.append((token, logits)))):
            assert len(seen) == number + 1  # before its piece comes
    assert chat.reply is not None
    assert [token for token, _ in seen] == [30, 31, 32]
    for (_, logits), kept in zip(seen, chat.reply.logits, strict=False):
        assert torch.equal(logits, kept)


# -- a full context ---------------------------------------------------------------------------------------------------


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


@settings(max_examples=25)
@given(
    models,
    st.one_of(st.sampled_from(["causal", "ism", "prefix"]).map(get_mask), any_rule(CONTEXT)),
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
    with pytest.raises(ValueError, match="rule of mask 'small' raised IndexError"):
        chat.send("Where is the key? My name is Zolta. Where is the box?")
    assert state(chat)[:4] == before[:4]


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.1}, "temperature must be at least 0, and finite, got -0.1"),
        ({"temperature": float("nan")}, "temperature must be at least 0, and finite, got nan"),
        ({"temperature": float("inf")}, "temperature must be at least 0, and finite, got inf"),
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
        ({"stop": [3]}, "stop must hold str objects, got 3; give texts that end the answer"),
        ({"stop": 3}, "stop must be Iterable, got 3; give texts that end the answer"),
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
        (3, TypeError, "the message must be a string, got 3"),
        (None, TypeError, "the message must be a string, got None"),
        ("", ValueError, "the message is empty; write something"),
        (" \n", ValueError, "the message is empty; write something"),
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


def test_bad_sessions() -> None:
    with pytest.raises(ValueError, match="unknown mask 'imsm'"):
        ChatSession(MODELS[0], TOKENIZER, "imsm")
    with pytest.raises(ValueError, match="chunk must be at least 1, got 0"):
        ChatSession(MODELS[0], TOKENIZER, "causal", chunk=0)
    with pytest.raises(ValueError, match=f"the tokenizer has {VOCAB} tokens, the model only 40; use"):
        ChatSession(random_model(), TOKENIZER)
    with pytest.raises(TypeError, match=r"model must be GPT, got 'ism'.*load_model"):
        ChatSession("ism", TOKENIZER)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the system prompt is empty; write something"):
        ChatSession(MODELS[0], TOKENIZER, system=" ")
    with pytest.raises(TypeError, match="the system prompt must be a string, got 3"):
        ChatSession(MODELS[0], TOKENIZER, system=3)  # type: ignore[arg-type]


def test_the_mask_is_the_one_the_model_was_trained_with() -> None:
    model = random_model(vocab_size=VOCAB, mask="ism(sink=True)")
    assert ChatSession(model, TOKENIZER).mask.name == "ism(sink=True)"


# -- going on, and stopping -------------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(models, any_rule(CONTEXT), st.lists(st.tuples(says, answers), min_size=1, max_size=2))
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
        ([question], r"send\(\) its last question instead"),
        ([{"role": "assistant", "content": "Hi."}], "message 0 is from 'assistant'"),
        ([{"role": "system", "content": "Be kind."}], "message 1 is from 'system'"),
    ):
        with pytest.raises(ValueError, match=message):
            ChatSession(MODELS[0], TOKENIZER, system="Be kind." if "system" in message else None, messages=messages)
    with pytest.raises(ContextFullError, match=r"has \d+ tokens, which leaves no room for a turn"):
        ChatSession(MODELS[0], TOKENIZER, system="a b c d e f g h " * 60)


# -- the weights ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["in place", "load_state_dict", "an optimiser", "a fused optimiser"])
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
        case "an optimiser" | "a fused optimiser":
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=how == "a fused optimiser")
            model(chat.tokens[None]).square().mean().backward()
            optimizer.step()
    reply = send(chat, "Hi.", [33])
    assert_exact(chat, prompt_length(chat, reply), reply)
    assert [event.phase for event in chat.trace if event.turn == 2][:2] == ["discard", "prefill"]


# -- what else a program may do ----------------------------------------------------------------------------------------


def test_tensors_that_are_handed_out_are_the_caller_s_own() -> None:
    chat = ChatSession(MODELS[0], TOKENIZER, "ism")
    plain = ChatSession(MODELS[0], TOKENIZER, "ism").send("Hi.", max_new_tokens=3)
    reply = chat.send("Hi.", max_new_tokens=3, on_token=lambda _, scores: scores.sub_(scores.max()))
    assert torch.equal(reply.logits, plain.logits)
    before = chat.segments
    kept = before.is_query.clone()
    chat.truncate(0)
    chat.send("Where is the key?", max_new_tokens=3)
    assert torch.equal(before.is_query, kept)


@pytest.mark.parametrize("change", [ChatSession.fork, lambda chat: chat.truncate(0), lambda chat: chat.send("Hi.")])
def test_what_changes_a_session_waits_until_it_has_written(change: Callable[[ChatSession], object]) -> None:
    chat = ChatSession(MODELS[0], TOKENIZER, "ism")
    with pytest.raises(RuntimeError, match="collect in on_token, and act when the reply is there"):
        chat.send("Hi.", on_token=lambda *_: change(chat))
    assert [message["role"] for message in chat.messages] == ["user", "assistant"]
    reply = send(chat, "Hi.", [33])
    assert_exact(chat, prompt_length(chat, reply), reply)


@pytest.mark.parametrize("mask", ["ism", "prefix"])
def test_a_session_may_be_begun_and_forked_under_inference_mode(mask: str) -> None:
    with torch.inference_mode():
        chat = ChatSession(MODELS[0], TOKENIZER, mask, system="Be kind.")
        send(chat, "Hi.", [30])
        twin = chat.fork()
    for each in (chat, twin):
        reply = send(each, "Where is the key?", [31, 32])
        assert_exact(each, prompt_length(each, reply), reply)


@pytest.mark.parametrize("mask", ["causal", "ism", "prefix"])
def test_a_session_minds_no_default_device(mask: str) -> None:
    torch.set_default_device("meta")  # on which nothing can be read
    try:
        chat = ChatSession(MODELS[0], TOKENIZER, mask, system="Be kind.", chunk=None)
        chat.send("Hi.", max_new_tokens=3, temperature=1.0, seed=1)
        reply = send(chat.fork(), "Where is the key?", [31, 32])
    finally:
        torch.set_default_device(None)
    assert reply.logits.device == reply.tokens.device == chat.tokens.device == torch.device("cpu")


def test_nothing_may_be_given_as_none() -> None:
    chat = ChatSession(MODELS[0], TOKENIZER, "ism", messages=None)
    assert chat.send("Hi.", max_new_tokens=2, stop=None).stopped == "length"


def test_a_model_and_a_tokenizer_in_each_other_s_place() -> None:
    model: Any = MODELS[0]
    with pytest.raises(TypeError, match=r"model must be GPT, got <Encoding .*; take one that load_model"):
        ChatSession(TOKENIZER, model)  # type: ignore[arg-type]


def test_a_table_that_is_edited_between_turns_is_read_anew() -> None:
    table = torch.ones(CONTEXT, CONTEXT, dtype=torch.bool).tril()
    chat = ChatSession(MODELS[0], TOKENIZER, Mask(lambda q, kv, s: table[q, kv], "table"))
    send(chat, "Where is the key?", [30, 31])
    table[5, 2] = False
    reply = send(chat, "Hi.", [33])
    assert_exact(chat, prompt_length(chat, reply), reply)
