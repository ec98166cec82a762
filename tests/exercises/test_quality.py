"""Exercises of notebook 07: right answers pass, plausible wrong ones are told what is wrong."""

import math
from typing import Any

import pytest

from mini_ism.evaluation import Score
from mini_ism.exercises.quality import COUNTS, PAIRS, _slow_wilson
from tests.exercises.verdicts import assert_right, assert_todo, assert_wrong

Z = 1.96


def wilson(right: int, total: int) -> tuple[float, float]:
    p = right / total
    middle = p + Z**2 / (2 * total)
    reach = Z * math.sqrt(p * (1 - p) / total + Z**2 / (4 * total**2))
    return (middle - reach) / (1 + Z**2 / total), (middle + reach) / (1 + Z**2 / total)


def naive(right: int, total: int) -> tuple[float, float]:
    p = right / total
    reach = Z * math.sqrt(p * (1 - p) / total)
    return p - reach, p + reach


def claim(a: Score, b: Score) -> str:
    if a.interval[0] > b.interval[1]:
        return "first"
    return "second" if b.interval[0] > a.interval[1] else "cannot tell"


def by_count(a: Score, b: Score) -> str:
    """Claims by the number of right answers, of however many."""
    return claim(a, b) if a.total == b.total else "first" if a.right > b.right else "second"


def by_share(a: Score, b: Score) -> str:
    return "first" if a.share > b.share else "second" if b.share > a.share else "cannot tell"


def read(queries: list[int], answers: list[int], kept: bool) -> int:
    return queries[-1] if kept else sum(queries) + sum(answers)


def test_the_reference_is_the_package_s_interval() -> None:
    for hits, total in COUNTS:
        assert _slow_wilson(hits, total) == pytest.approx(Score(hits, total).interval, abs=1e-9)


def test_the_pairs_hold_every_case() -> None:
    assert {claim(a, b) for a, b in PAIRS} == {"first", "second", "cannot tell"}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("wilson", wilson),
        ("wilson", lambda right, total: Score(right, total).interval),
        ("may-claim", claim),
        ("read-tokens", read),
    ],
)
def test_right_answers_pass(name: str, answer: Any) -> None:
    assert_right(name, answer)


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("wilson", naive, "breaks down near 0 and 1"),
        ("wilson", lambda r, n: [100 * value for value in wilson(r, n)], "per cent"),
        ("wilson", lambda r, n: wilson(r, n)[::-1], "swapped"),
        ("wilson", lambda r, n: [value * (1 + Z**2 / n) for value in wilson(r, n)], r"divided by 1 \+ z²/n"),
        ("wilson", lambda r, n: r / n, r"shape \[2\], but it has \[\]"),
        ("wilson", lambda r, n: (0.0, 1.0), "terms stand under the root"),
        ("may-claim", by_count, "9 of 10 .* The intervals lie apart|10 of 10 .* The intervals lie apart"),
        ("may-claim", by_share, "The intervals overlap"),
        ("may-claim", lambda a, b: "cannot tell", "The intervals lie apart"),
        ("may-claim", lambda a, b: "first" if a.interval[0] > b.share else claim(a, b), "The intervals overlap"),
        ("may-claim", lambda a, b: a.share > b.share, 'answer "first", "second" or "cannot tell", not True'),
        ("read-tokens", lambda q, a, kept: q[-1], "the whole conversation so far is read again"),
        ("read-tokens", lambda q, a, kept: q[-1] if kept else sum(q), "earlier answers are part"),
        ("read-tokens", lambda q, a, kept: sum(q) + sum(a), "only the new question"),
        ("read-tokens", lambda q, a, kept: q[-1] + sum(a[-1:]) if kept else sum(q) + sum(a), "in the cache as well"),
        ("read-tokens", lambda q, a, kept: q[-1] if kept else sum(q[:-1]) + sum(a), "the new one included"),
    ],
)
def test_wrong_answers_are_told_why(name: str, answer: Any, message: str) -> None:
    assert_wrong(name, answer, message)


@pytest.mark.parametrize("name", ["wilson", "may-claim", "read-tokens"])
def test_stubs_are_not_done(name: str) -> None:
    assert_todo(name, lambda *given: ...)
