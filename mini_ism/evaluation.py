"""How often a model answers exactly right, by skill, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import tiktoken
import torch

from mini_ism.batching import collate, training_sequences, turns_independent
from mini_ism.corpus import Dialogue
from mini_ism.dialogue import NEVER_WRITTEN
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.model import GPT

CONTROL_SKILLS = ("recall", "persona", "queue")
"""The skills every model must master before models are compared on any other."""


@dataclass(frozen=True)
class Score:
    """How many answers are right, of how many."""

    right: int
    total: int

    @property
    def share(self) -> float:
        """The share that is right."""
        return self.right / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval of the share (Wilson 1927), sound also near 0 and 1."""
        z, n, p = 1.959964, self.total, self.share
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        reach = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - reach), min(1.0, middle + reach)  # past the ends only by rounding

    def __add__(self, other: Score) -> Score:
        return Score(self.right + other.right, self.total + other.total)


@torch.inference_mode()
def evaluate(
    model: GPT,
    tokenizer: tiktoken.Encoding,
    dialogues: Sequence[Dialogue],
    mask: str | Mask | None = None,
    *,
    batch: int = 64,
) -> dict[str, Score]:
    """Exact match of whole answers under greedy decoding, by skill.

    The history of each turn is the true one. An answer counts if every token of it, the end marker included, is the
    likeliest one after the true tokens before it: then, and only then, greedy decoding writes it.

    Args:
        model: on any device.
        tokenizer: the one it was trained with.
        dialogues: messages and a skill for each answer.
        mask: default, the one the model was trained with.
        batch: sequences a forward.

    Returns:
        A score for each skill met, by name, in alphabetical order.
    """
    if not dialogues:
        raise ValueError("nothing to evaluate: give at least one dialogue")
    rule = get_mask(model.config.mask if mask is None else mask)
    forbidden_ids = [tokenizer.encode_single_token(marker) for marker in NEVER_WRITTEN]
    scores: dict[str, Score] = {}
    model.eval()
    expand = not turns_independent(rule, dialogues, tokenizer)
    work = sorted(
        training_sequences(dialogues, tokenizer, expand=expand), key=lambda pair: len(pair[0])
    )  # less padding
    for start in range(0, len(work), batch):
        encoded, skills = zip(*work[start : start + batch], strict=True)
        b = collate(encoded, tokenizer).to(model.device)
        logits = model(b.tokens, rule.dense(b.segments))  # (B, T, V)
        logits[..., forbidden_ids] = -torch.inf
        wrong = b.loss_mask.clone()
        wrong[:, 1:] &= logits[:, :-1].argmax(-1) != b.tokens[:, 1:]  # (B, T)
        for row, names in enumerate(skills):
            answers = b.segments.id[row][b.loss_mask[row]].unique()  # in the order of the dialogue
            for answer, skill in zip(answers, names, strict=True):
                right = not bool(wrong[row][b.segments.id[row] == answer].any())
                scores[skill] = scores.get(skill, Score(0, 0)) + Score(int(right), 1)
    return dict(sorted(scores.items()))
