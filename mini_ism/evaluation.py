"""How often a model answers exactly right, by skill, with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import tiktoken
import torch
from torch import Tensor

from mini_ism.batching import collate, training_sequences, turns_independent
from mini_ism.corpus import Dialogue
from mini_ism.dialogue import NEVER_WRITTEN, EncodedDialogue
from mini_ism.distributed import ALONE, Team
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.model import GPT
from mini_ism.reuse import borders

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


class _Question(NamedTuple):
    """A sequence to be read at once, and what is to be written after which of its positions."""

    sequence: EncodedDialogue
    places: Tensor  # [N], each predicts the token after it
    wanted: Tensor  # [N], the true tokens
    answers: Tensor  # [N], the number of the answer that each belongs to


@torch.inference_mode()
def evaluate(
    model: GPT,
    tokenizer: tiktoken.Encoding,
    dialogues: Iterable[Dialogue],
    mask: str | Mask | None = None,
    *,
    batch: int = 64,
    team: Team = ALONE,
) -> dict[str, Score]:
    """Exact match of whole answers under greedy decoding, by skill.

    The history of each turn is the true one. An answer counts if every token of it, the end marker included, is the
    likeliest one after the true tokens before it: then, and only then, greedy decoding writes it. All tokens of a
    dialogue are scored in one forward where the rule hides each from what predicts it; where it does not, as under
    ``bidirectional``, every token gets a forward of its own, over what comes before it.

    Args:
        model: on any device.
        tokenizer: the one it was trained with.
        dialogues: messages and a skill for each answer; a finite number of them.
        mask: default, the one the model was trained with.
        batch: sequences per forward.
        team: the processes that score together; all must call this, and all get the same scores.

    Returns:
        A score for each skill met, by name, in alphabetical order.

    Raises:
        ValueError: there are no dialogues, or none that has an answer.
    """
    dialogues = list(dialogues)
    if not any(dialogue.skills for dialogue in dialogues):
        raise ValueError("nothing to evaluate: give at least one dialogue with an answer (an iterator gives them once)")
    if not team.shard:  # where a forward needs every process, all score all
        dialogues = list(team.share(dialogues))
    rule = get_mask(model.config.mask if mask is None else mask)
    forbidden_ids = [tokenizer.encode_single_token(marker) for marker in NEVER_WRITTEN]
    skills, questions = _questions(rule, dialogues, tokenizer)
    questions.sort(key=lambda question: len(question.sequence))  # alike lengths need less padding
    right = torch.ones(len(skills), dtype=torch.bool)
    model.eval()
    for start in range(0, len(questions), batch):
        group = questions[start : start + batch]
        b = collate([question.sequence for question in group], tokenizer).to(model.device)
        logits = model(b.tokens, rule.dense(b.segments))  # (B, T, V)
        logits[..., forbidden_ids] = -torch.inf
        likeliest = logits.argmax(-1).cpu()  # (B, T)
        for row, question in enumerate(group):
            right[question.answers[likeliest[row, question.places] != question.wanted]] = False
    answers = list(zip(skills, right.tolist(), strict=True))
    scores: dict[str, Score] = {}
    for skill, is_right in answers if team.shard else chain(*team.gather(answers)):
        scores[skill] = scores.get(skill, Score(0, 0)) + Score(int(is_right), 1)
    return dict(sorted(scores.items()))


def _questions(
    rule: Mask, dialogues: Sequence[Dialogue], tokenizer: tiktoken.Encoding
) -> tuple[list[str], list[_Question]]:
    """The skill of each answer, and the sequences that together ask for every token of every answer."""
    skills: list[str] = []
    questions: list[_Question] = []
    expand = not turns_independent(rule, dialogues, tokenizer)
    for sequence, names in training_sequences(dialogues, tokenizer, expand=expand):
        targets = sequence.loss_mask.nonzero()[:, 0]  # (N)
        segments = sequence.segments.id[targets]
        answers = (segments[:, None] > segments.unique()[None, :]).sum(-1) + len(skills)  # (N): counted on
        skills += names
        wanted = sequence.tokens[targets]
        if bool(borders(rule.dense(sequence.segments))[targets].all()):  # nobody before a target sees it
            questions.append(_Question(sequence, targets - 1, wanted, answers))
        else:
            questions += [
                _Question(sequence.first(stop), torch.tensor([stop - 1]), wanted[n : n + 1], answers[n : n + 1])
                for n, stop in enumerate(targets.tolist())
            ]
    return skills, questions
