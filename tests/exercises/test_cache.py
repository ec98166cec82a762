"""The sixth notebook's checks: right answers pass, plausible wrong ones are told what is wrong."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from mini_ism import GPT, GPTConfig, get_mask, load_tokenizer
from mini_ism.exercises import check
from mini_ism.exercises.cache import _ways
from mini_ism.exercises.judging import sample_dialogues
from mini_ism.reuse import borders, unchanged_prefix
from tests.exercises.verdicts import assert_right, assert_wrong


def cuts(dense: Tensor) -> list[int]:
    return [n for n in range(len(dense) + 1) if not dense[:n, n:].any()]


def reusable(before: Tensor, after: Tensor) -> int:
    for n in range(min(len(before), len(after)), 0, -1):
        same = torch.equal(before[:n, :n], after[:n, :n])
        if same and not before[:n, n:].any() and not after[:n, n:].any():
            return n
    return 0


def window(n: int, asked: int, total: int) -> tuple[int, int]:
    return (total, total) if n == 1 else (max(0, asked - n + 1), 0)


def cache_bytes(config: Any, positions: int, size: int) -> int:
    return 2 * int(config.layers) * int(config.width) * positions * size


def flops(model: Any, kept: int, read: int, written: int) -> int:
    total = model.flops(read, read * (kept + read))
    for n in range(1, written + 1):
        total += model.flops(1, kept + read + n)
    return int(total)


def missing(dense: Tensor, places: list[int]) -> tuple[Tensor, Tensor]:
    """What each position sees when a dialogue is read in chunks, and which of them miss something."""
    seen = torch.zeros_like(dense)
    for start, stop in pairwise(places):
        seen[start:stop, :stop] = dense[start:stop, :stop]
    return seen, (seen != dense).any(-1)


def broken(dense: Tensor, places: list[int]) -> Tensor:
    seen, wrong = missing(dense, places)
    for _ in dense:
        wrong = wrong | (seen & wrong).any(-1)
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("token-by-token", broken),
        ("safe-cuts", cuts),
        ("safe-cuts", lambda dense: borders(dense).nonzero().flatten()),
        ("reusable", reusable),
        ("reusable", unchanged_prefix),
        ("window-reuse", window),
        ("cache-bytes", cache_bytes),
        ("turn-flops", flops),
    ],
)
def test_right_answers_pass(name: str, answer: Callable[..., Any]) -> None:
    assert_right(name, answer)


def same_rows(before: Tensor, after: Tensor) -> int:
    """Counts unchanged rows, wherever they are."""
    common = min(len(before), len(after))
    return int((before[:common, :common] == after[:common, :common]).all(-1).sum())


def first_rows(before: Tensor, after: Tensor) -> int:
    """The unchanged rows at the front; what they look at is forgotten."""
    common = min(len(before), len(after))
    same = (before[:common, :common] == after[:common, :common]).all(-1)
    return int(same.long().cumprod(0).sum())


def last_row_only(dense: Tensor) -> list[int]:
    """Asks the row before the cut, not all of them."""
    return [n for n in range(len(dense) + 1) if n == 0 or not dense[n - 1, n:].any()]


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("token-by-token", lambda dense, places: missing(dense, places)[1], r"it misses nothing itself, but it sees"),
        ("token-by-token", lambda dense, places: [False] * len(dense), r"which is read in a later chunk"),
        ("token-by-token", lambda dense, places: [len(places) > 4] * len(dense), r"all it sees is right"),
        ("token-by-token", lambda dense, places: broken(dense, places).nonzero(), r"one True or False a token"),
        ("safe-cuts", lambda dense: range(len(dense) + 1), r"reads on to .* which would not have been read yet"),
        ("safe-cuts", lambda dense: cuts(dense)[1:-1], r"before position 0 is safe \(at an end\), but your list lacks"),
        ("safe-cuts", last_row_only, r"is not safe, .* reads on to"),
        ("safe-cuts", lambda dense: sorted(cuts(dense) * 2), r"each listed once"),
        ("safe-cuts", borders, r"not True or False"),
        ("safe-cuts", lambda dense: [n + 1 for n in cuts(dense)], r"is not a cut of|lacks it|is not safe"),
        ("reusable", same_rows, r"position \d+ saw .* and now sees|which is not kept"),
        ("reusable", first_rows, r"sees \d+, which is not kept|and now sees"),
        ("reusable", lambda before, after: len(before), r"and now sees|between 0 and"),
        ("reusable", lambda before, after: 0, r"The first \d+ are all right"),
        ("window-reuse", lambda n, asked, total: (asked - n + 1, 0), r"n=1, .*unchanged rows.*With n=1"),
        (
            "window-reuse",
            lambda n, asked, total: (total, total) if n == 1 else (max(0, asked - n), 0),
            r"unchanged rows.*A row changes if its window",
        ),
        (
            "window-reuse",
            lambda n, asked, total: (total, total) if n == 1 else (max(0, asked - n + 1),) * 2,
            r"positions kept.*Each position of the question looks at the next",
        ),
        ("window-reuse", lambda n, asked, total: 0, "return two numbers"),
        ("cache-bytes", lambda c, positions, size: c.layers * c.width * positions * size, "has keys and values"),
        ("cache-bytes", lambda c, positions, size: 2 * c.width * positions * size, "Every layer"),
        ("cache-bytes", lambda c, positions, size: c.heads * cache_bytes(c, positions, size), "heads share the width"),
        (
            "turn-flops",
            lambda model, kept, read, written: flops(model, 0, read, written),
            "look at the kept ones, too",
        ),
        (
            "turn-flops",
            lambda model, kept, read, written: model.flops(read + written, (read + written) * (kept + read + written)),
            "one token at a time",
        ),
        (
            "turn-flops",
            lambda model, kept, read, written: (
                model.flops(read, read * (kept + read)) + sum(model.flops(1, kept + read + n) for n in range(written))
            ),
            "also sees itself",
        ),
        (
            "turn-flops",
            lambda model, kept, read, written: model.flops(read, read * (kept + read)),
            "That is the prefill",
        ),
    ],
)
def test_wrong_answers_are_told_why(name: str, answer: Callable[..., Any], message: str) -> None:
    assert_wrong(name, answer, message)


@pytest.mark.parametrize("rule", ["causal", "ism", "prefix", "bidirectional"])
def test_what_is_called_broken_is_wrong_on_a_real_model(rule: str) -> None:
    model = GPT(GPTConfig(load_tokenizer().n_vocab, layers=2, heads=2, width=16, mask=rule)).eval()
    for encoded in sample_dialogues(3):
        dense, tokens = get_mask(rule).dense(encoded.segments), encoded.tokens[None]
        for places in _ways(encoded).values():
            cache = model.new_cache()
            with torch.inference_mode():
                fed = [model(tokens[:, a:b], dense[a:b, :b], cache)[0] for a, b in pairwise(places)]
                off = (torch.cat(fed) - model(tokens, dense)[0]).abs().amax(-1)
            assert torch.equal(off > 1e-5, broken(dense, places))


def test_a_wrong_reusable_shows_both_masks() -> None:
    verdict = check("reusable", first_rows)
    assert verdict.yours is not None
    assert verdict.target is not None
    assert "still right" in verdict.target.alt
