"""The words of the corpus, and a `World` that deals them out to one dialogue.

Nothing is dealt twice in a dialogue, so the threads that a dialogue interleaves cannot contradict each other: the key
of one thread is never the key of another.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from mini_ism.corpus.portable_random import below, chance, pick

# fmt: off
NAMES = ("Ada", "Ben", "Cora", "Dan", "Ella", "Finn", "Gina", "Hugo", "Iris", "Jack", "Kim",
         "Lena", "Max", "Mira", "Nora", "Omar", "Pia", "Ravi", "Sam", "Tara", "Uma", "Vera",
         "Walt", "Zoe")
THINGS = ("key", "lamp", "cup", "ball", "coin", "pen", "hat", "map", "ring", "phone", "apple",
          "shoe", "spoon", "watch", "card", "drum", "kite", "doll", "bell", "rope")
PLACES = ("box", "jar", "bag", "drawer", "basket", "oven", "chest", "tin", "bowl", "case", "tub",
          "bucket", "crate", "pot", "sack", "cart")
ROOMS = ("hall", "kitchen", "garden", "attic", "cellar", "office", "garage", "barn")
FOODS = ("tea", "milk", "soup", "rice", "bread", "cake", "jam", "honey", "fish", "cheese",
         "corn", "juice")
PETS = ("cat", "dog", "bird", "horse", "mouse", "goat")
CODES = ("Red", "Blue", "Green", "White", "Black", "Pink", "Gold", "Grey", "Brown", "Silver",
         "Violet", "Amber")
JOBS = ("guide", "teacher", "helper", "friend", "cook", "clerk")
MANNERS = ("helpful", "kind", "good")
ONSETS = ("b", "br", "d", "f", "g", "gr", "k", "l", "m", "n", "p", "pl", "r", "s", "st", "t",
          "tr", "v", "w", "z")
VOWELS = ("a", "e", "i", "o", "u")
CODAS = ("", "", "", "k", "l", "m", "n", "r", "x")
# fmt: on

POOLS = {
    "name": NAMES,
    "thing": THINGS,
    "place": PLACES,
    "room": ROOMS,
    "food": FOODS,
    "pet": PETS,
    "code": CODES,
}
WORDS = frozenset(word.lower() for pool in POOLS.values() for word in pool)

COINED = 0.08  # share of names, things, places, foods and codes that no list holds
COINABLE = frozenset({"name", "thing", "place", "food", "code"})
CAPITALISED = frozenset({"name", "code"})


class Guide(NamedTuple):
    """Who the system prompt says the assistant is."""

    name: str
    job: str


class World:
    """Deals words to one dialogue, each at most once, and keeps what was claimed.

    Args:
        rng: the dialogue's randomness.
        coined: share of coined words, such as "Zolta" or "brimok". A model can only copy them, as it must copy whatever
            name a reader types. They are endless, and stand in when a list runs out.
    """

    def __init__(self, rng: Random, coined: float = COINED) -> None:
        self.rng = rng
        self.coined = coined
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
        """A code word; always capitalised, so that it is the same token wherever it stands."""
        return self._deal("code")

    def claim(self, slot: str) -> bool:
        """Take a slot that a dialogue has once, such as the user's name; False if it is taken."""
        if slot in self._claimed:
            return False
        self._claimed.add(slot)
        return True

    def _deal(self, kind: str) -> str:
        left = self._left.get(kind)
        if left is None:
            left = self._left[kind] = list(POOLS[kind])
        if not left or (kind in COINABLE and chance(self.rng, self.coined)):
            return self._coin(kind in CAPITALISED)
        index = below(self.rng, len(left))
        word = left[index]
        left[index] = left[-1]
        left.pop()
        return word

    def _coin(self, capitalised: bool) -> str:
        while True:
            syllables = 3 if chance(self.rng, 0.15) else 2
            word = "".join(pick(self.rng, ONSETS) + pick(self.rng, VOWELS) for _ in range(syllables)) + pick(
                self.rng, CODAS
            )
            if word not in WORDS and word not in self._dealt:
                self._dealt.add(word)
                return word.capitalize() if capitalised else word
