"""Random choices that come out the same on every platform and Python version.

Python promises that `Random.random()` keeps its sequence for a given seed; it does not promise that for `choice`,
`shuffle` or `randrange`. So everything here is made of `random()` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from random import Random
from typing import TypeVar

T = TypeVar("T")


def below(rng: Random, n: int) -> int:
    """An integer from 0 to n - 1."""
    return int(rng.random() * n)


def between(rng: Random, low: int, high: int) -> int:
    """An integer from low to high, both included."""
    return low + int(rng.random() * (high - low + 1))


def chance(rng: Random, probability: float) -> bool:
    """True with that probability."""
    return rng.random() < probability


def pick(rng: Random, items: Sequence[T]) -> T:
    """One of `items`, all equally likely."""
    return items[int(rng.random() * len(items))]


def pick_weighted(rng: Random, items: Sequence[T], weights: Sequence[float]) -> T:
    """One of `items`, each as likely as its share of the weights."""
    point = rng.random() * fsum(weights)  # rounds alike in every Python, unlike sum
    for item, weight in zip(items, weights, strict=True):
        point -= weight
        if point < 0:
            return item
    return items[-1]  # rounding can leave the point a hair above the last weight


def shuffled(rng: Random, items: Sequence[T]) -> list[T]:
    """A shuffled copy (Fisher and Yates)."""
    result = list(items)
    for last in range(len(result) - 1, 0, -1):
        other = int(rng.random() * (last + 1))
        result[last], result[other] = result[other], result[last]
    return result
