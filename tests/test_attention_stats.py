"""Attention read and measured: the weights are the model's."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_ism import GPT, GPTConfig, encode_dialogue, get_mask, load_tokenizer
from mini_ism.attention_stats import (
    entropy,
    look_ahead,
    look_ahead_share,
    may_look_ahead,
    read_attention,
    uniform_attention,
)
from mini_ism.batching import collate
from mini_ism.dialogue import EncodedDialogue
from mini_ism.widgets.panel import EXAMPLE

TOKENIZER = load_tokenizer()
RULES = ["causal", "prefix", "ism", "causal & sliding_window(3)"]


def tiny(rule: str = "ism", seed: int = 0, **shape: Any) -> GPT:
    torch.manual_seed(seed)
    sizes = {"layers": 2, "heads": 2, "width": 16, "context": 200, **shape}
    return GPT(GPTConfig(TOKENIZER.n_vocab, mask=rule, **sizes))


@pytest.fixture(scope="module")
def model() -> GPT:
    return tiny()


@pytest.fixture
def dialogue() -> EncodedDialogue:
    return encode_dialogue(EXAMPLE, TOKENIZER)


# -- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("rotary", [0.0, 0.25, 1.0])
def test_scores_masked_and_softmaxed_are_the_model_s_weights(
    rule: str, rotary: float, dialogue: EncodedDialogue
) -> None:
    reading = read_attention(tiny(rotary_pct=rotary), dialogue, rule)
    spelled_out = reading.scores.masked_fill(~reading.allowed, -torch.inf).softmax(-1)
    torch.testing.assert_close(spelled_out, reading.weights, atol=1e-6, rtol=0)
    assert torch.equal(reading.allowed, get_mask(rule).dense(dialogue.segments))
    assert bool((reading.weights[..., ~reading.allowed] == 0).all())


def test_the_logits_are_those_of_the_plain_forward_and_no_hook_stays(model: GPT, dialogue: EncodedDialogue) -> None:
    reading = read_attention(model, dialogue)
    with torch.no_grad():
        plain = model(dialogue.tokens[None], reading.allowed)[0]
    torch.testing.assert_close(reading.logits, plain, atol=1e-5, rtol=0)
    assert all(not block.get_submodule("attention")._forward_pre_hooks for block in model.blocks)


def test_bad_input_is_refused_and_leaves_no_hook(model: GPT, dialogue: EncodedDialogue) -> None:
    with pytest.raises(ValueError, match="one dialogue at a time"):
        read_attention(model, collate([dialogue, dialogue], TOKENIZER))
    long = encode_dialogue([{"role": "user", "content": "cup " * 300}], TOKENIZER)
    with pytest.raises(ValueError, match="tokens exceed the model's context of 200; shorten a message or leave out"):
        read_attention(model, long)
    with pytest.raises(TypeError, match="model must be GPT"):
        read_attention((model, TOKENIZER), dialogue)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown mask"):
        read_attention(model, dialogue, "ims")
    assert all(not block.get_submodule("attention")._forward_pre_hooks for block in model.blocks)


# -- numbers ---------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.integers(1, 9), st.integers(0, 2**31))
def test_statistics_against_loops(total: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    allowed = (torch.rand(total, total, generator=generator) < 0.5) | torch.eye(total, dtype=torch.bool)
    weights = torch.randn(3, total, total, generator=generator).masked_fill(~allowed, -torch.inf).softmax(-1)
    for head in range(3):
        shares, rows = [], []
        for i in range(total):
            share = sum(float(weights[head, i, j]) for j in range(i + 1, total))
            shares.append(share)
            rows += [share] if any(bool(allowed[i, j]) for j in range(i + 1, total)) else []
            bits = -sum(float(w) * np.log2(float(w)) for w in weights[head, i] if w > 0)
            assert float(entropy(weights)[head, i]) == pytest.approx(bits, abs=1e-4)
        assert look_ahead(weights)[head].tolist() == pytest.approx(shares, abs=1e-5)
        wanted = sum(rows) / len(rows) if rows else 0
        assert float(look_ahead_share(weights, allowed)[head]) == pytest.approx(wanted, abs=1e-5)
    spread = uniform_attention(allowed)
    torch.testing.assert_close(spread.sum(-1), torch.ones(total))
    assert torch.equal(spread > 0, allowed)


def test_known_values() -> None:
    assert entropy(torch.tensor([[1.0, 0, 0, 0], [0.25] * 4])).tolist() == [0, 2]
    triangle = torch.ones(5, 5, dtype=torch.bool).tril()
    assert not bool(may_look_ahead(triangle).any())
    assert look_ahead_share(uniform_attention(triangle), triangle).item() == 0
    square = torch.ones(4, 4, dtype=torch.bool)  # rows may put 3/4, 2/4, 1/4 ahead; the last may not look ahead
    assert look_ahead_share(uniform_attention(square), square).item() == pytest.approx(0.5)
    with pytest.raises(ValueError, match="all rows"):
        look_ahead(torch.ones(2, 5))
