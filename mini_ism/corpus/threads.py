"""How a thread's statements and questions are laid out in turns."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from mini_ism.corpus.portable_random import between, pick_weighted
from mini_ism.corpus.registry import Turn


def question_count(rng: Random) -> int:
    """How many questions a thread asks."""
    return pick_weighted(rng, (1, 2, 3), (0.4, 0.35, 0.25))


def lay_out(rng: Random, statements: Sequence[str], questions: Sequence[Turn]) -> list[Turn]:
    """Turns that tell the statements and then ask the questions, in order.

    The statements come in the first question's own turn, in a turn before it, or in both.
    """
    shape = pick_weighted(rng, ("together", "before", "both"), (0.7, 0.16, 0.14))
    if shape == "both" and len(statements) > 1:
        cut = between(rng, 1, len(statements) - 1)
    else:
        cut = 0 if shape == "together" else len(statements)
    turns = [Turn.statement(" ".join(statements[:cut]))] if cut else []
    first = questions[0]
    text = " ".join((*statements[cut:], first.user))
    turns.append(Turn(text, first.assistant, first.skill, first.placement))
    turns.extend(questions[1:])
    return turns
