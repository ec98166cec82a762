"""Code books: facts told in code words, and a book that comes before, after or later.

Reading facts that come before their book requires looking ahead, which is what sets the masks apart: under causal, a
fact cannot know yet what its words mean.
"""

from __future__ import annotations

from random import Random

from mini_ism.corpus import phrases
from mini_ism.corpus.portable_random import pick, pick_weighted, shuffled
from mini_ism.corpus.registry import Turn, register_skill
from mini_ism.corpus.world import World

CODED = ("both", "thing", "place")
CODED_WEIGHTS = (0.4, 0.3, 0.3)


def coded_facts(rng: Random, world: World, size: int, coded: str) -> tuple[list[str], list[str], Turn]:
    """Facts in code, the shuffled book, and a question with its answer (not yet labelled).

    `coded` says which side of each fact is a code word: "thing", "place" or "both".
    """
    facts: list[str] = []
    book: list[str] = []
    pairs: list[tuple[str, str]] = []
    for _ in range(size):
        thing, place = world.thing(), world.place()
        pairs.append((thing, place))
        inner, outer = f"The {thing}", f"the {place}"
        if coded in ("both", "thing"):
            inner = world.code()
            book.append(f"{inner} means the {thing}.")
        if coded in ("both", "place"):
            outer = world.code()
            book.append(f"{outer} means the {place}.")
        facts.append(f"{inner} is in {outer}.")
    thing, place = pick(rng, pairs)
    question = Turn(phrases.ask_where(rng, thing), phrases.answer_place(place), "")
    return facts, shuffled(rng, book), question


def _draw(rng: Random, world: World, size: int) -> tuple[str, str, str, str]:
    """Facts, book, question and answer, each one text."""
    coded = pick_weighted(rng, CODED, CODED_WEIGHTS)
    facts, book, question = coded_facts(rng, world, (size + 2) // 2, coded)
    return " ".join(facts), " ".join(book), question.user, question.assistant


@register_skill(weight=0.9)
def codebook_before(rng: Random, world: World, size: int) -> list[Turn]:
    """Red means the key. Red is in the box. Where is the key? -> In the box."""
    facts, book, question, answer = _draw(rng, world, size)
    return [Turn(f"{book} {facts} {question}", answer, "codebook_before")]


@register_skill(weight=0.9)
def codebook_after(rng: Random, world: World, size: int) -> list[Turn]:
    """Red is in the box. Red means the key. Where is the key? -> In the box."""
    facts, book, question, answer = _draw(rng, world, size)
    return [Turn(f"{facts} {book} {question}", answer, "codebook_after")]


@register_skill(weight=0.9)
def codebook_later(rng: Random, world: World, size: int) -> list[Turn]:
    """Red is in the box. -> Okay. | Red means the key. Where is the key? -> In the box."""
    facts, book, question, answer = _draw(rng, world, size)
    return [Turn.statement(facts), Turn(f"{book} {question}", answer, "codebook_later")]
