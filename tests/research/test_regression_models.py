"""Trained in-context regression: nothing leaks, layouts match the masks, learning is learning."""

import math
from dataclasses import replace

import pytest
import torch

from research.regression_dialogues import Shape, draw_dialogues, lay_out, ridge_answers
from research.regression_models import (
    TEST,
    TRAIN,
    VALIDATION,
    LinearReader,
    Recipe,
    SoftmaxReader,
    read_linearly,
    stream_seed,
    train_readers,
    typical,
)

SHAPE = Shape(turns=3, examples=2, width=2)


# -- dialogues -----------------------------------------------------------------------------------------


def test_dialogues() -> None:
    drawn = draw_dialogues(500, Shape(noise=0.0), seed=3)
    shape = Shape()
    assert drawn.tokens.shape == (500, 21, 4)
    assert shape.is_question.nonzero()[:, 0].tolist() == [6, 13, 20] == [end - 1 for end in shape.ends]
    assert bool((drawn.tokens[:, shape.is_question, -1] == 0).all())  # what is asked for is not there
    assert torch.allclose(ridge_answers(drawn, Shape(noise=1e-3)), drawn.answers, atol=1e-3)
    assert torch.equal(drawn.tokens, draw_dialogues(500, Shape(noise=0.0), seed=3).tokens)


def test_ridge_is_the_best_there_is() -> None:
    shape = Shape()
    drawn = draw_dialogues(4000, shape, seed=0)

    def error(penalty: float) -> float:
        answered = ridge_answers(drawn, replace(shape, noise=penalty))
        return float((answered - drawn.answers).square().mean())

    assert error(shape.noise) < min(error(shape.noise / 3), error(shape.noise * 3))


def test_layouts() -> None:
    for mask in ("causal", "ism"):
        layout = lay_out(mask, SHAPE)
        assert layout.index.tolist() == list(range(9))
        assert layout.questions.tolist() == [2, 5, 8]
    turns = lay_out("prefix", SHAPE)
    assert turns.index.tolist() == [*range(3), *range(6), *range(9)]
    assert turns.questions.tolist() == [2, 8, 17]
    assert turns.visible[3:9, 3:9].tolist() == [[True, True, False, True, True, False]] * 6
    assert not turns.visible[3:9, 9:].any()
    ism = lay_out("ism", SHAPE).visible
    assert ism[0].tolist() == [True, True, *[False] * 7]
    assert ism[2].tolist() == [True, True, *[False] * 7]  # a question reads, and is not read
    assert ism[4].tolist() == [True, True, False, True, True, *[False] * 4]


def answers(kind: str, mask: str, tokens: torch.Tensor) -> torch.Tensor:
    layout = lay_out(mask, SHAPE)
    laid_out = tokens[:, layout.index]
    if kind == "linear":
        return read_linearly([LinearReader(SHAPE, 3, 0)], laid_out[None], layout)[0]
    answered: torch.Tensor = SoftmaxReader(SHAPE, 3, 0)(laid_out, SHAPE.is_question[layout.index], layout)
    return answered


@pytest.mark.parametrize("mask", ["causal", "ism", "prefix", "causal & sliding_window(4)"])
@pytest.mark.parametrize("kind", ["linear", "softmax"])
def test_a_turn_hears_of_its_examples_and_no_later_ones_and_of_no_other_question(kind: str, mask: str) -> None:
    tokens = draw_dialogues(1, SHAPE, 0).tokens.requires_grad_()
    for turn, answer in enumerate(answers(kind, mask, tokens)[0]):
        (heard,) = torch.autograd.grad(answer, tokens, retain_graph=True)
        hears = heard[0].abs().sum(-1) > 0
        expected = torch.arange(9) < SHAPE.ends[turn]
        expected &= ~SHAPE.is_question | (torch.arange(9) == SHAPE.ends[turn] - 1)
        if "window" not in mask:
            assert hears.tolist() == expected.tolist()
        assert not (hears & ~expected).any()


def test_linear_models_read_together_as_they_read_alone() -> None:
    layout = lay_out("prefix", SHAPE)
    models = [LinearReader(SHAPE, 2, seed) for seed in range(3)]
    tokens = torch.stack([draw_dialogues(4, SHAPE, seed).tokens for seed in range(3)])[:, :, layout.index]
    together = read_linearly(models, tokens, layout)
    for model, row, answered in zip(models, tokens, together, strict=True):
        x = row
        for look, write in zip(model.look, model.write, strict=True):  # without the shortcut in the last layer
            share = layout.visible / (layout.visible.sum(-1, keepdim=True) + 2 * 3)
            x = x + ((x @ look @ x.mT) * share) @ x @ write
        assert torch.allclose(answered, -x[:, layout.questions, -1], atol=1e-6)


# -- training ------------------------------------------------------------------------------------------


def test_streams_do_not_meet() -> None:
    seeds = {stream_seed(s, seed, part) for s in (TRAIN, VALIDATION, TEST) for seed in range(5) for part in range(99)}
    assert len(seeds) == 3 * 5 * 99


def test_the_rate_rises_and_falls() -> None:
    recipe = Recipe("ism", 1, 100)
    assert [round(recipe.rate(step), 3) for step in (0, 4, 5, 52, 99)] == [0.2, 1.0, 1.0, 0.508, 0.0]


def test_a_run_does_not_depend_on_its_company() -> None:
    recipe = Recipe("ism", 2, 20, tests=512)
    alone = [train_readers(recipe, [run])[0] for run in ((0, 2e-2), (1, 4e-2))]
    for one, company in zip(alone, train_readers(recipe, [(0, 2e-2), (1, 4e-2)]), strict=True):
        assert one.error == pytest.approx(company.error, rel=1e-3)
        assert one.turns == pytest.approx(company.turns, rel=1e-3)


def test_a_run_that_diverges_stays_alone() -> None:
    good, bad = train_readers(Recipe("ism", 3, 30, tests=512), [(0, 1e-2), (0, 1e4)])
    assert math.isfinite(good.error)
    assert bad.error > 1e3


@pytest.mark.slow
@pytest.mark.parametrize("softmax", [False, True])
def test_training_pays(softmax: bool) -> None:
    shape = Shape(turns=1, examples=8, width=1)
    (outcome,) = train_readers(Recipe("ism", 1, 150, shape, softmax=softmax, tests=512), [(0, 1e-2)])
    assert outcome.error < outcome.half
    assert outcome.turns == [pytest.approx(outcome.error)]
    untrained = train_readers(Recipe("ism", 1, 1, shape, softmax=softmax, tests=512), [(0, 1e-6)])[0].error
    assert outcome.error < untrained / 2


def test_the_worst_are_left_out() -> None:
    squares = torch.ones(2, 1000, 3)
    squares[0, 5], squares[1, 7, 1] = 1e9, math.inf
    assert bool((typical(squares, 0.001) == 1).all())
    assert typical(squares, 0.0)[:, 1].tolist() == [pytest.approx(1e6, rel=1e-2), math.inf]
