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
from mini_ism.checks import check_kind, whole_number
from mini_ism.corpus import Dialogue
from mini_ism.corpus.own import fit
from mini_ism.decoding import decode
from mini_ism.dialogue import NEVER_WRITTEN, EncodedDialogue, is_target
from mini_ism.distributed import ALONE, Team
from mini_ism.markers import marker_id
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.model import GPT
from mini_ism.reuse import borders
from mini_ism.rule_reads import Reads

CONTROL_SKILLS = ("recall", "persona", "queue")
"""The skills every model must master before models are compared on any other."""


@dataclass(frozen=True)
class Score:
    """How many answers are right, out of how many."""

    right: int
    total: int

    def __post_init__(self) -> None:
        whole_number("Score.right", self.right, 0, whole_number("Score.total", self.total, 0))

    @property
    def share(self) -> float:
        """The share that is right.

        Raises:
            ValueError: there are no answers.
        """
        if not self.total:
            raise ValueError("a score over no answers has no share; evaluate some dialogues first")
        return self.right / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval of the share (Wilson 1927), reliable even near 0 and 1."""
        z, n, p = 1.959964, self.total, self.share
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        reach = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - reach), min(1.0, middle + reach)  # past the ends only by rounding

    def __add__(self, other: Score) -> Score:
        return Score(self.right + other.right, self.total + other.total)


class _Read(NamedTuple):
    """A sequence to be scored in one forward pass: no position sees a target before it is predicted."""

    sequence: EncodedDialogue
    places: Tensor  # [N], each predicts the token after it
    wanted: Tensor  # [N], the true tokens
    answers: Tensor  # [N], the number of the answer that each belongs to


class _Write(NamedTuple):
    """An answer to be generated token by token."""

    prompt: EncodedDialogue
    wanted: list[int]
    answer: int


@torch.inference_mode()
def evaluate(
    model: GPT,
    tokenizer: tiktoken.Encoding,
    dialogues: Iterable[Dialogue],
    mask: str | Mask | None = None,
    *,
    batch: int = 16,
    team: Team = ALONE,
) -> dict[str, Score]:
    """Exact match of whole answers under greedy decoding, by skill.

    The history of each turn is the true one. An answer counts if every token of it, the end marker included, is the
    likeliest one after the true tokens before it: then, and only then, greedy decoding writes it. All tokens of a
    dialogue are scored in one forward pass where the rule hides each from what predicts it. Where it does not, as under
    ``bidirectional``, or where it reads something global such as the dialogue's length, the answers are generated, many
    at a time (:func:`~mini_ism.decoding.decode`), up to the first wrong token.

    Args:
        model: on any device.
        tokenizer: the one it was trained with.
        dialogues: messages and a skill for each answer; a finite number of them. Answers of ``"weight"`` 0 are read
            and not scored.
        mask: default, the one the model was trained with.
        batch: sequences per forward pass; more are no faster on a CPU.
        team: the processes that score together; all must call this, and all get the same scores.

    Returns:
        A score for each skill met, by name, in alphabetical order.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: there are no dialogues, or none that has an answer; some are too long for the model; its scores are
            not finite.
    """
    check_kind("model", model, GPT, "load_model(name) returns one, and its tokenizer")
    check_kind("dialogues", dialogues, Iterable, "give a list, [dialogue] for a single one")
    dialogues, batch = list(dialogues), whole_number("batch", batch, 1)
    for dialogue in dialogues:
        check_kind("each dialogue", dialogue, Dialogue, 'take some of load_split("test"), or your own')
    if not any(is_target(message) for dialogue in dialogues for message in dialogue.messages):
        raise ValueError("nothing to evaluate: give at least one dialogue with an answer (an iterator gives them once)")
    numbered = {f"dialogue {number}": dialogue for number, dialogue in enumerate(dialogues)}
    fit(numbered, "dialogues given", tokenizer, model.config.context)
    if not team.shard:  # where a forward pass needs every process, each scores everything
        dialogues = list(team.share(dialogues))
    rule = get_mask(model.config.mask if mask is None else mask)
    forbidden_ids = [marker_id(tokenizer, marker) for marker in NEVER_WRITTEN]
    skills, read, write = _questions(rule, dialogues, tokenizer)
    read.sort(key=lambda question: len(question.sequence))  # similar lengths need less padding
    right = torch.ones(len(skills), dtype=torch.bool)
    model.eval()
    for start in range(0, len(read), batch):
        group = read[start : start + batch]
        b = collate([question.sequence for question in group], tokenizer).to(model.device)
        logits = model(b.tokens, rule.dense(b.segments))[..., : tokenizer.n_vocab]  # (B, T, V), as chats pick from
        _check_finite(logits)
        logits[..., forbidden_ids] = -torch.inf
        likeliest = logits.argmax(-1).cpu()  # (B, T)
        for row, question in enumerate(group):
            right[question.answers[likeliest[row, question.places] != question.wanted]] = False
    left = [list(question.wanted) for question in write]

    def next_if_right(number: int, logits: Tensor) -> int | None:
        logits = logits[: tokenizer.n_vocab]
        _check_finite(logits)
        logits[forbidden_ids] = -torch.inf
        token = left[number].pop(0)
        if int(logits.argmax()) != token:
            right[write[number].answer] = False
            return None
        return token if left[number] else None

    longest = max(map(len, left), default=0)
    for _ in decode(model, rule, [question.prompt for question in write], next_if_right, longest, batch):
        pass
    answers = list(zip(skills, right.tolist(), strict=True))
    scores: dict[str, Score] = {}
    for skill, is_right in answers if team.shard else chain(*team.gather(answers)):
        scores[skill] = scores.get(skill, Score(0, 0)) + Score(int(is_right), 1)
    return dict(sorted(scores.items()))


def _check_finite(logits: Tensor) -> None:
    """Raise an error for a damaged model, rather than count its answers as wrong."""
    if not bool(logits.isfinite().all()):
        raise ValueError("the model's scores are not finite: its weights are damaged, or its training has diverged")


def _questions(
    rule: Mask, dialogues: Sequence[Dialogue], tokenizer: tiktoken.Encoding
) -> tuple[list[str], list[_Read], list[_Write]]:
    """The skill of each answer, and what is to be read or written to check every token of every answer."""
    skills: list[str] = []
    read: list[_Read] = []
    write: list[_Write] = []
    reads = Reads(rule)
    expand = bool(dialogues) and not turns_independent(rule, dialogues, tokenizer)  # a team's share may be empty
    for sequence, names in training_sequences(dialogues, tokenizer, expand=expand):
        targets = sequence.loss_mask.nonzero()[:, 0]  # (N)
        first_answer = len(skills)
        skills += names
        wanted = sequence.tokens[targets]  # (N)
        _, answers = sequence.segments.id[targets].unique(return_inverse=True)  # (N): counted from 0
        fields = reads.fields(sequence.segments)
        foreseen = fields is not None and "end" not in fields  # later tokens, padding too, change no earlier pair
        if foreseen and bool(borders(rule.dense(sequence.segments))[targets].all()):  # no earlier position sees it
            read.append(_Read(sequence, targets - 1, wanted, answers + first_answer))
            continue
        for answer in range(len(names)):
            here = answers == answer
            prompt = sequence.first(int(targets[here][0]))
            write.append(_Write(prompt, wanted[here].tolist(), first_answer + answer))
    return skills, read, write
