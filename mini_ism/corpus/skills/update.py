"""Update: things move and people are renamed; the latest word counts."""

from __future__ import annotations

from random import Random

from mini_ism.corpus.facts import Facts
from mini_ism.corpus.portable_random import chance, pick
from mini_ism.corpus.registry import Turn, register_skill
from mini_ism.corpus.skills.persona import ASK_USER, TELL_USER
from mini_ism.corpus.threads import lay_out, question_count
from mini_ism.corpus.world import World

MOVES = ("The {thing} is now in the {value}.", "I moved the {thing} to the {value}.")
RENAMES = ("My name is now {}.", "Call me {} now.")


@register_skill(weight=1.2)
def update(rng: Random, world: World, size: int) -> list[Turn]:
    """The key is in the box. The key is now in the jar. Where is the key? -> In the jar."""
    if chance(rng, 0.2) and world.claim("my name"):
        return _rename(rng, world)
    facts = Facts.draw(rng, world, size)
    statements = facts.tell(rng)
    moved: list[str] = []
    for _ in range(pick(rng, (1, 1, 2))):
        thing = pick(rng, facts.things)
        index = facts.things.index(thing)
        old = facts.values[index]
        value = facts.values[index] = world.name() if facts.owned else world.spot()
        if facts.owned:
            statements.append(f"{old} gave the {thing} to {value}.")
        else:
            statements.append(pick(rng, MOVES).format(thing=thing, value=value))
        moved.append(thing)
    questions: list[Turn] = []
    for _ in range(question_count(rng)):
        thing = pick(rng, moved if chance(rng, 0.7) else facts.things)
        questions.append(facts.ask_value(rng, thing, "update" if thing in moved else ""))
    return lay_out(rng, statements, questions)


def _rename(rng: Random, world: World) -> list[Turn]:
    old, new = world.name(), world.name()
    statements = [pick(rng, TELL_USER["my name"]).format(old), pick(rng, RENAMES).format(new)]
    question, answer = pick(rng, ASK_USER["my name"])
    return lay_out(rng, statements, [Turn(question, answer.format(new), "update")])
