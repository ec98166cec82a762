"""What you can say to a model trained on the corpus: in a sentence, by example, and word by word."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from string import ascii_letters, digits, punctuation

import tiktoken

from mini_ism.corpus.world import LATEST, get_lexicon

ABOUT = (
    "These small models know only what you tell them here: who you and others are, where things and people are, who "
    "has or likes what, who is next or first. They know nothing about the world, cannot "
    "do sums, and cannot tell which number is larger."
)
"""What the models know, and what they do not."""

ABOUT_OTHERS = "This model knows only its own training dialogues: talk to it as they do."
"""The same of a model that was trained on something else."""

EXAMPLES = (
    "My name is Maria. What is my name?",
    "I live in Berlin. Where do I live?",
    "The cup is in the oven. Where is the cup?",
    "I moved the cup to the kitchen. Where is it now?",
    "The lamp is in the bag. The bag is in the garage. Which room is the lamp in?",
    "Ella, Finn and Pia are in the queue in that order. Who is first?",
    "Where is the piano?",
    "What can you do?",
)
"""Messages to try, each from a different skill; they can also be sent one after the other."""

LISTS = {
    "Things": "thing",
    "Places that hold things": "place",
    "Foods": "food",
    "Pets": "pet",
    "Rooms": "room",
    "Cities": "city",
}
"""Which lists of the corpus are worth showing, and what to call them."""

MANY_PIECES = 7
"""Tokens: most names have 3 to 6 (with the space before them)."""

HARD = {
    "unread": "has signs that they have never read",
    "capitals": "is in capitals, which they read letter by letter",
    "long": "is {count} tokens long, and they see it in pieces",
}
"""What makes a word hard to copy, as the end of a sentence about it."""


def knows_them_all(training: Mapping[str, object]) -> bool:
    """Whether a model has been trained for all of this, by what its checkpoint says of its training."""
    return training.get("skills") == "all" and "data" not in training


def word_lists() -> dict[str, tuple[str, ...]]:
    """The words that training used, in alphabetical order, by the titles in :data:`LISTS`."""
    known = get_lexicon(LATEST).known
    return {title: tuple(sorted(known[kind])) for title, kind in LISTS.items()}


def hard_words(text: str, tokenizer: tiktoken.Encoding) -> dict[str, str]:
    """The words of a message that the models are likely to misspell, and why, as the rest of a sentence."""
    found: dict[str, str] = {}
    for word in (word.strip(punctuation) for word in text.split()):
        count = len(tokenizer.encode_ordinary(f" {word}"))
        if not all(letter in ascii_letters + digits + punctuation or _is_latin(letter) for letter in word):
            found[word] = HARD["unread"]
        elif len(word) > 2 and word.isupper() and word.isalpha():
            found[word] = HARD["capitals"]
        elif word and count >= MANY_PIECES:
            found[word] = HARD["long"].format(count=count)
    return found


def _is_latin(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith("LATIN ")
