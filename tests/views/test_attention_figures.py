"""Attention for paper: figures say what they show."""

import re

import pytest
import torch

from mini_ism import GPT
from mini_ism.attention_stats import look_ahead_share, read_attention
from mini_ism.dialogue import EncodedDialogue
from mini_ism.views import (
    Figure,
    attention_figure,
    difference_figure,
    head_bars_figure,
    heads_figure,
    stages_figure,
    tokenized,
)
from tests.views.drawn import TOKENIZER


@pytest.mark.slow
def test_figures_say_what_they_show(model: GPT, encoded: EncodedDialogue) -> None:
    own, other = read_attention(model, encoded), read_attention(model, encoded, "causal")
    dialogue = tokenized(encoded, TOKENIZER)
    pair, swapped = (own.weights[0, 0], own.allowed), (other.weights[0, 0], other.allowed)
    shares = look_ahead_share(own.weights, own.allowed)
    captions = [["x"] * 2] * 2
    bars = {"ism": shares, "causal": torch.zeros(2, 2)}
    stages = own.scores[0, 0, 2], own.allowed[2], own.weights[0, 0, 2], dialogue, 2
    swap = r"one: name \(2\) looks at .*; two: name \(2\) looks at .*; 0% of it lies ahead"
    cases: list[tuple[Figure, str]] = [
        (attention_figure(pair, dialogue), "Attention over"),
        (attention_figure({"one": pair, "two": swapped}, dialogue, row=2), swap),
        (difference_figure(pair, swapped, dialogue, titles=("ism", "causal"), row=2), "a row moves"),
        (heads_figure(own.weights, own.allowed, captions, title="Heads"), "layer 2 head 2: x"),
        (head_bars_figure(bars, ylabel="ahead", even={"ism": 0.4, "causal": 0.0}), "evenly it would be 40%"),
        (stages_figure(*stages), "Three stages"),
    ]
    for figure, words in cases:
        assert re.search(words, figure.alt), figure.alt
        assert figure._repr_mimebundle_()[0]["image/png"]
