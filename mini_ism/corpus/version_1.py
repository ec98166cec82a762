"""Version 1 of the words: a small world of common words, one token each.

The research sweeps train and test on it, and the tokenizer was trained on it, so nothing here may change.
"""

from __future__ import annotations

from random import Random

from mini_ism.corpus.lexicon import Lexicon
from mini_ism.corpus.portable_random import chance, pick

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


def coin(rng: Random) -> str:
    """A word of two or three open syllables, such as "zolta" or "brimok"."""
    syllables = 3 if chance(rng, 0.15) else 2
    return "".join(pick(rng, ONSETS) + pick(rng, VOWELS) for _ in range(syllables)) + pick(rng, CODAS)


VERSION_1 = Lexicon(
    version=1,
    known=POOLS,
    coin=coin,
    coinable=frozenset({"name", "thing", "place", "food", "code"}),
    coined=0.08,
    careless=0.05,
    lower=0.0,
    taken=frozenset(word.lower() for pool in POOLS.values() for word in pool),
)
