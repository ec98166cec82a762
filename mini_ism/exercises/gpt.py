"""Exercises of 02_gpt_from_scratch: attention under a mask, positions, and paths that must not be there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mini_ism.config import GPTConfig
from mini_ism.exercises.core import Verdict, exercise, right, wrong
from mini_ism.exercises.judging import difference, sample_dialogues
from mini_ism.masks import COURSE_MASKS, get_mask
from mini_ism.model import GPT
from mini_ism.views.dialogue_view import TokenizedDialogue
from mini_ism.views.mask_map import mask_map
from mini_ism.views.picture import Picture

Layer = Callable[[Tensor], Tensor]
"""What a leak test examines: ``[T, C]`` -> ``[T, C]``."""


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _mask(rule: str, number: int = 0) -> Tensor:
    return get_mask(rule).dense(sample_dialogues()[number].segments)


def _grid(matrix: Tensor, title: str) -> Picture:
    """A matrix ``[T, T]`` of who hears whom, with positions as labels."""
    total = len(matrix)
    numbers = TokenizedDialogue([str(position) for position in range(total)], ["user"] * total, [0] * total)
    return mask_map(matrix, numbers, title=title, size=240)


# -- masked softmax --------------------------------------------------------------------------------


def slow_masked_softmax(scores: Tensor, allowed: Tensor) -> Tensor:
    """Row by row: exponentials of the allowed scores, divided by their sum."""
    weights = torch.zeros_like(scores)
    for i in range(len(scores)):
        seen = [j for j in range(scores.shape[1]) if bool(allowed[i, j])]
        largest = max(float(scores[i, j]) for j in seen)
        powers = {j: math.exp(float(scores[i, j]) - largest) for j in seen}
        for j, power in powers.items():
            weights[i, j] = power / sum(powers.values())
    return weights


@exercise("masked-softmax", difficulty=1)
def masked_softmax(answer: Any) -> Verdict:
    """Write weigh(scores, allowed): attention weights, [T, S] and bool [T, S] -> [T, S].

    Exactly 0 where ``allowed`` is False; each row sums to 1.
    """
    for rule in COURSE_MASKS:
        for number, size in ((0, 1.0), (1, 4.0), (2, 60.0)):  # large scores overflow a plain exponential
            allowed = _mask(rule, number)
            scores = size * _random(*allowed.shape, seed=number)
            target, found = slow_masked_softmax(scores, allowed), answer(scores.clone(), allowed.clone())
            message = difference(found, target, f"the weights under {rule}", atol=1e-5)
            if message is None and not bool((torch.as_tensor(found)[~allowed] == 0).all()):
                message = "a hidden token gets a weight that is small but not 0: hide it with -inf, not a large number."
            if message is not None:
                return wrong(message + _why_not_weights(found, allowed, target))
    if (message := _beyond(answer, _mask("ism"))) is not None:
        return wrong(message)
    return right("what is hidden weighs exactly 0, however low the scores of what is seen.")


def _beyond(answer: Any, allowed: Tensor) -> str | None:
    """What a finite stand-in for minus infinity does to extreme scores; ``None`` if the answer uses no such thing.

    Filled in, a number is found out where all scores are as low; added, where hidden scores are high and others low.
    """
    low, high = torch.finfo(torch.float32).min, torch.finfo(torch.float32).max
    extremes = {
        f"all scores at {low:.2g}": torch.full(allowed.shape, low),
        f"hidden scores at {high:.2g} and all others at {low:.2g}": torch.where(allowed, low, high),
    }
    for where, scores in extremes.items():
        found = torch.as_tensor(answer(scores.clone(), allowed.clone()))
        leaks = (~allowed & (found != 0)).nonzero().tolist()
        if leaks:
            row, column = leaks[0]
            reason = (
                "Infinity times 0 is not a number: hide scores with minus infinity, before the exponential."
                if bool(found[row, column].isnan())
                else "A large negative number such as -1e9 hides a token only from scores above it; minus infinity "
                "lies below every number."
            )
            return f"with {where}, row {row} gives hidden token {column} a weight of {found[row, column]:.2g}. {reason}"
        message = difference(found, allowed / allowed.sum(-1, keepdim=True), f"with {where}, the weight")
        if message is not None:
            return f"{message} Tokens with equal scores share a row's weight evenly, however low the scores are."
    return None


def _why_not_weights(found: Any, allowed: Tensor, target: Tensor) -> str:
    if not isinstance(found, Tensor) or found.shape != target.shape or bool(found.isnan().any()):
        return ""
    i = int((~torch.isclose(found, target, atol=1e-5)).any(-1).nonzero()[0]) if not torch.equal(found, target) else 0
    if bool((found[~allowed].abs() > 1e-7).any()):
        row, column = ((found != 0) & ~allowed).nonzero()[0].tolist()
        return (
            f" Row {row} looks at {column}, which the mask hides: a score of 0 is not nothing, since its exponential "
            "is 1. Hide scores with minus infinity, before the softmax."
        )
    if abs(float(found[i].sum()) - 1) > 1e-4:
        down = torch.allclose(found.sum(0)[found.sum(0) > 0], torch.ones(()), atol=1e-4)
        if down:
            return " Your columns sum to 1; the rows should: take the softmax over the last dimension."
        return f" Row {i} sums to {float(found[i].sum()):.3f}, not 1: hide the scores before the softmax, not after."
    return ""


# -- rotary positions ------------------------------------------------------------------------------


def slow_rotary(x: Tensor, positions: Tensor, inv_freq: Tensor) -> Tensor:
    """Pair by pair: channels c and c + D/2 are the two coordinates of a point that is rotated."""
    turned, half = torch.zeros_like(x), x.shape[1] // 2
    for t in range(len(x)):
        for c in range(half):
            angle = float(positions[t]) * float(inv_freq[c])
            a, b = float(x[t, c]), float(x[t, c + half])
            turned[t, c] = a * math.cos(angle) - b * math.sin(angle)
            turned[t, c + half] = b * math.cos(angle) + a * math.sin(angle)
    return turned


@exercise("rotary", difficulty=2)
def rotary(answer: Any) -> Verdict:
    """Write rotate(x, positions, inv_freq): turn each pair of channels by position times speed, [T, D] -> [T, D].

    ``positions [T]``, ``inv_freq [D/2]``; channel c pairs up with channel c + D/2; counterclockwise.
    """
    for seed, total, width in ((0, 4, 2), (1, 6, 8)):
        x, inv_freq = _random(total, width, seed=seed), 0.5 ** torch.arange(width // 2).float()
        for positions in (torch.arange(total), torch.arange(3, 3 + total), torch.tensor([9, 0, 4, 2, 30, 7])[:total]):
            target, found = slow_rotary(x, positions, inv_freq), answer(x.clone(), positions.clone(), inv_freq.clone())
            message = difference(found, target, "the turned vectors", atol=1e-4)
            if message is not None:
                return wrong(message + _why_not_turned(found, target, x, positions, inv_freq))
    return right(_distances(answer))


def _why_not_turned(found: Any, target: Tensor, x: Tensor, positions: Tensor, inv_freq: Tensor) -> str:
    if not isinstance(found, Tensor) or found.shape != target.shape:
        return ""
    if torch.allclose(found, slow_rotary(x, -positions, inv_freq), atol=1e-4):
        return " You turn clockwise: the minus sign belongs to the first half's sine."
    if torch.allclose(found, slow_rotary(x, positions + 1, inv_freq), atol=1e-4):
        return " You count positions from 1; take them as they are given."
    longer = (found.norm(dim=1) - x.norm(dim=1)).abs() > 1e-3
    if bool(longer.any()):
        t = int(longer.nonzero()[0])
        return (
            f" A turned vector keeps its length, but the one at position {int(positions[t])} went from "
            f"{float(x[t].norm()):.3f} to {float(found[t].norm()):.3f}: look at the signs."
        )
    return " The lengths are right, so these are turns: check which channels pair up, and each pair's speed."


def _distances(rotate: Any) -> str:
    q, k = _random(1, 8, seed=5), _random(1, 8, seed=6)
    inv_freq = 0.5 ** torch.arange(4).float()

    def product(at: int, distance: int) -> float:
        here, there = torch.tensor([at]), torch.tensor([at - distance])
        return float((rotate(q, here, inv_freq) * rotate(k, there, inv_freq)).sum())

    return (
        f"two tokens 3 apart give the product {product(4, 3):.4f} at position 4 and {product(40, 3):.4f} at position "
        "40: only the distance counts."
    )


# -- the leak test ---------------------------------------------------------------------------------


def slow_leaks(layer: Layer, x: Tensor) -> Tensor:
    """``[T, T]``: whether output i changes with input j, one derivative at a time."""
    total, width = x.shape
    heard = torch.zeros(total, total, dtype=torch.bool)
    for i in range(total):
        for c in range(width):
            inputs = x.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(layer(inputs)[i, c], inputs)
            for j in range(total):
                heard[i, j] |= bool((gradient[j] != 0).any())
    return heard


def _layers() -> list[tuple[str, Layer]]:
    """Layers that mix tokens under a mask, each with a pitfall."""

    def mixing(allowed: Tensor, after: Callable[[Tensor], Tensor]) -> Layer:
        weights = torch.randn(allowed.shape, generator=torch.Generator().manual_seed(1)).masked_fill(
            ~allowed, -math.inf
        )
        return lambda x: after(weights.softmax(-1) @ x)

    def centred(x: Tensor) -> Tensor:
        return x - x.mean(-1, keepdim=True)

    causal, ism = _mask("causal"), _mask("ism")
    return [
        ("a causal layer", mixing(causal, torch.tanh)),
        ("an ISM layer", mixing(ism, torch.tanh)),
        ("a layer whose channels sum to 0", mixing(causal, centred)),
    ]


@exercise("leak-test", difficulty=2)
def leak_test(answer: Any) -> Verdict:
    """Write heard(layer, x): bool [T, T], True where output i of layer has a gradient with respect to input j.

    ``x [T, C]``; ``layer(x) [T, C]``. Any channel of output i, any channel of input j.
    """
    for what, layer in _layers():
        x = _random(len(_mask("causal")), 3, seed=2)
        target, found = slow_leaks(layer, x), answer(layer, x.clone())
        message = difference(found, target, f"for {what}, the entry")
        if message is None:
            continue
        if not isinstance(found, Tensor) or found.shape != target.shape or found.dtype != torch.bool:
            return wrong(message)
        i, j = (found != target).nonzero()[0].tolist()
        if torch.equal(found, target.T):
            message = f"for {what}, rows and columns are swapped: row i is the output that hears, column j the input."
        elif bool(target[i, j]) and "sum to 0" in what:
            message = (
                f"for {what}, output {i} does hear input {j}, but your test misses it: the sum of an output's channels "
                "has no gradient if it is always 0. Look at each channel, or add them with random weights."
            )
        elif bool(target[i, j]):
            message = f"for {what}, output {i} hears input {j}, but your test says it does not."
        else:
            message = (
                f"for {what}, output {i} has no gradient with respect to input {j}, but your test says it has. "
                "Is it output i alone that you differentiate?"
            )
        return wrong(message, yours=_grid(found, "yours"), target=_grid(target, "target"))
    return right("the matrix of gradients is the mask itself; try the test on a layer with a leak.")


# -- token shift -----------------------------------------------------------------------------------


def slow_shift(x: Tensor, allowed: Tensor) -> Tensor:
    """Each token plus half of the previous one, where the mask lets it see that one."""
    mixed = x.clone()
    for i in range(1, len(x)):
        if bool(allowed[i, i - 1]):
            mixed[i] = x[i] + 0.5 * x[i - 1]
    return mixed


@exercise("gated-shift", difficulty=3)
def gated_shift(answer: Any) -> Verdict:
    """Mend shift(x, allowed): token i hears half of token i - 1, and only where the mask lets it; [T, C] -> [T, C].

    ``y[i] = x[i] + 0.5 * x[i - 1]`` where ``allowed[i, i - 1]``, else ``y[i] = x[i]``. Nothing comes before token 0.
    """
    for rule in ("causal", "ism & same_segment", "bidirectional", "sliding_window(1)"):
        allowed = _mask(rule, 1)
        x = _random(len(allowed), 3, seed=3)
        found, target = answer(x.clone(), allowed.clone()), slow_shift(x, allowed)
        message = difference(found, target, f"under {rule}, the result")
        if message is None:
            continue
        if not isinstance(found, Tensor) or found.shape != target.shape:
            return wrong(message)
        try:
            heard = slow_leaks(lambda inputs, mask=allowed: answer(inputs, mask), x)  # type: ignore[misc]
        except RuntimeError:  # it cannot be differentiated
            return wrong(message)
        may = torch.eye(len(x), dtype=torch.bool) | (allowed & torch.ones_like(allowed).tril(-1).triu(-1))
        leaks = (heard & ~may).nonzero().tolist()
        if leaks:
            i, j = leaks[0]
            why = "which does not stand just before it"
            if i - j == 1:
                why = "which the mask hides from it"
            elif i == 0 and j == len(x) - 1:
                why = "although nothing comes before it: torch.roll wraps around"
            message = f"a leak: under {rule}, token {i} hears token {j}, {why}."
        elif bool((may & ~heard).any()):
            i, j = (may & ~heard).nonzero()[0].tolist()
            message = f"under {rule}, token {i} should hear token {j}, which it may see, but does not."
        return wrong(message, yours=_grid(heard, "yours: who hears whom"), target=_grid(may, "target"))
    return right("the mask is the only authority again: what it hides is not heard through the side door either.")


# -- parameters ------------------------------------------------------------------------------------


@exercise("parameter-count", difficulty=1)
def parameter_count(answer: Any) -> Verdict:
    """Write count(c): the number of parameters of GPT(c) for a GPTConfig c, from its sizes alone."""
    for config in (
        GPTConfig(vocab_size=50, layers=1, heads=1, width=8, token_shift=0),
        GPTConfig(vocab_size=50, layers=3, heads=2, width=8, token_shift=0),
        GPTConfig(vocab_size=31, layers=2, heads=2, width=16, token_shift=3),
    ):
        target, found = GPT(config).parameter_count(), answer(config)
        if (message := difference(found, target, "the number of parameters")) is None:
            continue
        if type(found) is not int:
            return wrong(message)
        c = config
        width = c.width
        gaps = {
            c.vocab_size * width: "once more the embedding: input and output share theirs",
            -c.vocab_size * width: "the embedding is missing",
            -width: "the last norm is missing",
            -2 * width * c.layers: "each block has two norms of C numbers each",
            -(2 * c.layers + 1) * width: "norms have a number for each channel, too",
            -c.token_shift * width**2: "the token shift's maps are missing",
            -4 * c.layers * width**2: "attention's maps are missing: queries, keys, values and the way out",
            -c.layers * width**2: "attention has a map on the way out, too",
            -8 * c.layers * width**2: "the MLPs are missing",
        }
        hint = f" ({gaps[found - target]})" if found - target in gaps else ""
        return wrong(
            f"with vocab_size={c.vocab_size}, layers={c.layers}, heads={c.heads}, width={width}, "
            f"token_shift={c.token_shift} there are {target:,}, but yours says {found:,}{hint}."
        )
    return right("the number of heads does not matter: they share out the same channels.")
