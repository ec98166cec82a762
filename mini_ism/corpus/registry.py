"""Skills: what they are, and the list of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import overload

from mini_ism.checks import real_number, whole_number
from mini_ism.corpus.world import LATEST, World
from mini_ism.imports import UnknownNameError
from mini_ism.rule_checks import described

ACK = "ack"  # label of the answers to a turn that asks nothing
ACK_ANSWER = "Okay."


@dataclass(frozen=True)
class Turn:
    """One query and its answer.

    Attributes:
        user: what the user says.
        assistant: the one right answer.
        skill: the label under which the answer is scored.
        placement: -1 opens the dialogue, 1 closes it, 0 may stand anywhere.
        follows: it must directly follow the turn before it, since its "it" refers to something told there.
    """

    user: str
    assistant: str
    skill: str
    placement: int = 0
    follows: bool = False

    @classmethod
    def statement(cls, text: str) -> Turn:
        """A turn that only tells something."""
        return cls(text, ACK_ANSWER, ACK)


Skill = Callable[[Random, World, int], "list[Turn]"]


@dataclass(frozen=True)
class Entry:
    """A registered skill and how often it is drawn, relative to the others."""

    name: str
    skill: Skill
    weight: float
    since: int = 1  # the first version of the corpus that has it

    @property
    def is_own(self) -> bool:
        """Whether it is a user's own, not one of this package's."""
        return not self.skill.__module__.startswith("mini_ism.")

    def draw(self, rng: Random, world: World, size: int) -> list[Turn]:
        """What the skill makes, checked.

        Raises:
            TypeError, ValueError: see :func:`check_turns`.
            ValueError: the skill fails; the message names its error, and the line.
        """
        try:
            turns: object = self.skill(rng, world, size)
        except Exception as error:
            raise ValueError(f"skill {self.name!r} raised {described(error)}") from error
        return check_turns(self.name, turns)


_REGISTRY: dict[str, Entry] = {}


@overload
def register_skill(skill: Skill) -> Skill: ...


@overload
def register_skill(*, weight: float = 1.0, since: int = 1) -> Callable[[Skill], Skill]: ...


def register_skill(
    skill: Skill | None = None, *, weight: float = 1.0, since: int = 1
) -> Skill | Callable[[Skill], Skill]:
    """Add `skill(rng, world, size) -> list[Turn]` to the corpus under its function's name.

    `size` is how many facts the skill should tell. `weight` is how often `generate` draws the skill, relative to the
    others. `since` is the first version of the corpus that has the words it needs; an earlier one refuses it. Running
    the same definition again replaces it.

    Raises:
        TypeError: the function does not take three arguments.
        ValueError: another module's skill has that name, the function has none (a lambda), the weight is negative or
            not finite, or there is no such version.
    """

    def add(function: Skill) -> Skill:
        name = getattr(function, "__name__", "")
        if not name.isidentifier():
            raise ValueError(
                f"a skill is found by its function's name, and {function!r} has none; "
                "write it as `def my_skill(rng, world, size): ...`"
            )
        _check_signature(name, function)
        share = real_number(f"the weight of skill {name!r}", weight, 0)
        first = whole_number(f"the version since which there is a skill {name!r}", since, 1, LATEST)
        known = _REGISTRY.get(name)
        if known is not None and known.skill.__module__ != function.__module__:
            raise ValueError(
                f"a skill named {name!r} exists already (in {known.skill.__module__}); give the function another name"
            )
        _REGISTRY[name] = Entry(name, function, share, first)
        return function

    return add if skill is None else add(skill)


def _check_signature(name: str, function: Skill) -> None:
    """Refuse what cannot be called as ``skill(rng, world, size)``."""
    try:
        taken = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in functions have none
        return
    try:
        taken.bind(None, None, None)
    except TypeError:
        raise TypeError(
            f"skill {name!r} takes {taken}, but is called with three arguments: write `def {name}(rng, world, size)`"
        ) from None


def skill_names(version: int = LATEST) -> tuple[str, ...]:
    """Every registered skill that a version of the corpus has, in order of registration."""
    return tuple(name for name, entry in _REGISTRY.items() if entry.since <= version)


def get_entry(name: str, version: int = LATEST) -> Entry:
    """The skill of that name and its weight.

    Raises:
        ValueError: there is no such skill, or not yet in this version; the message lists those there are.
    """
    try:
        entry = _REGISTRY[name]
    except (KeyError, TypeError):  # something unhashable is not a name either
        known = ", ".join(sorted(_REGISTRY))
        raise UnknownNameError(f"no skill named {name!r}; there are: {known}") from None
    if entry.since > version:
        raise ValueError(
            f"skill {name!r} needs words that version {version} of the corpus does not have; draw it from version "
            f"{entry.since}, or take another: {', '.join(sorted(skill_names(version)))}"
        )
    return entry


def check_turns(name: str, turns: object) -> list[Turn]:
    """What a skill returned, if it is a list of turns with text (it may be empty).

    Raises:
        TypeError: it is not a list of turns, or one of a turn's texts is not a text.
        ValueError: a turn's query or answer is empty, or it has no such placement.
    """
    if not isinstance(turns, list) or not all(isinstance(turn, Turn) for turn in turns):
        raise TypeError(f"skill {name!r} returned {turns!r:.80}; it must return a list of Turn")
    for turn in turns:
        if not all(isinstance(text, str) for text in (turn.user, turn.assistant, turn.skill)):
            raise TypeError(f"skill {name!r} made {turn}; its user, assistant and skill must be texts")
        if turn.placement not in (-1, 0, 1):
            raise ValueError(f"skill {name!r} made {turn}; its placement must be -1, 0 or 1")
        if not turn.user.strip() or not turn.assistant.strip():
            raise ValueError(f"skill {name!r} made a turn without text: {turn}")
    return turns
