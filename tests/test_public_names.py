"""The names that others script against, with their signatures."""

import inspect
from typing import get_type_hints

import torch

import mini_ism
from mini_ism import (
    GPT,
    ChatSession,
    GPTConfig,
    KVCache,
    Mask,
    Segments,
    encode_dialogue,
    get_mask,
    load_model,
    load_tokenizer,
    register_mask,
    reusable,
)
from tests.strategies import random_model

NAMES = (
    Segments,
    Mask,
    get_mask,
    register_mask,
    reusable,
    load_tokenizer,
    encode_dialogue,
    GPT,
    GPTConfig,
)


def parameters(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)  # type: ignore[arg-type]


def test_they_are_there() -> None:
    for thing in (*NAMES, KVCache, ChatSession, load_model):
        assert thing.__name__ in mini_ism.__all__
        assert getattr(mini_ism, thing.__name__) is thing
    assert all(hasattr(mini_ism, name) for name in mini_ism.__all__)


def test_signatures() -> None:
    assert parameters(Segments)[:2] == ["id", "is_query"]
    assert parameters(Mask)[:1] == ["rule"]
    assert parameters(Mask.dense)[1:] == ["segments", "rows"]
    assert parameters(reusable) == ["mask", "old", "new"]
    assert get_type_hints(reusable)["return"] is int
    assert parameters(encode_dialogue)[:2] == ["messages", "tokenizer"]
    assert parameters(GPT.forward)[1:4] == ["tokens", "mask", "cache"]
    assert parameters(load_model)[:1] == ["name"]
    assert inspect.signature(load_model).parameters["name"].default == "ism"
    assert parameters(ChatSession)[:3] == ["model", "tokenizer", "mask"]
    assert "max_new_tokens" in parameters(ChatSession.stream)


def test_the_issue_s_lines_run() -> None:
    """The lines that the package promises, on an untrained model."""
    tokenizer = load_tokenizer()
    s = Segments(id=torch.tensor([0, 0, 1]), is_query=torch.tensor([True, True, False]))
    assert get_mask("ism").dense(s).shape == (3, 3)
    assert get_mask("ism").dense(s, rows=slice(1, 3)).shape == (2, 3)
    own = get_mask("causal") | Mask(lambda q, kv, s: s.id[q] == s.id[kv])
    assert own.dense(s).tolist() == [[True, True, False], [True, True, False], [True] * 3]
    assert reusable(own, s[:2], s) == 2
    e = encode_dialogue([{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Yes."}], tokenizer)
    assert e.tokens.ndim == e.loss_mask.ndim == e.segments.id.ndim == 1
    model = random_model(vocab_size=tokenizer.n_vocab)
    logits = model(e.tokens[None], mask=e.segments and get_mask("ism").dense(e.segments), cache=None)
    assert logits.shape == (1, len(e), tokenizer.n_vocab)
    chat = ChatSession(model, tokenizer, mask="ism")
    reply = chat.send("where is the key?", max_new_tokens=3)
    assert isinstance(reply.text, str)
    assert len(chat.tokens) == len(chat.segments) >= len(reply.tokens)
    assert chat.trace[0].phase == "prefill"
