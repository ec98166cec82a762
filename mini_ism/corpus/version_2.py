"""Version 2 of the words: thousands, from the lists in ``words/``, and coined ones in many shapes.

A model must repeat whatever name a reader types, piece by piece, so what counts is not how many names it knows but
how many sequences of pieces it has had to copy. Hence three ways to coin: syllables of many languages, two real words
spliced, and a real word with a letter changed, which nobody can guess from its beginning.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random

from mini_ism.corpus import version_1
from mini_ism.corpus.lexicon import Lexicon, fold, is_held_out, read_words
from mini_ism.corpus.portable_random import below, between, chance, pick, pick_weighted

KINDS = {
    "name": "names",
    "thing": "things",
    "plural": "plurals",
    "place": "places",
    "surface": "surfaces",
    "room": "rooms",
    "food": "foods",
    "hobby": "hobbies",
    "pet": "pets",
    "colour": "colours",
    "city": "cities",
    "country": "countries",
    "job": "jobs",
}
"""Each kind of word and its file."""

KEPT_APART = read_words("names_kept_apart")
"""Common first names that no dialogue of any split uses: see :mod:`tools.chat_check`."""

# fmt: off
ONSETS = ("b", "c", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "y", "z", "")
CLUSTERS = ("bh", "bj", "bl", "br", "ch", "chr", "cl", "cr", "dh", "dj", "dm", "dr", "dw", "fl", "fr", "gh", "gl", "gn",
            "gr", "gw", "hj", "kh", "kl", "kn", "kr", "kw", "ll", "mb", "mw", "nd", "ng", "ny", "ph", "pl", "pr", "qu",
            "rh", "sch", "sh", "sk", "sl", "sm", "sn", "sp", "st", "str", "sv", "sz", "th", "tj", "tr", "ts", "wh", "x",
            "zh")
VOWELS = ("a", "e", "i", "o", "u")
DIPHTHONGS = ("aa", "ae", "ai", "au", "ay", "ea", "ee", "ei", "eo", "eu", "ia", "ie", "io", "oa", "oe", "oi", "oo",
              "ou", "ua", "ue", "ui", "y", "ya", "yo", "yu")
CODAS = ("", "", "", "", "b", "ck", "d", "f", "ff", "g", "h", "k", "l", "ld", "ll", "lm", "lt", "m", "mp", "n", "nd",
         "ng", "nn", "nt", "p", "r", "rd", "rg", "rk", "rn", "rt", "s", "sh", "sk", "ss", "st", "t", "th", "tt", "v",
         "w", "x", "z", "tz")
ACCENTS = {"a": "áàâäãå", "c": "çč", "e": "éèêë", "i": "íîï", "l": "ł", "n": "ñń", "o": "óôöõø", "s": "şš",
           "u": "úûü", "z": "žż"}
# fmt: on
LETTERS = "aabcdeefghiijklmnoopqrstuvwxyz"
LONGEST = 14  # letters
LONGEST_SYLLABLES = ((1, 2, 3, 4, 5), (0.15, 0.45, 0.27, 0.1, 0.03))


def coin(rng: Random) -> str:
    """A word that no list holds, now and then with an accent or a hyphen."""
    word = pick_weighted(rng, (_syllables, _spliced, _changed), (0.45, 0.25, 0.3))(rng)
    if chance(rng, 0.06):
        word = _accented(rng, word)
    if chance(rng, 0.02):
        word = f"{word}-{_syllables(rng)}"
    return word


def _syllables(rng: Random) -> str:
    while True:
        count = pick_weighted(rng, *LONGEST_SYLLABLES)
        word = "".join(
            pick(rng, CLUSTERS if chance(rng, 0.25) else ONSETS) + pick(rng, DIPHTHONGS if chance(rng, 0.2) else VOWELS)
            for _ in range(count)
        ) + pick(rng, CODAS)
        if 2 <= len(word) <= LONGEST:
            return word


def _spliced(rng: Random) -> str:
    """The beginning of a word and the end of another."""
    first, second = _real_word(rng), _real_word(rng)
    head, tail = between(rng, 1, len(first) - 1), between(rng, 1, len(second) - 1)
    return (first[:head] + second[tail:])[:LONGEST]


def _changed(rng: Random) -> str:
    """A word with a letter or two put in, left out or replaced."""
    word = _real_word(rng)
    for _ in range(2 if chance(rng, 0.3) else 1):
        place = below(rng, len(word))
        kept = word[place + (not chance(rng, 0.35)) :]  # put in, rather than replace
        put = "" if len(word) > 4 and chance(rng, 0.2) else pick(rng, LETTERS)
        word = word[:place] + put + kept
    return word


def _accented(rng: Random, word: str) -> str:
    places = [place for place, letter in enumerate(word) if letter in ACCENTS]
    if not places:
        return word
    place = pick(rng, places)
    return word[:place] + pick(rng, ACCENTS[word[place]]) + word[place + 1 :]


def _real_word(rng: Random) -> str:
    """A word in lower case to coin from: names as often as all others."""
    return pick(rng, _sources()["name" if chance(rng, 0.5) else "other"])


@lru_cache(maxsize=1)
def _sources() -> dict[str, tuple[str, ...]]:
    """The known words of at least three letters that consist of letters only."""
    found: dict[str, list[str]] = {"name": [], "other": []}
    for kind, words in VERSION_2.known.items():
        found["name" if kind == "name" else "other"] += [w.lower() for w in words if w.isalpha() and len(w) > 2]
    return {kind: tuple(words) for kind, words in found.items()}


def _lexicon() -> Lexicon:
    """The lists, split by the hash. Words of version 1 stay in use, since the notebooks use them."""
    old = {word for pool in version_1.POOLS.values() for word in pool}
    apart = {fold(name) for name in KEPT_APART}
    lists = {kind: read_words(file) for kind, file in KINDS.items()}
    lists["name"] = tuple(name for name in lists["name"] if fold(name) not in apart)

    def part(held_out: bool) -> dict[str, tuple[str, ...]]:
        return {
            kind: tuple(word for word in words if (word not in old and is_held_out(word)) == held_out)
            for kind, words in lists.items()
        }

    return Lexicon(
        version=2,
        known={**part(held_out=False), "code": version_1.CODES},
        held_out={**part(held_out=True), "code": ()},  # all are coined there
        coin=coin,
        coinable=frozenset({*KINDS, "code"} - {"colour", "hobby", "job", "plural", "surface"}),
        coined=0.25,
        careless=0.15,
        lower=0.12,
        taken=frozenset({*apart, *(fold(word) for words in lists.values() for word in words)}),
    )


VERSION_2 = _lexicon()
