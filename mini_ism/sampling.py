"""Picking the next token from a model's scores."""

from __future__ import annotations

import math

import tiktoken
import torch
from torch import Tensor

from mini_ism.dialogue import NEVER_WRITTEN


class Sampler:
    """Picks a token from scores: the likeliest, or one drawn among the likeliest. Markers but the end are never picked.

    Args:
        tokenizer: of the model.
        temperature: 0 = always the likeliest token, 1 = as the model believes.
        top_k: draw among the k likeliest only.
        top_p: draw among the fewest tokens that hold this share of the probability (1904.09751).
        seed: for the same tokens again.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(
        self,
        tokenizer: tiktoken.Encoding,
        temperature: float,
        top_k: int | None,
        top_p: float | None,
        seed: int | None,
    ) -> None:
        if not 0 <= temperature < math.inf:
            raise ValueError(f"temperature must be 0 or more, and finite, got {temperature}")
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        if top_p is not None and not 0 < top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {top_p}")
        self.temperature, self.top_k, self.top_p = temperature, top_k, top_p
        self.forbidden_ids = [tokenizer.encode_single_token(marker) for marker in NEVER_WRITTEN]
        self.vocab_size = tokenizer.n_vocab
        self.generator = torch.Generator()
        if seed is None:
            self.generator.seed()
        else:
            self.generator.manual_seed(seed)

    def pick(self, logits: Tensor) -> int:
        """A token, given the scores ``[V]`` of all."""
        scores = logits[: self.vocab_size].clone()
        scores[self.forbidden_ids] = -torch.inf
        if self.temperature == 0:
            return int(scores.argmax())
        if self.top_k is not None and self.top_k < len(scores):
            scores[scores < scores.topk(self.top_k).values[-1]] = -torch.inf
        odds = ((scores - scores.max()) / self.temperature).softmax(0)
        if self.top_p is not None:
            ranked, order = odds.sort(descending=True)
            odds[order[ranked.cumsum(0) - ranked >= self.top_p]] = 0.0  # those after the share is reached
        return int(torch.multinomial(odds, 1, generator=self.generator))
