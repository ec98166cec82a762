"""The check of what a block's hash must cover: right answers pass, plausible wrong ones are told what is wrong."""

from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor

from mini_ism.exercises import check
from mini_ism.reuse import borders
from tests.exercises.verdicts import assert_right, assert_wrong


def reach(dense: Tensor, size: int) -> list[int]:
    cuts = [n for n in range(len(dense) + 1) if not dense[:n, n:].any()]
    return [min(n for n in cuts if n >= end) for end in range(size, len(dense) + 1, size)]


def from_borders(dense: Tensor, size: int) -> list[int]:
    cuts = borders(dense).nonzero().flatten().tolist()
    return [next(n for n in cuts if n >= end) for end in range(size, len(dense) + 1, size)]


def own_end(dense: Tensor, size: int) -> list[int]:
    """What engines do for causal models."""
    return list(range(size, len(dense) + 1, size))


def directly_read(dense: Tensor, size: int) -> list[int]:
    """Forgets that what is read has read something, too."""
    return [max(end, int(dense[:end].any(0).nonzero().max()) + 1) for end in own_end(dense, size)]


@pytest.mark.parametrize("answer", [reach, from_borders])
def test_right_answers_pass(answer: Callable[..., Any]) -> None:
    verdict = assert_right("block-reach", answer)
    assert "takes 12 positions of the second from the first, its scores are off by" in verdict.message


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("block-reach", own_end, r"Block 0 holds positions 0 to 1\. .* sees .* the block has other keys"),
        ("block-reach", directly_read, r"\(it is read through others\) sees"),
        ("block-reach", lambda dense, size: [len(dense)] * (len(dense) // size), r"misses blocks that are right"),
        ("block-reach", lambda dense, size: [n - size for n in reach(dense, size)], r"own block's tokens at least"),
        ("block-reach", lambda dense, size: [float(n) + 0.5 for n in reach(dense, size)], r"one whole number for each"),
        ("block-reach", lambda dense, size: [*reach(dense, size), 0], r"should have the shape"),
        (
            "block-reach",
            lambda dense, size: len(dense),
            r"should have the shape .*for each full block",
        ),
    ],
)
def test_wrong_answers_are_told_why(name: str, answer: Callable[..., Any], message: str) -> None:
    assert_wrong(name, answer, message)


def test_a_wrong_answer_shows_what_both_hashes_cover() -> None:
    verdict = check("block-reach", own_end)
    assert verdict.yours is not None
    assert "underlined are positions 0..1" in verdict.yours.alt
    assert verdict.target is not None
