"""Conversations in plain English about what is kept in what, and which room it ends up in.

A user tells facts in any order and asks a question, four times. The answer takes one to three facts in a row: the key
is in the tin, the tin is in the basket, the basket is in the pantry. Three such chains of one length stand side by
side, so that a reader who knows which three are meant, and guesses among their rooms, is right one time in three. Half
of the questions after the first turn need a fact of an earlier turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from random import Random
from typing import NamedTuple

TURNS = 4
CHAINS = 3
"""Chains of one length for each question: a guess among their rooms is right one time in this many."""
MOST_LINKS = 3
SPLITS = ("training", "validation", "test")
"""Who reads which words: rates are chosen, and answers counted, on nouns that no training has shown."""

SYSTEM = "Answer each question with the room alone, as in: The yard"
NAMES = ("Maria", "Tom", "Aisha", "Peter", "Lena", "Omar", "Grace", "Ivan", "Chloe", "Ravi")
KINDS = ("old", "new", "red", "blue", "green", "white", "black", "small", "large", "brown")
FACTS = (
    "The {inner} is in the {outer}.",
    "{name} put the {inner} in the {outer}.",
    "{name} keeps the {inner} in the {outer}.",
    "Inside the {outer} is the {inner}.",
    "The {outer} holds the {inner}.",
    "You can find the {inner} in the {outer}.",
)
QUESTIONS = (
    "Which room is the {thing} in?",
    "In which room is the {thing}?",
    "Which room holds the {thing}?",
    "What room must I go to for the {thing}?",
)
THINGS = (
    "key ring coin pen map letter candle spoon knife fork comb brush mirror watch lamp rope needle button ribbon "
    "scarf book pencil stamp photo ticket marble doll whistle flute drum violin compass camera radio battery magnet "
    "hammer nail screw wrench saw ruler scissors thimble bell medal badge crown necklace bracelet feather shell stone "
    "apple lemon potato cookie candy cheese"
)
HOLDERS = (
    "tin basket box crate chest trunk bag sack pouch jar bowl bucket barrel drawer cabinet cupboard suitcase backpack "
    "purse wallet envelope folder vase pot kettle pan mug cup bottle can case bin tub tray hamper locker safe carton "
    "packet parcel jug pitcher teapot urn wagon cart van desk dresser wardrobe bookcase boot shoe sock glove pocket "
    "cradle nest tank cage"
)
ROOMS = (
    "kitchen pantry attic cellar garage bathroom bedroom hallway library study laundry nursery workshop greenhouse "
    "office ballroom lounge porch balcony basement studio gallery classroom laboratory gym sauna vault armory chapel "
    "stable barn shed conservatory parlor foyer lobby corridor courtyard terrace patio cafeteria dormitory infirmary "
    "dungeon tower crypt salon den loft playroom boathouse lodge cabin theater observatory auditorium archive "
    "storeroom boardroom courtroom sunroom bakery pharmacy"
)


class Asked(NamedTuple):
    """What a question requires.

    Attributes:
        links: facts from the thing to its room.
        earlier: whether an earlier turn told one of them, or all.
    """

    links: int
    earlier: bool


@dataclass(frozen=True)
class Conversation:
    """A conversation and what its questions require, turn by turn.

    Args:
        messages: a system prompt, then questions and answers.
        asked: for each turn, what its question requires.
    """

    messages: tuple[dict[str, str], ...]
    asked: tuple[Asked, ...]


Link = tuple[str, str]
"""What is in what."""


def nouns(words: str, split: str) -> list[str]:
    """The third of a word list that a split uses."""
    return words.split()[SPLITS.index(split) :: len(SPLITS)]


def conversation(split: str, seed: int | str, number: int) -> Conversation:
    """A conversation of a split, the same each time.

    Args:
        split: of :data:`SPLITS`.
        seed: of the draw.
        number: of the conversation in it.
    """
    rng = Random(f"{split}/{seed}/{number}")
    thing, holder, room = _drawer(rng, THINGS, split), _drawer(rng, HOLDERS, split), _drawer(rng, ROOMS, split, ())

    def chains(links: int) -> list[list[Link]]:
        paths = [[thing(), *(holder() for _ in range(links - 1)), room()] for _ in range(CHAINS)]
        return [list(pairwise(path)) for path in paths]

    told: list[list[Link]] = [[] for _ in range(TURNS)]
    asked, ends = [], []
    for turn in range(TURNS):
        links, earlier = rng.randint(1, MOST_LINKS), turn > 0 and rng.random() < 0.5
        here = rng.randrange(links) if earlier else links  # the first links of a chain; the others came before
        before = rng.randrange(turn) if earlier else turn
        paths = chains(links)
        for path in paths:
            told[turn] += path[:here]
            told[before] += path[here:]
        if not here:  # so that the turn tells something anyway
            told[turn] += [link for path in chains(1) for link in path]
        asked.append(Asked(links, earlier))
        ends.append((paths[0][0][0], paths[0][-1][1]))

    messages = [{"role": "system", "content": SYSTEM}]
    for facts, (start, end) in zip(told, ends, strict=True):
        rng.shuffle(facts)
        sentences = [
            rng.choice(FACTS).format(inner=inner, outer=outer, name=rng.choice(NAMES)) for inner, outer in facts
        ]
        text = " ".join([*sentences, rng.choice(QUESTIONS).format(thing=start)])
        messages += [{"role": "user", "content": text}, {"role": "assistant", "content": f"The {end}"}]
    return Conversation(tuple(messages), tuple(asked))


def _drawer(rng: Random, words: str, split: str, kinds: Sequence[str] = KINDS) -> Callable[[], str]:
    """Draws a name, such as "blue tin", never the same one twice."""
    names = [" ".join(pair) for pair in product(kinds, nouns(words, split))] if kinds else nouns(words, split)
    rng.shuffle(names)
    return names.pop


def told_twice(conversation: Conversation) -> Conversation:
    """The same conversation, in which each user says everything twice."""
    messages = tuple(
        {**message, "content": f"{message['content']} {message['content']}"} if message["role"] == "user" else message
        for message in conversation.messages
    )
    return Conversation(messages, conversation.asked)
