"""Draws that are fair, and the same on every platform."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from mini_ism.corpus.portable_random import below, pick, pick_weighted, shuffled


def test_draws_are_fair_and_in_range() -> None:
    rng = random.Random("draws")
    assert {below(rng, 3) for _ in range(200)} == {0, 1, 2}
    assert sorted(shuffled(rng, range(9))) == list(range(9))
    assert len({tuple(shuffled(rng, "abc")) for _ in range(300)}) == math.factorial(3)
    counts = Counter(pick_weighted(rng, "xyz", (1, 0, 3)) for _ in range(4000))
    assert counts["y"] == 0
    assert counts["x"] / counts["z"] == pytest.approx(1 / 3, rel=0.15)
    assert {pick(rng, "ab") for _ in range(50)} == {"a", "b"}
