"""One token under a mask or in a head, in words: for status lines, tooltips and text alternatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_ism.replies import Stopped
from mini_ism.views.dialogue_view import TokenizedDialogue

NAMED = 3
"""How many tokens a sentence names at most."""
WORTH_NAMING = 0.005
"""Shares (or differences) below this would round to zero."""

WHY_IT_STOPPED: dict[Stopped, str] = {
    "loop": "stopped: it was repeating itself",
    "length": "stopped: it is as long as an answer may be",
    "context": "stopped: there is no room left in the model's context",
    "interrupted": "stopped half-way",
}
"""The note beside an answer that the model did not end itself."""


def ranges(positions: Sequence[int]) -> str:
    """Ascending positions as ranges, both ends included: ``[0, 1, 2, 5]`` -> ``"0..2, 5"``; none -> ``"nothing"``."""
    parts: list[list[int]] = []
    for position in positions:
        if parts and position == parts[-1][1] + 1:
            parts[-1][1] = position
        else:
            parts.append([position, position])
    texts = (str(first) if first == last else f"{first}..{last}" for first, last in parts)
    return ", ".join(texts) or "nothing"


def describe_row(seen: Sequence[bool] | Any, dialogue: TokenizedDialogue, row: int) -> str:
    """What one position may attend to: ``Bob (7) sees 0..12 (13 of 20)``.

    Args:
        seen: row ``row`` of a mask, ``[T]``.
        dialogue: its tokens.
        row: the position that reads.
    """
    positions = [position for position, sees in enumerate(seen) if sees]
    return f"{dialogue.name(row)} sees {ranges(positions)} ({len(positions)} of {len(seen)})"


def describe_attention(weights: Sequence[float] | Any, dialogue: TokenizedDialogue, row: int) -> str:
    """Where one row attends: ``Ada (4) looks at name (2) 41 %, is (3) 20 %; 12 % of it lies ahead``.

    Args:
        weights: row ``row`` of a head's attention, ``[T]``.
        dialogue: its tokens.
        row: the position that reads.
    """
    shares = np.asarray(weights, dtype=np.float64)
    ahead = f"{shares[row + 1 :].sum():.0%} of it lies ahead"
    return f"{dialogue.name(row)} looks at {_named(shares, dialogue, '{:.0%}')}; {ahead}"


def describe_difference(differences: Sequence[float] | Any, dialogue: TokenizedDialogue, row: int) -> str:
    """What a swap moved in one row: ``Ada (4) moves 35 % of its attention: cup (7) +30 %, name (2) −20 %``.

    Args:
        differences: row ``row`` of the attention under one mask minus that under another, ``[T]``.
        dialogue: its tokens.
        row: the position that reads.
    """
    change = np.asarray(differences, dtype=np.float64)
    moved = np.abs(change).sum() / 2
    if moved < WORTH_NAMING:
        return f"{dialogue.name(row)} looks where it looked before"
    return f"{dialogue.name(row)} moves {moved:.0%} of its attention: {_named(change, dialogue, '{:+.0%}')}"


def _named(shares: np.ndarray, dialogue: TokenizedDialogue, form: str) -> str:
    """The tokens with the largest shares, each with its share."""
    largest = np.argsort(-np.abs(shares), kind="stable")[:NAMED]
    named = [f"{dialogue.name(int(i))} {form.format(shares[i])}" for i in largest if abs(shares[i]) >= WORTH_NAMING]
    return ", ".join(named).replace("-", "−") if "+" in form else ", ".join(named)
