"""Exercises of notebook 07: what a share says, what two shares say, and what a turn costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from mini_ism.cost import plan
from mini_ism.evaluation import Score
from mini_ism.exercises.core import Verdict, exercise, right, wrong
from mini_ism.exercises.judging import difference
from mini_ism.segments import Segments
from mini_ism.trace import turn_costs

Z = 1.959964
COUNTS = ((7, 10), (0, 10), (20, 20), (50, 100), (485, 500), (1, 1))


def _slow_wilson(hits: int, total: int) -> tuple[float, float]:
    """The range of shares p for which so many hits would not be surprising, found by bisection."""

    def fits(p: float) -> bool:
        return abs(hits / total - p) <= Z * math.sqrt(p * (1 - p) / total)

    def edge(inside: float, outside: float) -> float:
        if fits(outside):
            return outside
        for _ in range(80):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if fits(middle) else (inside, middle)
        return inside

    return edge(hits / total, 0.0), edge(hits / total, 1.0)


@exercise("wilson", difficulty=2)
def wilson(answer: Any) -> Verdict:
    """Wilson's 95% interval: from the number of right answers and of all answers to (low, high)."""
    for hits, total in COUNTS:
        found, expected = answer(hits, total), _slow_wilson(hits, total)
        case = f"for {hits} right of {total}"
        trouble = difference(found, expected, f"{case}, (low, high)", atol=1e-4)
        if trouble:
            return wrong(f"{trouble} {_interval_slip(found, hits, total)}".strip())
    return right(
        "it has a width even at 20 of 20, where the naive interval says 100% to 100%, as if nothing could go wrong."
    )


def _interval_slip(found: Any, hits: int, total: int) -> str:
    p = hits / total
    half = Z * math.sqrt(p * (1 - p) / total)

    def is_pair(low: float, high: float) -> bool:
        return difference(found, (low, high), atol=1e-4) is None

    if is_pair(p - half, p + half):
        return (
            "This is p plus or minus z times the standard error, which breaks down near 0 and 1, and for few answers."
        )
    low, high = _slow_wilson(hits, total)
    if is_pair(100 * low, 100 * high):
        return "These are per cent; give shares from 0 to 1."
    if is_pair(high, low):
        return "Low and high are swapped."
    middle, reach = (p + Z**2 / (2 * total)), Z * math.sqrt(p * (1 - p) / total + Z**2 / (4 * total**2))
    if is_pair(middle - reach, middle + reach):
        return "Both parts are still to be divided by 1 + z²/n."
    return "Use z = 1.96 for 95%, and mind which terms stand under the root."


PAIRS = (
    (Score(90, 100), Score(50, 100)),
    (Score(50, 100), Score(90, 100)),
    (Score(81, 100), Score(79, 100)),
    (Score(9, 10), Score(5, 10)),
    (Score(70, 100), Score(70, 100)),
    (Score(900, 1000), Score(850, 1000)),
    (Score(20, 20), Score(19, 20)),
    (Score(10, 10), Score(500, 1000)),
    (Score(500, 1000), Score(10, 10)),
)


@exercise("may-claim", difficulty=1)
def may_claim(answer: Any) -> Verdict:
    """Which of two scores is higher, if their intervals do not overlap: "first", "second", or "cannot tell"."""
    for one, two in PAIRS:
        (low, high), (low2, high2) = _slow_wilson(one.right, one.total), _slow_wilson(two.right, two.total)
        expected = "first" if low > high2 else "second" if low2 > high else "cannot tell"
        found = answer(one, two)
        if found not in ("first", "second", "cannot tell"):
            return wrong(f'answer "first", "second" or "cannot tell", not {found!r}.')
        if found != expected:
            scores = f"{one.right} of {one.total} ({low:.0%} to {high:.0%}) and {two.right} of {two.total}"
            scores = f"{scores} ({low2:.0%} to {high2:.0%})"
            hint = (
                "The intervals overlap: either model might be the better one."
                if expected == "cannot tell"
                else "The intervals lie apart."
            )
            return wrong(f'for {scores} the answer is "{expected}", not "{found}". {hint}')
    return right(
        "and even a gap that chance does not explain is a gap between two models, until other seeds repeat it."
    )


def _segments(queries: Sequence[int], answers: Sequence[int]) -> Segments:
    """A dialogue by the lengths of its messages; the last question has no answer yet."""
    sizes, asks = [], []
    for number, length in enumerate(queries):
        sizes += [length, *answers[number : number + 1]]
        asks += [True, *[False] * len(answers[number : number + 1])]
    sizes_tensor = torch.tensor(sizes)
    ids = torch.arange(len(sizes)).repeat_interleave(sizes_tensor)
    return Segments(id=ids, is_query=torch.tensor(asks).repeat_interleave(sizes_tensor))


DIALOGUES: tuple[tuple[list[int], list[int]], ...] = (
    ([19, 7, 14], [5, 6]),
    ([4], []),
    ([3, 3, 3, 3], [2, 1, 9]),
    ([10, 1], [1]),
)


@exercise("read-tokens", difficulty=2)
def read_tokens(answer: Any) -> Verdict:
    """Tokens read before the next answer, from the lengths of queries and answers and whether the cache is kept."""
    for queries, answers in DIALOGUES:
        for mask, kept in (("ism", True), ("prefix", False)):
            expected = turn_costs(plan(mask, _segments(queries, answers)))[-1].prefilled
            found = answer(list(queries), list(answers), kept)
            case = f"queries of {queries} tokens and answers of {answers}, the cache {'kept' if kept else 'lost'}"
            trouble = difference(found, expected, f"with {case}: the number")
            if trouble:
                return wrong(f"{trouble} {_read_slip(found, queries, answers, kept)}".strip())
    return right("it is what `plan` counts. With the cache it is the question alone, however long the conversation is.")


def _read_slip(found: Any, queries: Sequence[int], answers: Sequence[int], kept: bool) -> str:
    if kept and found == queries[-1] + sum(answers[-1:]):
        return "The last answer is in the cache as well: its tokens were read one by one while it was written."
    if kept:
        return "With the cache kept, only the new question is read."
    if found == sum(queries):
        return "The earlier answers are part of what has to be read again."
    if found == queries[-1]:
        return "Without the cache the whole conversation so far is read again, the new question included."
    return "Without the cache: all questions, the new one included, and all answers so far."
