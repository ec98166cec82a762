"""Judging shared by several chapters: masks against a reference rule, numbers against numbers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from mini_ism.dialogue import EncodedDialogue, Message, encode_dialogue
from mini_ism.exercises.core import Slip, Verdict, right, wrong
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.tokenizer import load_tokenizer
from mini_ism.views.dialogue_view import tokenized
from mini_ism.views.mask_map import mask_map
from mini_ism.views.picture import Picture

# -- masks -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Everything that a rule may ask about one token of a dialogue.

    Args:
        at: its position.
        word: its text.
        segment: number of its message.
        role: ``"system"``, ``"user"`` or ``"assistant"``; the first two ask.
    """

    at: int
    word: str
    segment: int
    role: str

    def __str__(self) -> str:
        return f"{self.word} ({self.at})"

    @property
    def asks(self) -> bool:
        """Whether it stands in a query."""
        return self.role != "assistant"


Sees = Callable[[Sequence[Place], int, int], bool]
"""``sees(dialogue, i, j)``: may position i attend to position j? The obvious reference, for one pair."""
Why = Callable[[Sequence[Place], int, int], str]
"""``why(dialogue, i, j)``: the reason, as the end of a sentence: "which lies ahead, and both are in an answer"."""

SHORT: tuple[Message, ...] = (
    {"role": "user", "content": "Where is the cup?"},
    {"role": "assistant", "content": "In the oven."},
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "Okay."},
)
WORDS = ("the", "cup", "is", "in", "box", "where", "my", "name")


@cache
def sample_dialogues(count: int = 8) -> tuple[EncodedDialogue, ...]:
    """Dialogues to try a rule on: a short one, then random ones with and without a system prompt or a last answer."""
    rng = random.Random(0)
    tokenizer = load_tokenizer()
    samples = [encode_dialogue(SHORT, tokenizer)]
    for number in range(1, count):
        roles = (["system"] if number % 2 else []) + ["user", "assistant"] * rng.randint(1, 3)
        roles = roles[:-1] if number % 3 == 0 else roles
        messages = [{"role": role, "content": " ".join(rng.choices(WORDS, k=rng.randint(1, 4)))} for role in roles]
        samples.append(encode_dialogue(messages, tokenizer))
    return tuple(samples)


def places(encoded: EncodedDialogue) -> list[Place]:
    """A dialogue ``[T]``, token by token."""
    shown = tokenized(encoded, load_tokenizer())
    return [Place(*each) for each in zip(range(len(shown)), shown.labels, shown.ids, shown.roles, strict=True)]


def map_of(encoded: EncodedDialogue, dense: Any, title: str, row: int | None = None) -> Picture:
    """A mask ``[T, T]`` over a dialogue, small enough to fit beside another."""
    return mask_map(dense, tokenized(encoded, load_tokenizer()), title=title, row=row, size=300)


def as_mask(answer: Any) -> Mask:
    """A mask in any form that an answer may have: a function ``rule(q, kv, s)``, a mask, or text as in a Rule box.

    Raises:
        TypeError: it is none of these, or a function of other arguments.
        ValueError: the text cannot be parsed.
    """
    if isinstance(answer, str | Mask):
        return get_mask(answer)
    return Mask(answer, getattr(answer, "__name__", "yours").replace("<lambda>", "yours"))


def compare_rule(
    answer: Any,
    sees: Sees,
    why: Why | None = None,
    *,
    praise: str = "it agrees with the definition on every pair of positions of several dialogues.",
    dialogues: Sequence[EncodedDialogue] | None = None,
) -> Verdict:
    """Judge a rule, or a :class:`~mini_ism.mask.Mask`, pair by pair.

    Args:
        answer: see :func:`as_mask`.
        sees: the reference, for one pair of positions.
        why: the reason for what the reference says.
        praise: what to say of a right answer.
        dialogues: the dialogues to try it on; default, :func:`sample_dialogues`.
    """
    try:
        rule = as_mask(answer)
    except (TypeError, ValueError) as error:  # its own words are clear already
        return wrong(f"{error}.")
    first: tuple[Picture, Picture] | None = None
    for encoded in dialogues or sample_dialogues():
        tokens = places(encoded)
        target = [[sees(tokens, i, j) for j in range(len(tokens))] for i in range(len(tokens))]
        try:
            found = rule.dense(encoded.segments)
        except (TypeError, ValueError) as error:  # its own words are clear already
            return wrong(f"{error}.", target=map_of(encoded, target, "target"))
        mismatches = (found != torch.tensor(target)).nonzero().tolist()
        if mismatches:
            i, j = mismatches[0]
            reason = f", {why(tokens, i, j)}" if why else ""
            message = (
                f"{tokens[i]} may see {tokens[j]}{reason}, but your rule hides it"
                if target[i][j]
                else f"{tokens[i]} must not see {tokens[j]}{reason}, but your rule lets it"
            )
            many = (
                "" if len(mismatches) == 1 else f" {len(mismatches)} pairs of this dialogue differ; this is the first."
            )
            return wrong(
                f"{message}.{many}",
                yours=map_of(encoded, found, "yours", i),
                target=map_of(encoded, target, "target", i),
            )
        first = first or (map_of(encoded, found, "yours"), map_of(encoded, target, "target"))
    yours, wanted = first or (None, None)
    return right(praise, yours=yours, target=wanted)


# -- numbers ---------------------------------------------------------------------------------------


def as_number(found: Any) -> float:
    """The single number that an answer should have returned.

    Raises:
        Slip: it is something else.
    """
    if isinstance(found, Real) or (isinstance(found, Tensor) and found.ndim == 0):
        return float(found)
    kind = f"a tensor of shape {list(found.shape)}" if isinstance(found, Tensor) else f"{found!r:.60}"
    raise Slip(f"returned {kind} where one number is wanted.")


def difference(
    found: Any, expected: Any, what: str = "the result", *, atol: float = 1e-6, rtol: float = 1e-5
) -> str | None:
    """What is wrong with a number, or with a tensor or nested list of numbers; ``None`` if nothing is.

    Args:
        found: the answer's.
        expected: the reference's.
        what: what the message calls it.
        atol: the absolute tolerance; see :func:`torch.allclose`.
        rtol: the tolerance relative to the reference; counts (a reference of whole numbers) must be exact.

    Returns:
        A sentence that names the first place where they differ, with both values.
    """
    wanted = torch.as_tensor(expected)
    try:
        given = torch.as_tensor(found, dtype=torch.float64 if isinstance(found, float) else None)
    except (TypeError, ValueError, RuntimeError):
        kind = "a number" if wanted.ndim == 0 else f"a tensor of shape {list(wanted.shape)}"
        return f"{what} should be {kind}, but it is {_short(found)} ({type(found).__name__})."
    if given.shape != wanted.shape:
        return f"{what} should have the shape {list(wanted.shape)}, but it has {list(given.shape)}."
    if (given.dtype == torch.bool) != (wanted.dtype == torch.bool):
        names = {True: "True or False", False: "numbers"}
        return f"{what} should hold {names[wanted.dtype == torch.bool]}, but it holds {str(given.dtype)[6:]}."
    if bool(given.isnan().any()) and not bool(wanted.isnan().any()):
        return f"{what} is not a number (NaN){_at(given.isnan())}."
    rtol = rtol if wanted.is_floating_point() else 0.0
    close = torch.isclose(given.double(), wanted.double(), rtol=rtol, atol=atol, equal_nan=True)
    if bool(close.all()):
        return None
    place = tuple((~close).nonzero()[0].tolist())
    return f"{what}{_at(~close)} should be {_short(wanted[place].item())}, but it is {_short(given[place].item())}."


def _at(places: Tensor) -> str:
    """The first True place: `` at [2, 0]``, nothing for a single number."""
    return f" at {places.nonzero()[0].tolist()}" if places.ndim else ""


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
