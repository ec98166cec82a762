"""Hops: put two or three facts together."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from mini_ism.corpus import phrases
from mini_ism.corpus.portable_random import chance, pick, shuffled
from mini_ism.corpus.registry import Turn, register_skill
from mini_ism.corpus.threads import lay_out, question_count
from mini_ism.corpus.world import World


@register_skill(weight=1.1)
def hops(rng: Random, world: World, size: int) -> list[Turn]:
    """The key is in the box. The box is in the hall. Which room is the key in? -> In the hall."""
    chains: list[list[str]] = []
    for _ in range(max(1, size // 2)):
        middle = [world.place() for _ in range(2 if chance(rng, 0.25) else 1)]
        chains.append([world.thing(), *middle, world.room()])
    links = [(inner, outer) for chain in chains for inner, outer in pairwise(chain)]
    statements = [f"The {inner} is in the {outer}." for inner, outer in shuffled(rng, links)]
    questions: list[Turn] = []
    for _ in range(question_count(rng)):
        chain = pick(rng, chains)
        if chance(rng, 0.12):
            question = f"Which room is the {world.thing()} in?"
            questions.append(Turn(question, phrases.UNKNOWN_ANSWER, "unknown"))
            continue
        if chance(rng, 0.75):
            question, end, skill = f"Which room is the {chain[0]} in?", chain[-1], "hops"
        else:
            question, end, skill = phrases.ask_where(rng, chain[0]), chain[1], "recall"
        questions.append(Turn(question, phrases.answer_place(end), skill))
    return lay_out(rng, statements, questions)
