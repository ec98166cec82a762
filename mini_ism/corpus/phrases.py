"""The sentences that several skills share, so that no skill is given away by its wording."""

from __future__ import annotations

from random import Random

from mini_ism.corpus.portable_random import pick_weighted

UNKNOWN_ANSWER = "I do not know."

_PUT = ("The {thing} is in the {place}.", "I put the {thing} in the {place}.")
_PUT_WEIGHTS = (0.8, 0.2)
_WHERE = (
    "Where is the {thing}?",
    "Where's the {thing}?",
    "Where did I put the {thing}?",
)
_WHERE_WEIGHTS = (0.7, 0.15, 0.15)


def tell_place(rng: Random, thing: str, place: str) -> str:
    """A thing and the place it is in."""
    return pick_weighted(rng, _PUT, _PUT_WEIGHTS).format(thing=thing, place=place)


def ask_where(rng: Random, thing: str) -> str:
    """The question about where a thing is."""
    return pick_weighted(rng, _WHERE, _WHERE_WEIGHTS).format(thing=thing)


def ask_inside(place: str) -> str:
    """The question about what is in a place."""
    return f"What is in the {place}?"


def answer_place(place: str) -> str:
    """The answer to `ask_where`."""
    return f"In the {place}."


def answer_thing(thing: str) -> str:
    """The answer to `ask_inside` and `ask_owned`."""
    return f"The {thing}."


def tell_owner(name: str, thing: str) -> str:
    """A thing and the person who has it."""
    return f"{name} has the {thing}."


def ask_owner(thing: str) -> str:
    """The question about who has a thing."""
    return f"Who has the {thing}?"


def ask_owned(name: str) -> str:
    """The question about what a person has."""
    return f"What does {name} have?"


def answer_name(name: str) -> str:
    """The answer to `ask_owner`."""
    return f"{name}."


def and_list(words: list[str]) -> str:
    """["Nora", "Omar", "Pia"] -> "Nora, Omar and Pia"."""
    return ", ".join(words[:-1]) + " and " + words[-1]


def a(noun: str) -> str:
    """The noun with its article: a cat, an owl."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def sentence(words: str) -> str:
    """The words as an answer: "on the table" -> "On the table."."""
    return f"{words[0].upper()}{words[1:]}."
