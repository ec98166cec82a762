"""In-context regression as a dialogue: each turn brings examples of the same function, and a question.

Each turn is one query segment: ``examples`` positions (x, y) and one position (x, 0), the question. No position reads a
question, not even the question itself: it holds no label, and read as an example it would be a false one. So no label
that is asked for is anywhere in the input, later turns included.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.regression import draw_tasks, example_segments
from mini_ism.reuse import reusable
from mini_ism.segments import Segments


@dataclass(frozen=True)
class Shape:
    """The sizes of the dialogues.

    Args:
        turns: of a dialogue.
        examples: how many each turn brings.
        width: d, directions of x.
        noise: standard deviation of the noise on the examples' labels.
    """

    turns: int = 3
    examples: int = 6
    width: int = 3
    noise: float = 0.2

    @property
    def ends(self) -> list[int]:
        """One past each turn's last position, which is its question."""
        return [(turn + 1) * (self.examples + 1) for turn in range(self.turns)]

    @property
    def is_question(self) -> Tensor:
        """Whether each position is a question, ``[T]``."""
        return torch.arange(self.ends[-1]) % (self.examples + 1) == self.examples


@dataclass(frozen=True, eq=False)
class Dialogues:
    """Drawn dialogues.

    Args:
        tokens: (x, y) of each position, y = 0 at questions, ``[B, T, d + 1]``.
        answers: what the questions ask for, without noise, ``[B, turns]``.
    """

    tokens: Tensor
    answers: Tensor


def draw_dialogues(count: int, shape: Shape, seed: int) -> Dialogues:
    """Dialogues with one function each, from :func:`~mini_ism.regression.tasks.draw_tasks`, as float32."""
    task = draw_tasks(count, examples=shape.ends[-1], width=shape.width, noise=shape.noise, seed=seed)
    exact = (task.x @ task.w[:, :, None])[..., 0]  # (B, T)
    tokens = torch.cat([task.x, task.y.masked_fill(shape.is_question, 0)[..., None]], -1)
    return Dialogues(tokens.float(), exact[:, shape.is_question].float())


def ridge_answers(dialogues: Dialogues, shape: Shape) -> Tensor:
    """The best possible answer to each turn's question: ridge regression on all examples so far.

    With normal weights and noise, and the variance of the noise as its penalty, it finds the posterior mean.

    Returns:
        ``[B, turns]``.
    """
    answers = []
    for end in shape.ends:
        seen = dialogues.tokens[:, :end][:, ~shape.is_question[:end]].double()
        x, y = seen[..., :-1], seen[..., -1:]
        penalty = shape.noise**2 * torch.eye(shape.width, dtype=x.dtype)
        w = torch.linalg.solve(x.mT @ x + penalty, x.mT @ y)  # (B, d, 1)
        answers.append((dialogues.tokens[:, end - 1, None, :-1].double() @ w)[:, 0, 0])
    return torch.stack(answers, 1).float()


@dataclass(frozen=True, eq=False)
class Layout:
    """How dialogues are laid out for a mask, so that each turn's question is asked without the turns after it.

    Args:
        index: which position of the dialogue is at each place of the row, ``[P]``.
        visible: which place (column) each place (row) sees, ``[P, P]``.
        questions: the places of the questions, ``[turns]``.
    """

    index: Tensor
    visible: Tensor
    questions: Tensor


def lay_out(mask: str | Mask, shape: Shape) -> Layout:
    """The row for a mask: the dialogue itself if no turn changes what earlier ones saw, else all its turns separately.

    A rule like prefix lets the first turn see the last. Its turns are laid end to end, each with its history, as
    documents that do not see each other: the triplet expansion of 2408.00539 in one row.
    """
    rule = get_mask(mask)
    turns = example_segments([shape.examples + 1] * shape.turns)
    ends = torch.tensor(shape.ends)
    if all(reusable(rule, turns[:end], turns) == end for end in shape.ends):
        index, segments, questions = torch.arange(len(turns)), turns, ends - 1
    else:
        index = torch.cat([torch.arange(end) for end in shape.ends])
        document = torch.arange(shape.turns).repeat_interleave(ends)
        segments = Segments(turns.id[index], turns.is_query[index], document=document)
        questions = ends.cumsum(0) - 1
    return Layout(index, rule.dense(segments) & ~shape.is_question[index], questions)
