"""The exercises of 05_attention_maps: right answers pass, wrong ones are told what is wrong."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from mini_ism import attention_stats
from mini_ism.exercises.attention import sample_weights, slow_copying, slow_entropy, slow_look_ahead, slow_moved
from tests.exercises.verdicts import assert_right, assert_todo, assert_wrong

Answer = Callable[..., Any]


def share(weights: Tensor, allowed: Tensor) -> Any:
    rows = allowed.triu(1).any(-1)
    return weights.triu(1).sum(-1)[rows].mean() if rows.any() else 0.0


def bits(weights: Tensor) -> Tensor:
    return -(weights * weights.clamp(min=1e-30).log2()).sum(-1)


def moved(before: Tensor, after: Tensor) -> Tensor:
    return (after - before).abs().sum(-1).mean() / 2


def find(weights: Tensor, tokens: Tensor, shift: int = 1) -> tuple[int, int]:
    copies = (tokens[None, :] == tokens.roll(-shift)[:, None]).tril()
    copies[-1] = False
    shares = (weights * copies).sum(-1)[..., copies.any(-1)].mean(-1)
    return divmod(int(shares.argmax()), int(shares.shape[1]))


RIGHT = {"look-ahead-share": share, "head-entropy": bits, "attention-moved": moved, "copying-head": find}
WRONG: list[tuple[str, Answer, str]] = [
    ("look-ahead-share", lambda w, a: w.triu(0).sum(-1)[a.triu(1).any(-1)].mean(), "puts on itself"),
    ("look-ahead-share", lambda w, a: w.triu(1).sum(-1).mean(), "mean of all rows"),
    ("look-ahead-share", lambda w, a: w.tril(-1).sum(-1)[a.triu(1).any(-1)].mean(), "looks back"),
    ("look-ahead-share", lambda w, a: w.triu(1).sum(-1)[a.triu(1).any(-1)].mean(), "under causal it is not a number"),
    ("look-ahead-share", lambda w, a: 0.5, "but yours is 0.5000"),
    ("head-entropy", lambda w: -(w * w.log2()).sum(-1), "0 times the logarithm of 0"),
    ("head-entropy", lambda w: torch.special.entr(w).sum(-1), "nats"),
    ("head-entropy", lambda w: -bits(w), "sign"),
    ("head-entropy", lambda w: bits(w).mean(), "shape"),
    ("attention-moved", lambda b, a: (a - b).abs().sum(-1).mean(), "you counted both"),
    ("attention-moved", lambda b, a: (a - b).sum(-1).mean(), "cancel"),
    ("attention-moved", lambda b, a: (a - b).abs().sum() / 2, "Average over the rows"),
    ("copying-head", lambda w, t: find(w, t, shift=0), r"the token it stands on"),
    ("copying-head", lambda w, t: find(w, t)[::-1], r"puts .* on copies of the next token|no layer \d, head"),
    ("copying-head", lambda w, t: tuple(i + 1 for i in find(w, t)), r"puts .* on copies|no layer \d, head"),
    ("copying-head", lambda w, t: 3, "should be a pair"),
]


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers_pass(name: str) -> None:
    assert_right(name, RIGHT[name])


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_wrong_answers_are_told_why(name: str, answer: Answer, message: str) -> None:
    assert_wrong(name, answer, message)


@pytest.mark.parametrize("name", RIGHT)
def test_a_stub_is_not_done(name: str) -> None:
    assert_todo(name, lambda *_: ...)


@pytest.mark.parametrize("rule", ["causal", "prefix", "ism"])
def test_the_package_s_functions_agree_with_the_slow_ones(rule: str) -> None:
    weights, allowed = sample_weights(rule, 3)
    assert float(attention_stats.look_ahead_share(weights, allowed)) == pytest.approx(
        slow_look_ahead(weights, allowed), abs=1e-6
    )
    assert attention_stats.entropy(weights).tolist() == pytest.approx([slow_entropy(row) for row in weights], abs=1e-5)
    assert slow_moved(weights, weights) == 0


def test_slow_copying_by_hand() -> None:
    tokens = [7, 8, 7, 8]
    weights = torch.tensor([[1.0, 0, 0, 0], [0.6, 0.4, 0, 0], [0, 0.5, 0.5, 0], [0.25] * 4])
    # position 1 is followed by 7, seen at 0 (0.6); position 2 by 8, seen at 1 (0.5); 0 is followed by something new
    assert slow_copying(weights, tokens) == pytest.approx(0.55)
