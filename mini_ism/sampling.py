"""Picking the next token from a model's logits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import tiktoken
import torch
from torch import Tensor

from mini_ism.checks import real_number, whole_number
from mini_ism.dialogue import chat_format
from mini_ism.interfaces import ChatFormat


class Sampler:
    """Picks a token from logits: the likeliest, or one sampled among the likeliest; never one that no answer contains.

    Args:
        tokenizer: the model's tokenizer or chat format.
        temperature: 0 = always the likeliest token, 1 = the model's own probabilities.
        top_k: sample among the k likeliest only.
        top_p: sample among the fewest tokens that hold this share of the probability (1904.09751).
        seed: makes the tokens reproducible.

    Raises:
        TypeError: an option is not a number, or not a whole number where one is needed.
        ValueError: an option is out of range or not finite.
    """

    def __init__(
        self,
        tokenizer: tiktoken.Encoding | ChatFormat,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> None:
        self.temperature = real_number("temperature", temperature, 0)
        self.top_k = None if top_k is None else whole_number("top_k", top_k, 1)
        self.top_p = None if top_p is None else real_number("top_p", top_p, 0, 1, above=True)
        style = chat_format(tokenizer)
        self.vocab_size = style.n_vocab
        self._forbidden = torch.zeros(self.vocab_size, device="cpu")
        self._forbidden[list(style.forbidden_ids)] = -torch.inf
        self.generator = torch.Generator()
        if seed is None:
            self.generator.seed()
        else:
            self.generator.manual_seed(whole_number("seed", seed, -(2**63), 2**64 - 1))

    def pick(self, logits: Tensor) -> int:
        """A token, given logits ``[V]``; raises ``ValueError`` if they are not finite."""
        scores = logits[: self.vocab_size] + self._forbidden
        best = int(scores.argmax())
        if not math.isfinite(scores[best]):  # NaN counts as the largest
            raise ValueError(f"the model's scores are not finite ({float(scores[best])}): its weights are damaged")
        if self.temperature == 0:
            return best
        if self.top_k is not None and self.top_k < len(scores):
            scores[scores < scores.topk(self.top_k).values[-1]] = -torch.inf
        # In float64, where no temperature above 0 vanishes.
        odds = ((scores - scores.max()).double() / self.temperature).softmax(0)
        if self.top_p is not None:
            ranked, order = odds.sort(descending=True)
            odds[order[ranked.cumsum(0) - ranked >= self.top_p]] = 0.0  # those after the share is reached
        return int(torch.multinomial(odds, 1, generator=self.generator))


LONGEST_PERIOD, COPIES = 8, 4  # tokens; 999 is a number, and Lulu a name


def loop_start(tokens: Sequence[int]) -> int | None:
    """Where the second copy begins, if the tokens end in repeats of the same few; ``None`` if they do not.

    A small model that does not know how to go on may write "Mararararara" until no room is left.
    """
    for period in range(1, LONGEST_PERIOD + 1):
        start = len(tokens) - COPIES * period
        if start < 0:
            return None
        if all(tokens[place] == tokens[place + period] for place in range(start, len(tokens) - period)):
            return start + period
    return None
