"""The names that others script against, with their signatures."""

import inspect
import subprocess
import sys
from typing import Any, get_type_hints

import pytest
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
    views,
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


@pytest.mark.slow
def test_the_core_draws_nothing() -> None:
    """All of the core is loaded without a picture, a widget or matplotlib; what draws comes when it is asked for."""
    code = """
import pkgutil, sys, mini_ism
for module in pkgutil.iter_modules(mini_ism.__path__):
    if not module.ispkg and module.name not in ("__main__", "turn_bench"):  # a command, and what it prints
        __import__(f"mini_ism.{module.name}")
drawn = [name for name in sys.modules if name.split(".")[0] in ("matplotlib", "ipywidgets")
         or name.startswith(("mini_ism.views", "mini_ism.widgets"))]
assert not drawn, drawn
mini_ism.show_dialogue, mini_ism.cost_table
from mini_ism.views import mask_map, svg, tokenized
assert "matplotlib" not in sys.modules
from mini_ism.views import mask_figure
assert "matplotlib" in sys.modules
import mini_ism.hf, mini_ism.__main__
assert not {"transformers", "tokenizers", "peft"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    for package, unknown in ((mini_ism, "drawing"), (views, "drawing")):
        with pytest.raises(AttributeError, match="has no attribute 'drawing'"):
            getattr(package, unknown)
    assert all(hasattr(views, name) for name in views.__all__)


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


PROMISED = """
from mini_ism import (Segments, Mask, get_mask, register_mask, reusable, load_tokenizer, encode_dialogue, GPT, GPTConfig,
                      KVCache, ChatSession, load_model)
s = Segments(id=id, is_query=is_query)
get_mask("ism").dense(s)
get_mask("ism").dense(s, rows=slice(a, b))
get_mask("causal") | Mask(lambda q, kv, s: ...)
reusable(mask, old, new)
e = encode_dialogue(messages, tokenizer)
logits = GPT(config)(tokens, mask=None, cache=None)
model, tokenizer = load_model("ism")
chat = ChatSession(model, tokenizer, mask="ism"); reply = chat.send("where is the key?", max_new_tokens=32)
chat.tokens, chat.segments, chat.trace, reply.text, reply.tokens
"""  # noqa: E501


def test_the_promised_lines_run_as_they_stand() -> None:
    """Only what they take for given is added: a dialogue, a mask, a shape."""
    tokenizer = load_tokenizer()
    ids = torch.tensor([0, 0, 1, 2])
    old = Segments(id=ids[:3], is_query=torch.tensor([True, True, False]))
    new = Segments(id=ids, is_query=torch.tensor([True, True, False, True]))
    names: dict[str, Any] = {
        **{"id": ids, "is_query": new.is_query, "a": 1, "b": 3, "mask": get_mask("ism"), "old": old, "new": new},
        "messages": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}],
        **{"tokenizer": tokenizer, "config": GPTConfig(), "tokens": torch.tensor([[1, 2, 3]])},
    }
    exec(PROMISED, names)
    e, chat, reply = names["e"], names["chat"], names["reply"]
    assert e.tokens.dtype == torch.long
    assert e.loss_mask.dtype == torch.bool
    assert e.tokens.shape == e.loss_mask.shape == e.segments.id.shape
    assert names["logits"].shape == (1, 3, GPTConfig().vocab_size)
    assert names["model"].config.mask == "ism"
    assert isinstance(reply.text, str)
    assert reply.tokens.tolist() == chat.tokens[-1 - len(reply.tokens) : -1].tolist()
    assert [event.phase for event in chat.trace][:2] == ["prefill", "decode"]


def test_the_issue_s_lines_run() -> None:
    """The lines that the package promises, on an untrained model, and what they give."""
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
