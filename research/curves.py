"""Numbers read off learning curves: the steps until a share is reached, and the share after a number of tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from mini_ism.results import Row, mean_interval

CURVE_HEADER = ("tokens", "at equal tokens", "steps to 90%", "come to it")
CURVE_LEGEND = (
    "*Tokens*: computed in training, padding left out. *At equal tokens*: on validation, when as many had been "
    "computed as the cheapest mask computes in all. *Steps to 90%*: mean over the seeds that come to it on validation "
    "and stay."
)


class Point(NamedTuple):
    """A measurement on validation.

    Attributes:
        step: steps done.
        tokens: computed by then.
        share: exactly right.
    """

    step: int
    tokens: int
    share: float


def steps_to(curve: Iterable[Point], share: float) -> int | None:
    """The first step from which on the curve stays at or above a share; ``None`` if there is none."""
    first = None
    for at in curve:
        if at.share < share:
            first = None
        elif first is None:
            first = at.step
    return first


def at_tokens(curve: Iterable[Point], count: float) -> float:
    """The share at the last measurement by which no more than this many tokens, plus 1%, had been computed."""
    return [at.share for at in curve if at.tokens <= 1.01 * count][-1]


def total_tokens(runs: Sequence[Row]) -> float:
    """The mean over runs of the tokens that each computes."""
    return math.fsum(row.result["tokens"] for row in runs) / len(runs)


def curve_cells(
    runs: Sequence[Row], share: Callable[[dict[str, Any]], float], cheapest: float
) -> tuple[str, str, str, str]:
    """The cells under :data:`CURVE_HEADER`.

    Args:
        runs: of a mask; their results have ``tokens`` and a ``curve``.
        share: reads the share off a point of the curve.
        cheapest: the tokens of the mask that computes the fewest.
    """
    curves = [[Point(at["step"], at["tokens"], share(at)) for at in row.result["curve"]] for row in runs]
    steps = [steps_to(curve, 0.9) for curve in curves]
    reached = [step for step in steps if step is not None]
    return (
        f"{total_tokens(runs) / 1e6:.1f}M",
        mean_interval(at_tokens(curve, cheapest) for curve in curves).share(),
        f"{math.fsum(reached) / len(reached):,.0f}" if reached else "",
        f"{len(reached)} of {len(steps)}",
    )
