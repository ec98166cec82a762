"""Attention in words, for status lines, tooltips and text alternatives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NAMED = 3
"""So many tokens are named in a sentence."""
WORTH_NAMING = 0.005
"""A share (or a difference) below this would be rounded to nothing."""


def describe_attention(labels: Sequence[str], row: int, weights: Sequence[float]) -> str:
    """Where one row looks: ``Ada (4) looks at name (2) 41 %, is (3) 20 %; 12 % of it lies ahead``."""
    shares = np.asarray(weights, dtype=np.float64)
    ahead = f"{shares[row + 1 :].sum():.0%} of it lies ahead"
    return f"{labels[row]} ({row}) looks at {_named(labels, shares, '{:.0%}')}; {ahead}"


def describe_difference(labels: Sequence[str], row: int, differences: Sequence[float]) -> str:
    """What a swap moved in one row: ``Ada (4) moves 35 % of its attention: cup (7) +30 %, name (2) −20 %``."""
    change = np.asarray(differences, dtype=np.float64)
    moved = np.abs(change).sum() / 2
    if moved < WORTH_NAMING:
        return f"{labels[row]} ({row}) looks where it looked before"
    return f"{labels[row]} ({row}) moves {moved:.0%} of its attention: {_named(labels, change, '{:+.0%}')}"


def _named(labels: Sequence[str], shares: np.ndarray, form: str) -> str:
    largest = np.argsort(-np.abs(shares), kind="stable")[:NAMED]
    named = [f"{labels[i]} ({i}) {form.format(shares[i])}" for i in largest if abs(shares[i]) >= WORTH_NAMING]
    return ", ".join(named).replace("-", "−") if "+" in form else ", ".join(named)
