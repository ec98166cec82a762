"""A Hugging Face model's attention as the explorer shows it: exact, and refused where it is not the model's own."""

from __future__ import annotations

import weakref
from typing import Any
from unittest.mock import patch

import pytest
import torch

from mini_ism import get_mask
from mini_ism.functional import attention_weights
from mini_ism.hf import HFAttention, UnfitAttentionError, attention_mask
from mini_ism.widgets import AttentionExplorer
from tests.hf.templates import MESSAGES, tokenizer
from tests.hf.tiny import ARCHITECTURES, tiny
from tests.strategies import close


def reader(name: str = "llama", mask: str = "ism(sink=True)", attention: str = "sdpa") -> HFAttention:
    return HFAttention(tiny(name, attention), tokenizer("chatml"), mask)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("mask", ["causal", "ism(sink=True)"])
def test_weights_are_a_softmax_under_the_mask_and_logits_the_model_s(name: str, mask: str) -> None:
    looked = reader(name, mask)
    inner: Any = looked.model.inner
    encoded = looked.encode(MESSAGES[:3])
    record = looked.read(encoded)
    T, layers = len(encoded), 16 if name == "hrm_text" else 2
    assert record.weights.shape[0] == record.scores.shape[0]
    assert record.weights.shape[0] <= layers
    assert record.weights.shape[2:] == record.scores.shape[2:] == (T, T)
    assert torch.equal(record.allowed, get_mask(mask).dense(encoded.segments))
    assert not record.weights[..., ~record.allowed].any()
    close(record.weights.sum(-1), torch.ones(record.weights.shape[:-1]))
    with torch.no_grad():
        given = attention_mask(inner, record.allowed, 0)
        close(record.logits, inner(encoded.tokens[None], attention_mask=given).logits[0])
    assert inner.config.get_text_config()._attn_implementation == "sdpa"


@pytest.mark.parametrize("mask", ["causal", "ism(sink=True)"])
def test_they_are_what_transformers_gives_under_eager(mask: str) -> None:
    looked = reader(mask=mask, attention="eager")
    inner: Any = looked.model.inner
    encoded = looked.encode(MESSAGES)
    record = looked.read(encoded)
    with torch.no_grad():
        given = attention_mask(inner, record.allowed, 0)
        told = inner(encoded.tokens[None], attention_mask=given, output_attentions=True).attentions
    close(record.weights, torch.cat(told))
    close(record.scores.masked_fill(~record.allowed, -torch.inf).softmax(-1), record.weights)


def test_an_attention_that_is_more_than_a_mask_is_refused() -> None:
    looked = reader()
    inner: Any = looked.model.inner
    encoded = looked.encode(MESSAGES[:1])
    with (
        patch("mini_ism.hf.attention.attention_weights", lambda scores, mask: scores.tanh().softmax(-1)),
        pytest.raises(UnfitAttentionError, match="LlamaForCausalLM is more than queries, keys and a mask"),
    ):
        looked.read(encoded)
    assert inner.config._attn_implementation == "sdpa"


def test_nothing_is_kept_of_what_was_read() -> None:
    looked, noted = reader(), []

    def watched(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        weights = attention_weights(scores, mask)
        noted.extend([weakref.ref(scores), weakref.ref(weights)])
        return weights

    with patch("mini_ism.hf.attention.attention_weights", watched):
        looked.read(looked.encode(MESSAGES[:3]))
    assert [kept() for kept in noted] == [None] * 4


def test_the_explorer_shows_it() -> None:
    explorer = AttentionExplorer({"llama": reader(), "gemma": reader("gemma3", "causal")}, MESSAGES[:3])
    assert (explorer.layer.max, explorer.head.max) == (2, 4)
    encoded = reader().encode(MESSAGES[:3])
    assert explorer.row.value == len(encoded) - 1  # where the answer begins
    assert "llama, layer" in explorer.status
    assert "under ism(sink=True)" in explorer.status
    explorer.row.value, explorer.view.value = 3, "swapped"
    assert "under causal" in explorer.status
    explorer.model.value = "gemma"
    assert explorer.error == ""
    assert "gemma, layer" in explorer.status
    assert "%" in explorer.facts.value
