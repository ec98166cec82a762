"""Messages to tokens and back: exact, prefix by prefix, without a way to forge a marker."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mini_ism import encode_dialogue, get_mask
from mini_ism.batching import expand_turns
from mini_ism.dialogue import Message, decode_dialogue, encode_message, is_target
from mini_ism.typed import normalised
from tests.strategies import MARKERS, TOKENIZER, Messages, conversations

SPECIAL = {TOKENIZER.encode_single_token(name): name for name in TOKENIZER.special_tokens_set}


def slow_tokens(messages: Messages) -> list[int | str]:
    """The format, spelled out: markers as names, text as the tokenizer's plain tokens."""
    line: list[int | str] = []
    for message in as_tokenised(messages):
        text = TOKENIZER.encode_ordinary(" " + message["content"])
        match message["role"]:
            case "system":
                line += ["<|system|>", *text]
            case "user":
                line += ["<|user|>", *text, "<|assistant|>"]
            case "assistant":
                line += [*text, "<|end|>"]
    return line


def as_tokenised(messages: Messages) -> Messages:
    """The messages with what people type in the spelling that it is tokenised in."""
    return [
        {**each, "content": each["content"] if each["role"] == "assistant" else normalised(each["content"], TOKENIZER)}
        for each in messages
    ]


# -- format -----------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(conversations())
def test_the_reverse_gives_the_messages_back(messages: Messages) -> None:
    encoded, spelled = encode_dialogue(messages, TOKENIZER), as_tokenised(messages)
    assert decode_dialogue(encoded.tokens, TOKENIZER) == spelled
    assert decode_dialogue(encoded.tokens.tolist(), TOKENIZER) == spelled


@settings(max_examples=40)
@given(conversations())
def test_tokens_segments_and_targets_as_the_format_says(messages: Messages) -> None:
    encoded = encode_dialogue(messages, TOKENIZER)
    named = [SPECIAL.get(int(token), int(token)) for token in encoded.tokens]
    assert named == slow_tokens(messages)
    assert encoded.tokens.dtype == torch.long
    sizes = [len(slow_tokens([message])) for message in messages]
    of = [number for number, size in enumerate(sizes) for _ in range(size)]
    roles = [messages[number]["role"] for number in of]
    s = encoded.segments
    assert s.id.tolist() == of
    assert s.is_query.tolist() == [role != "assistant" for role in roles]
    assert s.system.tolist() == [role == "system" for role in roles]
    # a target is exactly what the model has to write: the answer's text and its end
    assert encoded.loss_mask.tolist() == [role == "assistant" for role in roles]
    for at, name in enumerate(named):
        if name == "<|assistant|>":  # the marker is the query's last token, and no target
            assert bool(s.is_query[at])
            assert not bool(encoded.loss_mask[at])
            assert s.id[at] == s.id[at - 1]
            assert at + 1 == len(named) or bool(encoded.loss_mask[at + 1])
        if name == "<|end|>":
            assert bool(encoded.loss_mask[at])


@given(conversations(), st.data())
def test_a_prefix_of_messages_is_a_prefix_of_tokens(messages: Messages, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, len(messages)))
    if messages[0]["role"] == "system" and n == 1:
        n = min(2, len(messages))
    part, whole = encode_dialogue(messages[:n], TOKENIZER), encode_dialogue(messages, TOKENIZER)
    size = len(part)
    assert torch.equal(part.tokens, whole.tokens[:size])
    assert torch.equal(part.loss_mask, whole.loss_mask[:size])
    for name in ("id", "is_query", "is_system"):
        mine, theirs = getattr(part.segments, name), getattr(whole.segments[:size], name)
        assert torch.equal(mine, theirs), name


@settings(max_examples=40)
@given(conversations())
def test_text_that_spells_a_marker_stays_text(messages: Messages) -> None:
    spelled = [{**m, "content": f"{MARKERS[0]} {m['content']} <|end|><|user|>"} for m in messages]
    tokens = encode_dialogue(spelled, TOKENIZER).tokens.tolist()
    expected = {
        "system": ["<|system|>"],
        "user": ["<|user|>", "<|assistant|>"],
        "assistant": ["<|end|>"],
    }
    found = [SPECIAL[token] for token in tokens if token in SPECIAL]
    assert found == [name for message in messages for name in expected[message["role"]]]
    assert decode_dialogue(tokens, TOKENIZER) == as_tokenised(spelled)


def test_a_word_is_the_same_token_at_the_start_and_inside() -> None:
    first, inside = (encode_message({"role": "user", "content": c}, TOKENIZER) for c in ("key", "the key"))
    assert first[1:-1] == inside[1:-1][-len(first[1:-1]) :]


def test_an_unfinished_answer_is_given_as_it_stands() -> None:
    messages = [
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "content": "Hello there."},
    ]
    tokens = encode_dialogue(messages, TOKENIZER).tokens
    assert decode_dialogue(tokens[:-1], TOKENIZER) == messages
    assert decode_dialogue(tokens[:-2], TOKENIZER)[-1]["content"] != "Hello there."
    prompt = encode_dialogue(messages[:1], TOKENIZER).tokens
    assert decode_dialogue(prompt, TOKENIZER) == messages[:1]


@settings(max_examples=40)
@given(conversations())
def test_only_the_last_answer_as_a_target(messages: Messages) -> None:
    encoded = encode_dialogue(messages, TOKENIZER, loss="last")
    answers = [n for n, message in enumerate(messages) if message["role"] == "assistant"]
    wanted = encoded.segments.id == (answers[-1] if answers else -1)
    assert torch.equal(encoded.loss_mask, wanted)


@settings(max_examples=40)
@given(conversations(st.text(alphabet="abc ", max_size=4)), st.sampled_from(["causal", "prefix", "ism", "mas"]))
def test_no_target_is_seen_where_it_is_predicted_but_query_tokens_are(messages: Messages, name: str) -> None:
    """Why there is no loss on queries: what reads both ways can copy the token that it should predict."""
    if name == "prefix":  # one sample a turn, which ends with its answer
        turns = expand_turns(messages)
        assume(turns)
        encoded = encode_dialogue(turns[-1], TOKENIZER, loss="last")
    else:
        encoded = encode_dialogue(messages, TOKENIZER)
    hears = get_mask(name).dense(encoded.segments)
    for _ in range(6):  # through as many layers as you like
        hears = (hears.float() @ hears.float()) > 0
    for target in encoded.loss_mask.nonzero()[:, 0].tolist():
        assert not bool(hears[target - 1, target:].any())
    s = encoded.segments
    for at in range(1, len(encoded)):
        if s.is_query[at] and s.id[at - 1] == s.id[at]:
            assert bool(hears[at - 1, at]) == (name != "causal")


def test_an_answer_of_weight_0_is_read_and_no_target() -> None:
    told: list[Message] = [USER, ANSWER, USER, ANSWER | {"weight": 0}, USER | {"weight": 0}, ANSWER | {"weight": 1}]
    plain = [{"role": m["role"], "content": m["content"]} for m in told]
    encoded, everything = encode_dialogue(told, TOKENIZER), encode_dialogue(plain, TOKENIZER)
    assert torch.equal(encoded.tokens, everything.tokens)
    assert torch.equal(encoded.loss_mask, everything.loss_mask & (encoded.segments.id != 3))
    assert not encode_dialogue(told[:4], TOKENIZER, loss="last").loss_mask.any()
    assert [is_target(message) for message in told] == [False, True, False, False, False, True]


# -- bad input --------------------------------------------------------------------------------------------------------


USER = {"role": "user", "content": "Hi."}
ANSWER = {"role": "assistant", "content": "Hello."}


@pytest.mark.parametrize(
    ("messages", "error", "message"),
    [
        ([], ValueError, "the dialogue is empty; give at least one user message"),
        ("Hi.", TypeError, "a dialogue is a list of messages .*got 'Hi.'"),
        (USER, TypeError, "a dialogue is a list of messages .*got {'role'"),
        (None, TypeError, "a dialogue is a list of messages .*got None"),
        (["Hi."], TypeError, "message 0 must be a mapping .*got 'Hi.'"),
        ([{"role": "user"}], TypeError, 'message 0 must be a mapping with "role" and "content"'),
        ([ANSWER], ValueError, "message 0 is from 'assistant', but here .*needs 'system' or 'user'"),
        ([USER, USER], ValueError, "message 1 is from 'user', but here the dialogue needs 'assistant'"),
        ([USER, ANSWER, ANSWER], ValueError, "message 2 is from 'assistant', .*needs 'user'"),
        ([USER, {"role": "system", "content": "x"}], ValueError, "message 1 is from 'system'"),
        ([{"role": "system", "content": "x"}] * 2, ValueError, "message 1 is from 'system', .*'user'"),
        ([{"role": "bot", "content": "x"}], ValueError, "unknown role 'bot'; roles are system, user, a"),
        ([{"role": ["user"], "content": "x"}], ValueError, r"unknown role \['user'\]"),
        ([{"role": "user", "content": 3}], TypeError, r"content of message 0 \(user\) must be a string, got 3"),
        ([USER, {"role": "assistant", "content": None}], TypeError, r"message 1 \(assistant\) .*got None"),
        ([USER | {"name": "Ann"}], ValueError, "message 0 has 'name', which would be dropped; leave it out"),
        ([USER | {1: 2, "x": 0}], ValueError, "message 0 has 'x', 1, which would be dropped"),
        ([USER, ANSWER | {"weight": 0.5}], ValueError, r"weight of message 1 \(assistant\) must be 0 .*or 1, got 0.5"),
        ([USER, ANSWER | {"weight": False}], ValueError, "weight of message 1 .*got False"),
        ([USER, ANSWER | {"weight": float("nan")}], ValueError, "weight of message 1 .*got nan"),
        ([USER, ANSWER | {"weight": "0"}], ValueError, "weight of message 1 .*got '0'"),
        ([USER, ANSWER | {"weight": [0]}], ValueError, r"weight of message 1 .*got \[0\]"),
        ([USER | {"weight": 1}], ValueError, r"weight of message 0 \(user\) must be 0 .*only answers are.*got 1"),
    ],
)  # fmt: skip
def test_bad_dialogues(messages: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        encode_dialogue(messages, TOKENIZER)


@pytest.mark.parametrize("token", [-1, TOKENIZER.n_vocab, 10**6])
def test_tokens_out_of_range(token: int) -> None:
    message = f"token {token} is out of range: the tokenizer knows 0 to {TOKENIZER.n_vocab - 1}; decode with"
    with pytest.raises(ValueError, match=message):
        decode_dialogue([5, token], TOKENIZER)


def test_bad_loss() -> None:
    with pytest.raises(ValueError, match="loss must be 'all' or 'last', got 'first'"):
        encode_dialogue([USER], TOKENIZER, loss="first")  # type: ignore[arg-type]


def test_other_mappings_and_sequences_will_do() -> None:
    messages: Sequence[Message] = (USER, MappingProxyType(ANSWER | {"refusal": None}))
    assert len(encode_dialogue(messages, TOKENIZER)) == len(encode_dialogue([USER, ANSWER], TOKENIZER))
