"""Exercises of 05_attention_maps: numbers that summarise what a head does."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from mini_ism.exercises.core import Verdict, exercise, right, wrong
from mini_ism.exercises.judging import as_number, difference, sample_dialogues
from mini_ism.masks import get_mask


def sample_weights(rule: str, number: int = 0, heads: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
    """Weights ``[*heads, T, T]`` of heads that attend at random, and the mask ``[T, T]`` that they obey."""
    allowed = get_mask(rule).dense(sample_dialogues()[number].segments)
    generator = torch.Generator().manual_seed(number)
    scores = 2 * torch.randn(*heads, *allowed.shape, generator=generator)
    return scores.masked_fill(~allowed, -math.inf).softmax(-1), allowed


def slow_look_ahead(weights: Tensor, allowed: Tensor) -> float:
    """The share of attention on later tokens, summed cell by cell, averaged over the rows that may look ahead."""
    shares = []
    for i in range(len(weights)):
        if any(bool(allowed[i, j]) for j in range(i + 1, len(weights))):
            shares.append(sum(float(weights[i, j]) for j in range(i + 1, len(weights))))
    return sum(shares) / len(shares) if shares else 0.0


@exercise("look-ahead-share", difficulty=1)
def look_ahead_share(answer: Any) -> Verdict:
    """Write share(weights, allowed): how much of a head's attention looks ahead, over the rows that may.

    ``weights [T, T]``, ``allowed`` bool ``[T, T]``; the mean over the rows that see a later token of what they put on
    later tokens; 0 where no row may.
    """
    for rule in ("ism", "prefix", "causal"):
        for number in range(3):
            weights, allowed = sample_weights(rule, number)
            target, found = slow_look_ahead(weights, allowed), as_number(answer(weights, allowed))
            if math.isnan(found):
                return wrong(
                    f"under {rule} it is not a number (NaN): no row may look ahead there, and a mean of nothing is "
                    "none. Say 0 in that case."
                )
            if not math.isclose(found, target, abs_tol=1e-5):
                total = len(weights)
                reasons = {
                    float(weights.triu(0).sum(-1)[allowed.triu(1).any(-1)].mean()): (
                        "that counts what each token puts on itself, too: begin one to the right of the diagonal"
                    ),
                    float(weights.triu(1).sum() / total): (
                        "that is the mean of all rows; those that may not look ahead say nothing about the head, "
                        "so leave them out"
                    ),
                    float(weights.tril(-1).sum(-1)[allowed.triu(1).any(-1)].mean()): (
                        "that is what looks back: later columns lie to the right"
                    ),
                }
                near = [reason for value, reason in reasons.items() if abs(found - value) < 1e-5]
                hint = f"; {near[0]}" if near else ""
                return wrong(
                    f"under {rule} on {total} tokens the share is {target:.4f}, but yours is {found:.4f}{hint}."
                )
    return right("the same as adding up every cell to the right of the diagonal, row by row.")


def slow_entropy(row: Tensor) -> float:
    """Entropy of one row, in bits, term by term."""
    return -math.fsum(p * math.log2(p) for p in row.tolist() if p > 0)


@exercise("head-entropy", difficulty=1)
def head_entropy(answer: Any) -> Verdict:
    """Write bits(weights): the entropy in bits of each row of attention weights, [T, T] -> [T].

    A weight of 0 counts for nothing.
    """
    even_row = torch.tensor([[0.25] * 4, [1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.5, 0.25, 0.25, 0]])
    for weights in (even_row, sample_weights("ism", 0)[0], sample_weights("causal", 1)[0]):
        found = answer(weights)
        target = torch.tensor([slow_entropy(row) for row in weights])
        message = difference(found, target, "the entropy of row", atol=1e-4)
        if message is None:
            continue
        given = torch.as_tensor(found)
        if given.shape == target.shape and bool(given.isnan().any()):
            return wrong(f"{message} 0 times the logarithm of 0 is NaN for a computer; such a term must count as 0.")
        if given.shape == target.shape and torch.allclose(given.float(), target * math.log(2), atol=1e-4):
            return wrong(f"{message} You took the natural logarithm, which gives nats; bits want log2.")
        if given.shape == target.shape and torch.allclose(given.float(), -target, atol=1e-4):
            return wrong(f"{message} The sign is missing: logarithms of shares are negative.")
        return wrong(message)
    return right("0 bits for a row that looks at one token, 2 bits for one that spreads evenly over four.")


def slow_moved(before: Tensor, after: Tensor) -> float:
    """The mean over the rows of the weight that had to move from one token to another."""
    taken = 0.0
    for old, new in zip(before.tolist(), after.tolist(), strict=True):
        taken += sum(max(a - b, 0.0) for a, b in zip(old, new, strict=True))
    return taken / len(before)


@exercise("attention-moved", difficulty=2)
def attention_moved(answer: Any) -> Verdict:
    """Write moved(before, after): the share of attention that a swapped mask moves, averaged over the rows.

    Both ``[T, T]``, rows sum to 1. 0 if nothing changes, 1 if every row looks somewhere else entirely.
    """
    eye = torch.eye(4)
    cases = [
        ("every row turns to another token", eye, eye.roll(1, 1)),
        ("nothing changes", eye, eye),
        *((f"dialogue {n} goes from ism to causal", sample_weights("ism", n)[0], sample_weights("causal", n)[0])
          for n in range(3)),
    ]  # fmt: skip
    for what, before, after in cases:
        target, found = slow_moved(before, after), as_number(answer(before, after))
        if not math.isclose(found, target, abs_tol=1e-5):  # unlike a comparison of the difference, False for NaN
            hint = ""
            if abs(found - 2 * target) < 1e-5:
                hint = " What one token loses another gains; you counted both."
            elif abs(found) < 1e-5:
                hint = " Gains and losses cancel in a plain sum, since each row still sums to 1."
            elif abs(found - target * len(before)) < 1e-4:
                hint = " Average over the rows instead of adding them up."
            return wrong(f"when {what}, {target:.4f} of the attention moves, but yours says {found:.4f}.{hint}")
    return right("half the sum of the absolute differences, which statisticians call the total variation distance.")


def slow_copying(weights: Tensor, tokens: list[int]) -> float:
    """The weight one head ``[T, T]`` puts on copies of the next token, averaged over the positions that have any."""
    shares = []
    for i in range(len(tokens) - 1):
        copies = [j for j in range(i + 1) if tokens[j] == tokens[i + 1]]
        if copies:
            shares.append(sum(float(weights[i, j]) for j in copies))
    return sum(shares) / len(shares)


def _sample_copier(number: int) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Random heads on random tokens, among them one that copies, and one that attends to copies of its own token."""
    generator = torch.Generator().manual_seed(number)
    layers, heads, total = 2 + number, 3, 14
    tokens = torch.randint(5, (total,), generator=generator)
    causal = torch.ones(total, total, dtype=torch.bool).tril()
    scores = torch.randn(layers, heads, total, total, generator=generator)
    # a transposed answer, or one that counts from the end, must not find it by luck
    copier, narcissist = (number % layers, 1), ((number + 1) % layers, 2)
    following = tokens.roll(-1)
    scores[copier] += 3.0 * (tokens[None, :] == following[:, None])
    scores[narcissist] += 4.0 * (tokens[None, :] == tokens[:, None])
    return scores.masked_fill(~causal, -math.inf).softmax(-1), tokens, copier


@exercise("copying-head", difficulty=2)
def copying_head(answer: Any) -> Verdict:
    """Write find(weights, tokens): the layer and head that look most at earlier copies of the token that comes next.

    ``weights [layers, heads, T, T]``, ``tokens [T]``. At each position i with a copy of ``tokens[i + 1]`` at some
    j <= i, add up the weight on those j; average over these positions. The result is ``(layer, head)``, from 0.
    """
    for number in range(4):
        weights, tokens, _ = _sample_copier(number)
        layers, heads = weights.shape[:2]
        shares = {(n, h): slow_copying(weights[n, h], tokens.tolist()) for n in range(layers) for h in range(heads)}
        best = max(shares, key=lambda head: shares[head])
        found = answer(weights, tokens)
        if not (isinstance(found, tuple | list) and len(found) == 2):
            return wrong(f"the result should be a pair (layer, head), such as {best}, but it is {found!r}.")
        given: Any = tuple(map(as_number, found))
        if given not in shares:
            return wrong(
                f"there is no layer {given[0]:g}, head {given[1]:g}; they count from 0 to {layers - 1} and {heads - 1}."
            )
        pair = (int(given[0]), int(given[1]))
        if pair != best:
            own = float((weights[pair] * (tokens[None, :] == tokens[:, None])).sum(-1).mean())
            hint = " It looks for copies of the token it stands on; the next one is tokens[i + 1]." if own > 0.6 else ""
            return wrong(
                f"layer {pair[0]}, head {pair[1]} puts {shares[pair]:.0%} on copies of the next token, "
                f"but layer {best[0]}, head {best[1]} puts {shares[best]:.0%} there.{hint}"
            )
    return right("a head like this can finish a name or an object that the dialogue has told before.")
