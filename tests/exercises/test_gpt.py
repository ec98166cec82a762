"""The exercises of 02_gpt_from_scratch: right answers pass, wrong ones are told what is wrong."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from mini_ism import GPTConfig
from mini_ism.exercises.gpt import slow_rotary
from mini_ism.functional import apply_rotary, rotary_table
from tests.exercises.verdicts import assert_right, assert_todo, assert_wrong

Answer = Callable[..., Any]


def weigh(scores: Tensor, allowed: Tensor) -> Tensor:
    return scores.masked_fill(~allowed, -torch.inf).softmax(-1)


def turn(x: Tensor, positions: Tensor, inv_freq: Tensor, sign: int = 1, swap: int = 1) -> Tensor:
    angles = positions[:, None] * inv_freq
    left, right = x.chunk(2, dim=-1)
    return torch.cat(
        [left * angles.cos() - sign * right * angles.sin(), right * angles.cos() + swap * sign * left * angles.sin()],
        -1,
    )


def heard(layer: Callable[[Tensor], Tensor], x: Tensor, weighted: bool = True) -> Tensor:
    inputs = x.clone().requires_grad_()
    outputs = layer(inputs)
    outputs = outputs * torch.rand(x.shape[1]) if weighted else outputs
    rows = [torch.autograd.grad(y.sum(), inputs, retain_graph=True)[0] for y in outputs]
    return torch.stack([(row != 0).any(-1) for row in rows])


def shift(x: Tensor, allowed: Tensor) -> Tensor:
    before = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
    sees = torch.cat([torch.zeros(1, dtype=torch.bool), allowed.diagonal(-1)])
    return x + 0.5 * before * sees[:, None]


def count(c: GPTConfig) -> int:
    block = 12 * c.width**2 + 2 * c.width
    return c.vocab_size * c.width + c.token_shift * c.width**2 + c.layers * block + c.width


RIGHT: dict[str, Answer] = {
    "masked-softmax": weigh,
    "rotary": turn,
    "leak-test": heard,
    "gated-shift": shift,
    "parameter-count": count,
}
WRONG: list[tuple[str, Answer, str]] = [
    ("masked-softmax", lambda s, a: s.softmax(-1) * a, r"sums to 0\.\d+, not 1: hide the scores before"),
    ("masked-softmax", lambda s, a: (s * a).softmax(-1), "a score of 0 is not nothing"),
    ("masked-softmax", lambda s, a: s.masked_fill(~a, -torch.inf).softmax(0), "columns sum to 1|NaN"),
    ("masked-softmax", lambda s, a: s.softmax(-1), "which the mask hides"),
    ("masked-softmax", lambda s, a: weigh(s, ~a), "NaN|which the mask hides"),
    ("masked-softmax", lambda s, a: (s.exp() * a) / (s.exp() * a).sum(-1, keepdim=True), "NaN"),
    ("masked-softmax", lambda s, a: s.masked_fill(~a, -1e9).softmax(-1), "minus infinity lies below every number"),
    ("masked-softmax", lambda s, a: s.masked_fill(~a, torch.finfo(s.dtype).min).softmax(-1), "-1e9 hides a token only"),
    (
        "masked-softmax",
        lambda s, a: (s + torch.where(a, 0, -1e38)).softmax(-1),
        "with hidden scores at 3.4e.38 and all",
    ),
    ("masked-softmax", lambda s, a: (s - 1e9 * ~a).softmax(-1), "minus infinity lies below every number"),
    ("masked-softmax", lambda s, a: s.masked_fill_(~a, -torch.inf).softmax(-1), "changes `s`, which belongs to its"),
    ("rotary", lambda x, p, s: turn(x, p, s, sign=-1), "clockwise"),
    ("rotary", lambda x, p, s: turn(x, p, s, swap=-1), "keeps its length"),
    ("rotary", lambda x, p, s: turn(x, p + 1, s), "from 1"),
    ("rotary", lambda x, p, s: turn(x, p, s.flip(0)), "each pair's speed"),
    ("rotary", lambda x, p, s: x, "each pair's speed"),
    ("rotary", lambda x, p, s: turn(x, p[0] + torch.arange(len(p)), s), "each pair's speed"),
    ("leak-test", lambda f, x: heard(f, x, weighted=False), "channels sum to 0.*random weights"),
    ("leak-test", lambda f, x: heard(f, x).T, "rows and columns are swapped"),
    ("leak-test", lambda f, x: torch.ones(len(x), len(x), dtype=torch.bool), "output i alone"),
    ("leak-test", lambda f, x: torch.zeros(len(x), len(x), dtype=torch.bool), "your test says it does not"),
    ("leak-test", lambda f, x: heard(f, x).float(), "True or False"),
    ("gated-shift", lambda x, a: x + 0.5 * x.roll(1, 0), "torch.roll wraps around"),
    (
        "gated-shift",
        lambda x, a: shift(x, torch.ones_like(a)),
        "a leak: under ism & same_segment, token .* which the mask hides",
    ),
    ("gated-shift", lambda x, a: x, "should hear"),
    ("gated-shift", lambda x, a: shift(x.flip(0), a).flip(0), "does not stand just before it"),
    ("parameter-count", lambda c: count(c) + c.vocab_size * c.width, "input and output share"),
    ("parameter-count", lambda c: count(c) - c.width, "last norm"),
    ("parameter-count", lambda c: count(c) - c.token_shift * c.width**2, "token shift"),
    ("parameter-count", lambda c: count(c) - c.layers * c.width**2, "way out"),
    ("parameter-count", lambda c: 7, "yours says 7"),
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


def test_the_slow_rotary_is_the_model_s() -> None:
    x, positions = torch.randn(5, 8), torch.arange(2, 7)
    inv_freq = 100.0 ** (-torch.arange(4) / 4)
    table = rotary_table(positions, head_dim=8, theta=100.0)
    torch.testing.assert_close(apply_rotary(x, table), slow_rotary(x, positions, inv_freq))
