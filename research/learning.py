"""The training loop of the sweeps on dialogues, with a measurement on validation dialogues at regular intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mini_ism.batching import make_batch, turns_independent
from mini_ism.corpus import Dialogue
from mini_ism.dialogue import EncodedDialogue
from mini_ism.evaluation import Score, evaluate
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.model import GPT
from mini_ism.tokenizer import load_tokenizer
from mini_ism.training import TrainingConfig, loss_on_answers, make_optimizer, training_step

Scores = dict[str, Score]


@dataclass(frozen=True)
class Learned:
    """What a training measured.

    Args:
        scores: at the end, by label, on validation.
        curve: for each measurement its ``step``, the ``tokens`` computed by then, and a summary of the scores.
        loss: mean over the last steps, as many as lie between two measurements.
        tokens: positions computed, padding left out.
    """

    scores: Scores
    curve: list[dict[str, Any]]
    loss: float
    tokens: int


def batch_step(
    model: GPT, optimizer: torch.optim.Optimizer, batch: EncodedDialogue, mask: Mask, *, lr: float, clip: float
) -> Tensor:
    """One step on a batch of dialogues under a mask; the loss before it."""
    allowed = mask.dense(batch.segments)  # (B, T, T)
    return training_step([model], optimizer, [lambda: loss_on_answers(model, batch, allowed)], lr=lr, clip=clip)


def learn(
    model: GPT,
    recipe: TrainingConfig,
    every: int,
    draw: Callable[[int], list[Dialogue]],
    validation: list[Dialogue],
    summary: Callable[[Scores], dict[str, Any]],
) -> Learned:
    """Train a model in place, on the same dialogues whatever the mask.

    Args:
        model: fresh, or to be trained further.
        recipe: the mask, the steps, the rate and everything else that determines a step.
        every: steps between two measurements; the last step is always measured.
        draw: gives the dialogues of a step.
        validation: dialogues that are evaluated at each measurement.
        summary: what the curve keeps of a measurement's scores.
    """
    tokenizer, rule = load_tokenizer(), get_mask(recipe.mask)
    optimizer = make_optimizer(model, recipe)
    expand = not turns_independent(rule, validation[:8], tokenizer)
    tokens, losses, curve = 0, [], []
    for step in range(recipe.steps):
        batch = make_batch(draw(step), tokenizer, expand=expand)
        loss = batch_step(model, optimizer, batch, rule, lr=recipe.rate(step), clip=recipe.clip)
        tokens += batch.token_count
        losses.append(loss.item())
        if (step + 1) % every == 0 or step + 1 == recipe.steps:
            scores = evaluate(model, tokenizer, validation, rule)
            curve.append({"step": step + 1, "tokens": tokens, **summary(scores)})
    last = losses[-every:]
    return Learned(scores, curve, round(sum(last) / len(last), 5), tokens)
