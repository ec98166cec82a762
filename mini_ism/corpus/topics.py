"""What you can say to a model trained on the corpus: in a sentence, by example, and word by word."""

from __future__ import annotations

from string import punctuation

import tiktoken

from mini_ism.corpus.world import LATEST, get_lexicon

ABOUT = (
    "These small models know only what you tell them here: who you and others are, where things and people are, who "
    "has or likes what, who is next or first. They know nothing about the world, cannot "
    "do sums, and cannot tell which number is larger."
)
"""What the models know, and what they do not."""

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


def word_lists() -> dict[str, tuple[str, ...]]:
    """The words that training used, in alphabetical order, by the titles in :data:`LISTS`."""
    known = get_lexicon(LATEST).known
    return {title: tuple(sorted(known[kind])) for title, kind in LISTS.items()}


def words_in_many_pieces(text: str, tokenizer: tiktoken.Encoding) -> dict[str, int]:
    """The words of a message that take :data:`MANY_PIECES` tokens or more, and how many they take."""
    words = (word.strip(punctuation) for word in text.split())
    pieces = {word: len(tokenizer.encode(f" {word}", disallowed_special=())) for word in words if word}
    return {word: count for word, count in pieces.items() if count >= MANY_PIECES}
