"""Small transformers trained to read dialogues of examples: linear attention alone, and the package's own blocks.

Errors are given as multiples of ridge regression's on the same examples: 1 is the best that can be done.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from mini_ism.config import GPTConfig
from mini_ism.functional import rotary_table
from mini_ism.model import Block, LayerInputs
from mini_ism.training import training_step
from research.regression_dialogues import Dialogues, Layout, Shape, draw_dialogues, lay_out, ridge_answers

TRAIN, VALIDATION, TEST = range(3)
"""Disjoint streams of draws."""

CHUNK = 512
"""How many dialogues are drawn or tested at once."""

WORST = 0.001
"""The share of the dialogues, those with the largest errors, that is left out of a test."""


class LinearReader(nn.Module):
    """Layers of linear attention without softmax, MLP or norm, on the tokens as they are.

    A position j adds to itself what it reads, ``sum over visible k of (x_j look x_k) x_k write / (count + 2 (d + 1))``
    with learned ``look`` and ``write``. In the end a question holds minus its answer: as in the theory, a layer
    subtracts what is explained from each label. The constant keeps small what the first examples read, which see few
    others under causal.

    Args:
        shape: of the dialogues.
        layers: how many.
        seed: of the noise in the matrices. They start as one small gradient step per layer. From noise alone, two
            layers often end in a bad local minimum, whatever the mask (three of five seeds, at every rate).
    """

    def __init__(self, shape: Shape, layers: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        D = shape.width + 1
        label = torch.diag(torch.arange(D) == D - 1).float()  # picks y out of (x, y)
        self.look = nn.Parameter(torch.eye(D) - label + torch.randn(layers, D, D, generator=generator) / 10)
        self.write = nn.Parameter(-label + torch.randn(layers, D, D, generator=generator) / 10)


def read_linearly(models: Sequence[LinearReader], tokens: Tensor, layout: Layout) -> Tensor:
    """Answers of several models at once, at little more than the cost of one.

    Args:
        models: R of the same depth.
        tokens: of the laid-out dialogues of each model, ``[R, B, P, D]``.
        layout: of the positions.

    Returns:
        ``[R, B, turns]``.
    """
    looks = torch.stack([model.look for model in models], 1)[:, :, None]  # (layers, R, 1, D, D)
    writes = torch.stack([model.write for model in models], 1)[:, :, None]
    D = tokens.shape[-1]
    share = layout.visible / (layout.visible.sum(-1, keepdim=True) + 2 * D)  # (P, P)
    x = tokens
    for number, (look, write) in enumerate(zip(looks, writes, strict=True), start=1):
        readers = x
        if number == len(looks):  # of the last layer, only what the questions read is ever used
            readers, share = x[:, :, layout.questions], share[layout.questions]
        scores = (readers @ look) @ x.mT * share  # (R, B, P, P)
        x = readers + scores @ (x @ write)  # (R, B, P, D)
    return -x[..., -1]


class SoftmaxReader(nn.Module):
    """The package's own blocks, softmax attention and MLP, with (x, y) embedded linearly and without positions.

    Args:
        shape: of the dialogues.
        layers, width, heads: of the blocks.
        seed: of the weights.
    """

    def __init__(self, shape: Shape, layers: int, seed: int, width: int = 32, heads: int = 2) -> None:
        super().__init__()
        config = GPTConfig(layers=layers, width=width, heads=heads, rotary_pct=0.0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embed = nn.Linear(shape.width + 2, width)
            self.config, self.blocks = config, nn.ModuleList(Block(config, layer) for layer in range(layers))
            self.norm, self.answer = nn.RMSNorm(width), nn.Linear(width, 1)

    def forward(self, tokens: Tensor, asks: Tensor, layout: Layout) -> Tensor:
        """Laid-out tokens ``[B, P, d + 1]``, which of them ask ``[P]`` -> answers ``[B, turns]``."""
        x = self.embed(torch.cat([tokens, asks.to(tokens.dtype).expand(tokens.shape[:-1])[..., None]], -1))  # (B, P, C)
        rotary = rotary_table(torch.arange(tokens.shape[1]), self.config.head_dim, self.config.rotary_dim)
        inputs = LayerInputs(rotary, layout.visible)
        for block in self.blocks:
            x = block(x, inputs)  # (B, P, C)
        answers: Tensor = self.answer(self.norm(x[:, layout.questions]))[..., 0]
        return answers


@dataclass(frozen=True)
class Recipe:
    """How models are trained: AdamW (1711.05101) without decay, warm-up, then cosine to 0, on squared errors.

    Args:
        mask: which example sees which.
        layers: depth.
        steps: of the optimiser.
        shape: of the dialogues.
        softmax: whether to train :class:`SoftmaxReader` instead of :class:`LinearReader`.
        dialogues: per step.
        warmup: the share of the steps in which the learning rate rises.
        clip: largest norm of a model's gradient.
        tests: dialogues for validation, and as many for the test.
    """

    mask: str
    layers: int
    steps: int
    shape: Shape = field(default_factory=Shape)
    softmax: bool = False
    dialogues: int = 64
    warmup: float = 0.05
    clip: float = 1.0
    tests: int = 16384

    def rate(self, step: int) -> float:
        """The share of the peak learning rate at a step."""
        warm = max(1, round(self.warmup * self.steps))
        if step < warm:
            return (step + 1) / warm
        return (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm))) / 2


@dataclass(frozen=True)
class Outcome:
    """The errors of a trained model, as multiples of ridge regression's mean squared error; infinite if it diverged.

    The worst dialogues (``WORST``) of both are left out. Linear attention multiplies what it reads, so that once in
    many thousand draws an answer is so far off that it would dominate the mean.

    Args:
        validation: on the draws by which a learning rate is chosen.
        error: on other draws, all turns together.
        half: the same, after half of the steps.
        turns: the same, turn by turn.
        whole: ``error`` with nothing left out.
    """

    validation: float
    error: float
    half: float
    turns: list[float]
    whole: float


def train_readers(recipe: Recipe, runs: Sequence[tuple[int, float]]) -> list[Outcome]:
    """Train a model for each pair of seed and peak learning rate, all at once, and test them.

    A seed draws the same dialogues whatever the mask and the rate, so that differences can be paired by seed.
    """
    layout = lay_out(recipe.mask, recipe.shape)
    asks = recipe.shape.is_question[layout.index]
    models: list[nn.Module] = [
        (SoftmaxReader if recipe.softmax else LinearReader)(recipe.shape, recipe.layers, seed) for seed, _ in runs
    ]

    def answers(tokens: Tensor) -> Tensor:
        """``[R, B, T, d + 1]`` -> ``[R, B, turns]``."""
        laid_out = tokens[:, :, layout.index]
        if not recipe.softmax:
            return read_linearly(models, laid_out, layout)  # type: ignore[arg-type]
        return torch.stack([model(row, asks, layout) for model, row in zip(models, laid_out, strict=True)])

    groups = [{"params": list(model.parameters()), "lr": 0.0} for model in models]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
    half = [math.nan] * len(runs)
    for step, batch in enumerate(_batches(recipe, [seed for seed, _ in runs])):

        def loss(batch: Dialogues = batch) -> Tensor:
            off = answers(batch.tokens) - batch.answers  # (R, B, turns)
            return off.square().mean((1, 2)).sum()  # no model's gradient depends on another's loss

        rates = [peak * recipe.rate(step) for _, peak in runs]
        training_step(models, optimizer, [loss], lr=rates, clip=recipe.clip)
        if step + 1 == recipe.steps // 2:
            half = _errors(answers, recipe, runs, TEST)[0]
    validation = _errors(answers, recipe, runs, VALIDATION)[0]
    error, turns, whole = _errors(answers, recipe, runs, TEST)
    return [Outcome(*values) for values in zip(validation, error, half, turns, whole, strict=True)]


def stream_seed(stream: int, seed: int, part: int = 0) -> int:
    """The seed of a part of a stream of draws."""
    return (stream * 1000 + seed) * 100_000 + part


def _batches(recipe: Recipe, seeds: Sequence[int]) -> Iterator[Dialogues]:
    """The dialogues of each step, ``[R, B, ...]``."""
    size, each = recipe.dialogues, max(1, CHUNK // recipe.dialogues)  # steps that are drawn at once
    for step in range(recipe.steps):
        if step % each == 0:
            drawn = {
                seed: draw_dialogues(size * each, recipe.shape, stream_seed(TRAIN, seed, step // each))
                for seed in set(seeds)
            }
        here = slice(step % each * size, (step % each + 1) * size)
        tokens = torch.stack([drawn[seed].tokens[here] for seed in seeds])
        yield Dialogues(tokens, torch.stack([drawn[seed].answers[here] for seed in seeds]))


@torch.no_grad()
def _errors(
    answers: Callable[[Tensor], Tensor], recipe: Recipe, runs: Sequence[tuple[int, float]], stream: int
) -> tuple[list[float], list[list[float]], list[float]]:
    """Squared errors over ridge regression's, by model: all turns together, turn by turn, and with nothing left out."""
    off, best = [], []
    for part in range(math.ceil(recipe.tests / CHUNK)):
        drawn = {seed: draw_dialogues(CHUNK, recipe.shape, stream_seed(stream, seed, part)) for seed, _ in runs}
        ridge = {seed: (ridge_answers(d, recipe.shape) - d.answers).square() for seed, d in drawn.items()}
        answered = answers(torch.stack([drawn[seed].tokens for seed, _ in runs]))
        off.append((answered - torch.stack([drawn[seed].answers for seed, _ in runs])).square())
        best.append(torch.stack([ridge[seed] for seed, _ in runs]))
    mine, ridges = torch.cat(off, 1).nan_to_num(math.inf), torch.cat(best, 1)  # (R, tests, turns)
    together = typical(mine.sum(2), WORST) / typical(ridges.sum(2), WORST)
    turns = typical(mine, WORST) / typical(ridges, WORST)
    whole = mine.sum(2).mean(1) / ridges.sum(2).mean(1)
    return together.tolist(), turns.tolist(), whole.tolist()


def typical(squares: Tensor, worst: float) -> Tensor:
    """The mean over dialogues without this share of the largest, ``[R, N, ...]`` -> ``[R, ...]``."""
    count = squares.shape[1]
    return squares.sort(1).values[:, : count - math.ceil(worst * count)].mean(1)
