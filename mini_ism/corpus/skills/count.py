"""Count: how many things are in a place."""

from __future__ import annotations

from random import Random

from mini_ism.corpus import phrases
from mini_ism.corpus.portable_random import pick, shuffled
from mini_ism.corpus.registry import Turn, register_skill
from mini_ism.corpus.threads import lay_out, question_count
from mini_ism.corpus.world import World

NUMBERS = ("None", "One", "Two", "Three", "Four", "Five")


@register_skill(weight=0.9)
def count(rng: Random, world: World, size: int) -> list[Turn]:
    """The key is in the box. The pen is in the box. How many things ...? -> Two."""
    places = [world.place() for _ in range(2 if size < 5 else 3)]
    held = dict.fromkeys(places, 0)
    statements: list[str] = []
    for _ in range(size):
        open_places = [place for place in places if held[place] < len(NUMBERS) - 1]
        place = pick(rng, open_places)
        held[place] += 1
        statements.append(phrases.tell_place(rng, world.thing(), place))
    for place in places:
        if held[place] == 0:
            statements.append(f"The {place} is empty.")
    questions: list[Turn] = []
    for _ in range(question_count(rng)):
        place = pick(rng, places)
        question = f"How many things are in the {place}?"
        questions.append(Turn(question, f"{NUMBERS[held[place]]}.", "count"))
    return lay_out(rng, shuffled(rng, statements), questions)
