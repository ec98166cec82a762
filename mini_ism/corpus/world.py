"""A `World` deals the words of a version of the corpus to one dialogue.

Nothing is dealt twice in a dialogue, so the threads that a dialogue interleaves cannot contradict each other: the key
of one thread is never the key of another.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from mini_ism.checks import whole_number
from mini_ism.corpus.lexicon import Lexicon, fold, is_held_out
from mini_ism.corpus.portable_random import below, chance, pick
from mini_ism.corpus.version_1 import VERSION_1
from mini_ism.corpus.version_2 import VERSION_2

VERSIONS = {lexicon.version: lexicon for lexicon in (VERSION_1, VERSION_2)}
LATEST = max(VERSIONS)
CAPITALISED = frozenset({"name", "code", "city", "country"})


class Guide(NamedTuple):
    """Who the system prompt says the assistant is."""

    name: str
    job: str


class Wording(NamedTuple):
    """Ways to say something: those in use, and those that only the split ``held_out`` uses."""

    known: tuple[str, ...]
    held_out: tuple[str, ...] = ()


def get_lexicon(version: int) -> Lexicon:
    """The words of a version.

    Raises:
        TypeError, ValueError: there is no such version; the message says which there are.
    """
    return VERSIONS[whole_number("the version of the corpus", version, 1, LATEST)]


class World:
    """Deals words to one dialogue, each at most once, and keeps what was claimed.

    Args:
        rng: the dialogue's randomness.
        coined: share of coined words, such as "Zolta" or "brimok"; the version's own by default. A model can only copy
            them, as it must copy whatever name a reader types. They never run out, and stand in when a list does.
        version: of the corpus.
        held_out: deal, coin and say only what no other dialogue does.
        lower: deal names as typed by somebody who uses no capitals.
    """

    def __init__(
        self,
        rng: Random,
        coined: float | None = None,
        *,
        version: int = LATEST,
        held_out: bool = False,
        lower: bool = False,
    ) -> None:
        self.rng = rng
        self.lexicon = get_lexicon(version)
        self.coined = self.lexicon.coined if coined is None else coined
        self.held_out = held_out
        self.lower = lower
        self.guide: Guide | None = None
        self._left: dict[str, list[str]] = {}
        self._dealt: set[str] = set()
        self._claimed: set[str] = set()

    def name(self) -> str:
        """The name of a person."""
        return self._deal("name")

    def thing(self) -> str:
        """Something to put somewhere, such as a key."""
        return self._deal("thing")

    def place(self) -> str:
        """Something that holds things, such as a box."""
        return self._deal("place")

    def room(self) -> str:
        """A room, such as a hall."""
        return self._deal("room")

    def spot(self) -> str:
        """A place, or now and then a room."""
        return self._deal("room" if chance(self.rng, 0.15) else "place")

    def food(self) -> str:
        """Something to eat or drink."""
        return self._deal("food")

    def pet(self) -> str:
        """An animal."""
        return self._deal("pet")

    def code(self) -> str:
        """A code word; always capitalised, so that it is the same token wherever it appears."""
        return self._deal("code")

    def word(self, kind: str) -> str:
        """A word of a kind that only later versions have, such as "city" or "surface".

        Raises:
            ValueError: this version has no such kind; the message lists those it has.
        """
        return self._deal(kind)

    def say(self, wording: Wording) -> str:
        """One of the ways to say it."""
        return pick(self.rng, (self.held_out and wording.held_out) or wording.known)

    def claim(self, slot: str) -> bool:
        """Take a slot that a dialogue has only once, such as the user's name; False if it is taken."""
        if slot in self._claimed:
            return False
        self._claimed.add(slot)
        return True

    def _deal(self, kind: str) -> str:
        word = self._draw(kind)
        return word.lower() if self.lower else word

    def _draw(self, kind: str) -> str:
        left = self._left.get(kind)
        if left is None:
            pools = self.lexicon.held_out if self.held_out else self.lexicon.known
            if kind not in pools:
                which = "held-out words" if self.held_out else "words"
                raise ValueError(
                    f"version {self.lexicon.version} of the corpus has no {which} of kind {kind!r}; "
                    f"its kinds are: {', '.join(pools) or 'none'}"
                )
            left = self._left[kind] = list(pools[kind])
        if not left or (kind in self.lexicon.coinable and chance(self.rng, self.coined)):
            return self._coin(kind in CAPITALISED)
        index = below(self.rng, len(left))
        word = left[index]
        left[index] = left[-1]
        left.pop()
        return word

    def _coin(self, capitalised: bool) -> str:
        while True:
            word = self.lexicon.coin(self.rng)
            if fold(word) in self.lexicon.taken or word in self._dealt:
                continue
            # Version 1 has no held-out words.
            if self.lexicon.held_out and is_held_out(word) != self.held_out:
                continue
            self._dealt.add(word)
            return "-".join(part.capitalize() for part in word.split("-")) if capitalised else word
