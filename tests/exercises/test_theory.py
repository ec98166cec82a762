"""Exercises of notebook 08: right answers pass, plausible wrong ones are told what is wrong."""

from typing import Any

import pytest
import torch
from torch import Tensor

from mini_ism.views import Figure
from tests.exercises.verdicts import assert_right, assert_todo, assert_wrong


def step(a: Tensor, x: Tensor, y: Tensor, visible: Tensor, eta: float) -> Tensor:
    return a + eta * (y - ((x @ x.T) * visible) @ a)


def in_place(a: Tensor, x: Tensor, y: Tensor, visible: Tensor, eta: float) -> Tensor:
    a += eta * (y - ((x @ x.T) * visible) @ a)
    return a


def one_by_one(a: Tensor, x: Tensor, y: Tensor, visible: Tensor, eta: float) -> Tensor:
    a = a.clone()
    for j in range(len(y)):
        a[j] += eta * (y[j] - (visible[j] * (x @ x[j])) @ a)
    return a


def rest(x: Tensor, y: Tensor) -> Tensor:
    return torch.linalg.solve((x @ x.T).tril(), y)


def block(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return w + torch.linalg.pinv(x) @ (y - x @ w)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("lsa-step", step),
        ("causal-rest", rest),
        (
            "causal-rest",
            lambda x, y: torch.linalg.solve_triangular((x @ x.T).tril(), y[:, None], upper=False)[:, 0],
        ),
        ("block-step", block),
        ("block-step", lambda w, x, y: w + torch.linalg.lstsq(x, y - x @ w, driver="gelsd").solution),
        ("who-arrives", lambda sizes, d: max(sizes) >= d),
    ],
)
def test_right_answers_pass(name: str, answer: Any) -> None:
    verdict = assert_right(name, answer)
    if name != "who-arrives":
        assert isinstance(verdict.yours, Figure)
        assert isinstance(verdict.target, Figure)
        assert verdict.yours.alt.replace("yours", "target") == verdict.target.alt


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("lsa-step", lambda a, x, y, v, eta: step(a, x, y, v.T, eta), "by columns"),
        ("lsa-step", lambda a, x, y, v, eta: a + eta * (y - x @ x.T @ a), "the mask is not used"),
        ("lsa-step", lambda a, x, y, v, eta: a - eta * (y - (x @ x.T * v) @ a), "the wrong way"),
        ("lsa-step", lambda a, x, y, v, eta: a + (y - (x @ x.T * v) @ a), "not scaled by eta"),
        ("lsa-step", lambda a, x, y, v, eta: eta * (y - (x @ x.T * v) @ a), "adds it to what the example holds"),
        ("lsa-step", one_by_one, "reads the old `a`"),
        ("lsa-step", in_place, "changes `a`, which belongs to its caller"),
        ("lsa-step", lambda a, x, y, v, eta: x.T @ a, r"shape \[6\], but it has \[3\]"),
        ("lsa-step", lambda a, x, y, v, eta: x @ a, "raised RuntimeError"),
        ("causal-rest", lambda x, y: torch.linalg.solve(x @ x.T, y), "least squares"),
        ("causal-rest", lambda x, y: torch.linalg.solve((x @ x.T).triu(), y), "upper triangle"),
        ("causal-rest", lambda x, y: y / (x * x).sum(1), "its whole label by itself"),
        ("causal-rest", lambda x, y: torch.linalg.solve((x @ x.T).tril(-1), y), "raised|should be"),
        ("causal-rest", lambda x, y: y * 0, "y_j minus the sum"),
        ("block-step", lambda w, x, y: w + torch.linalg.pinv(x) @ y, "residual is y - x @ w"),
        ("block-step", lambda w, x, y: torch.linalg.pinv(x) @ y, "loses what came before|residual"),
        ("block-step", lambda w, x, y: torch.linalg.pinv(x) @ (y - x @ w), "correction alone|loses what|residual"),
        ("block-step", lambda w, x, y: w + x.T @ (y - x @ w), "pseudo-inverse"),
        ("who-arrives", lambda sizes, d: sum(sizes) >= d, "no segment has enough of its own"),
        ("who-arrives", lambda sizes, d: sizes[-1] >= d, "no other segment disturbs it"),
        ("who-arrives", lambda sizes, d: sizes[0] >= d, "no other segment disturbs it"),
        ("who-arrives", lambda sizes, d: max(sizes) > d, r"\[4, 2, 2\] in 4 directions the layers do find"),
        ("who-arrives", lambda sizes, d: "yes", "answer True or False"),
    ],
)
def test_wrong_answers_are_told_why(name: str, answer: Any, message: str) -> None:
    assert_wrong(name, answer, message)


@pytest.mark.parametrize("name", ["lsa-step", "causal-rest", "block-step", "who-arrives"])
def test_stubs_are_not_done(name: str) -> None:
    assert_todo(name, lambda *given: ...)
