"""A lexicon: all the words of one version of the corpus, and how it coins others.

A hash of the word itself separates the words that training, validation and tests use from those held out, so a word
never changes sides when the list around it grows.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

HELD_OUT = 51  # of 256 values of the hash: one word in five


@dataclass(frozen=True)
class Lexicon:
    """The words of a version of the corpus.

    Attributes:
        version: its number.
        known: for each kind of word, those that training, validation, test and long dialogues use.
        held_out: for each kind, those that only the split ``held_out`` uses.
        coin: makes up a word in lower case.
        coinable: kinds in which words are made up.
        coined: their share in the frozen splits.
        careless: share of the user's turns without the first capital, the final punctuation mark, or both.
        lower: share of the dialogues that are typed in lower case.
        taken: words that are never made up, folded by :func:`fold`.
    """

    version: int
    known: Mapping[str, tuple[str, ...]]
    coin: Callable[[Random], str]
    coinable: frozenset[str]
    coined: float
    careless: float
    lower: float
    taken: frozenset[str]
    held_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def fold(word: str) -> str:
    """A word without capitals and accents, the same for all the ways that people spell it."""
    letters = unicodedata.normalize("NFKD", word.lower())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def is_held_out(word: str) -> bool:
    """Whether a word is one that only the split ``held_out`` uses, however it is spelled."""
    return hashlib.sha256(fold(word).encode("utf-8")).digest()[0] < HELD_OUT


def read_words(name: str) -> tuple[str, ...]:
    """The words of a file in ``words/``: separated by commas, over several lines; lines with a ``#`` are comments."""
    text = (Path(__file__).parent / "words" / f"{name}.txt").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple(word.strip() for line in lines for word in line.split(",") if word.strip())
