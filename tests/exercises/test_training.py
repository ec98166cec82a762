"""The checks of notebook 04: right answers pass, plausible wrong ones are told what is wrong with them."""

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mini_ism.training import TrainingConfig
from tests.exercises.verdicts import assert_right, assert_todo, assert_wrong

Turns = list[tuple[int, int]]


def predicts(targets: Tensor) -> Tensor:
    return torch.cat([targets[1:], torch.tensor([False])])


def changes_its_input(targets: Tensor) -> Tensor:
    targets[:-1] = targets[1:].clone()
    targets[-1] = False
    return targets


def answer_loss(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    return F.cross_entropy(logits[:-1][mask[1:]], tokens[mask])


def sum_loss(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    return F.cross_entropy(logits[:-1][mask[1:]], tokens[mask], reduction="sum")


def diluted(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    return sum_loss(logits, tokens, mask) / len(tokens)


def rate(step: int, steps: int, peak: float, warm: int) -> float:
    return TrainingConfig(steps=steps, lr=peak, warmup=warm / steps).rate(step)


def from_nothing(step: int, steps: int, peak: float, warm: int) -> float:
    return peak * step / warm if step < warm else rate(step, steps, peak, warm)


def to_nothing(step: int, steps: int, peak: float, warm: int) -> float:
    through = (step - warm) / (steps - warm)
    return rate(step, steps, peak, warm) if step < warm else peak * (1 + math.cos(math.pi * through)) / 2


def cosine_from_the_start(step: int, steps: int, peak: float, warm: int) -> float:
    return rate(step, steps, peak, warm) if step < warm else peak * (1 + math.cos(math.pi * step / steps)) / 2


def epoch(turns: Turns) -> tuple[int, int]:
    lengths = [sum(turn) for turn in turns]
    return sum(lengths), sum(sum(lengths[: n + 1]) for n in range(len(lengths)))


def queries_only(turns: Turns) -> tuple[int, int]:
    return epoch(turns)[0], sum(sum(query for query, _ in turns[: n + 1]) + turns[n][1] for n in range(len(turns)))


RIGHT: list[tuple[str, Any]] = [
    ("who-predicts", predicts),
    ("answer-loss", answer_loss),
    ("learning-rate", rate),
    ("epoch-tokens", epoch),
    ("break-the-chat", "The cup is in the 43701972. Where is the cup?"),
]
WRONG: list[tuple[str, Any, str]] = [
    (
        "who-predicts",
        lambda targets: targets.clone(),
        r"‹assistant› \(\d+\) should be marked: it predicts the token after it",
    ),
    ("who-predicts", lambda targets: targets.roll(1), r"predicts the token after it"),
    ("who-predicts", lambda targets: targets.roll(-1), r"nothing after it to predict; torch\.roll wraps around"),
    ("who-predicts", lambda targets: targets.roll(-1).int(), r"give True or False for each token; yours holds int32"),
    ("break-the-chat", 3, r"a text, in quotes; yours is int"),
    ("break-the-chat", "Where is the cup?", r"two sentences"),
    ("break-the-chat", "The cup is in the oven. Where is the key?", r"asks for the key, but tells of the cup"),
    ("break-the-chat", f"The {'cup' * 9} is in the oven. Where is the {'cup' * 9}?", r"27 letters"),
    ("break-the-chat", "The cup is in the cup. Where is the cup?", r"two different words"),
    ("break-the-chat", "The cup is in the CUP. Where is the cup?", r"two different words"),
    ("break-the-chat", "The cup is in the oven. Where is the cup?", r"answers 'In the oven\.', which is right"),
    ("who-predicts", changes_its_input, r"changes `targets`, which belongs to its caller"),
    ("answer-loss", lambda z, t, m: F.cross_entropy(z[:-1], t[1:]), r"mean over all tokens"),
    ("answer-loss", lambda z, t, m: F.cross_entropy(z[m], t[m]), r"scores at its own place"),
    ("answer-loss", sum_loss, r"that is the sum|That is the sum"),
    ("answer-loss", diluted, r"divided by all tokens"),
    ("learning-rate", from_nothing, r"step 0 should have the rate .* first step do nothing"),
    ("learning-rate", to_nothing, r"end at peak / 50"),
    ("learning-rate", cosine_from_the_start, r"begins where the warm-up ends"),
    ("epoch-tokens", lambda turns: (epoch(turns)[0],) * 2, r"Each turn is a sample of its own"),
    ("epoch-tokens", queries_only, r"holds the earlier answers, too"),
    ("epoch-tokens", lambda turns: epoch(turns)[0], r"give two numbers"),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=[name for name, _ in RIGHT])
def test_the_right_answer_passes(name: str, answer: Any) -> None:
    assert_right(name, answer)


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_a_wrong_answer_is_told_why(name: str, answer: Callable[..., Any], message: str) -> None:
    assert_wrong(name, answer, message, re.DOTALL)


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_a_stub_is_not_wrong_but_not_done(name: str, answer: Any) -> None:
    assert_todo(name, (lambda *values: ...) if callable(answer) else ...)
