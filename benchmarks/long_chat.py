"""One conversation of hundreds of turns: at its end, each token must have been read once, and read right."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import torch

from benchmarks.exactness import TEXTS, TOKENIZER, TOLERANCE, InexactError, check_parts, recorded
from benchmarks.random_cases import random_model
from mini_ism import ChatSession

POSITIONS = 32
"""Positions of context per turn: more than any turn takes."""


def long_chat(turns: int, random: Random, mask: str = "ism") -> tuple[int, float]:
    """A chat with a model of random weights, under a mask that lets a cache keep everything.

    Returns:
        How many tokens it came to, and the largest difference between a score that was computed over the cache and one
        of a single uncached forward, relative as in :data:`~benchmarks.exactness.TOLERANCE`.

    Raises:
        InexactError: the difference is beyond the tolerance, a token was computed twice, or the session's parts
            disagree.
    """
    model = random_model(0, vocab_size=TOKENIZER.n_vocab, context=POSITIONS * turns, width=32)
    chat = ChatSession(model, TOKENIZER, mask, system="Be kind.")
    with recorded() as computed:
        for number in range(turns):
            chat.send(random.choice(TEXTS), max_new_tokens=4, temperature=1.0, seed=number)
    check_parts(chat)
    got = torch.cat([each.logits for each in computed])  # (T, V)
    if len(got) != len(chat.tokens):
        raise InexactError(f"{len(got)} positions were computed for {len(chat.tokens)} tokens")
    with torch.inference_mode():
        wanted = model(chat.tokens[None], chat.mask.dense(chat.segments))[0]  # (T, V)
    difference = max(_differences(got, wanted))
    if not difference <= TOLERANCE:
        raise InexactError(f"a score differs by {difference:.1e}")
    return len(chat.tokens), difference


def _differences(got: torch.Tensor, wanted: torch.Tensor) -> Iterator[float]:
    for one, other in zip(got.split(256), wanted.split(256), strict=True):  # a little at a time
        yield float((one - other).abs().max() / other.abs().max().clamp(min=1))
