"""Revision: a later turn corrects an earlier one."""

from __future__ import annotations

from random import Random

from mini_ism.corpus.facts import Facts
from mini_ism.corpus.portable_random import chance, pick, pick_weighted
from mini_ism.corpus.registry import Turn, register_skill
from mini_ism.corpus.skills.queue import ask_neighbour, tell_queue
from mini_ism.corpus.threads import lay_out, question_count
from mini_ism.corpus.world import World

CORRECTIONS = ("I was wrong. The {} is in the {}.", "I was wrong: the {} is in the {}.")


@register_skill(weight=1.0)
def revision(rng: Random, world: World, size: int) -> list[Turn]:
    """The key is in the box. -> Okay. | I was wrong. The key is in the jar. Where ...? -> ..."""
    kind = pick_weighted(rng, ("correct", "swap", "line"), (0.4, 0.35, 0.25))
    if kind == "line" and world.claim("the queue"):
        return _revise_line(rng, world, size)
    facts = Facts(rng, world, max(2, size), owned=False)
    turns = [_first_turn(rng, facts)]
    changed = [pick(rng, facts.things)]
    if kind == "swap":
        changed.append(pick(rng, [thing for thing in facts.things if thing != changed[0]]))
        first, second = (facts.things.index(thing) for thing in changed)
        values = facts.values
        values[first], values[second] = values[second], values[first]
        change = f"Swap the {changed[0]} and the {changed[1]}."
    else:
        index = facts.things.index(changed[0])
        facts.values[index] = world.spot()
        change = pick(rng, CORRECTIONS).format(changed[0], facts.values[index])
    questions: list[Turn] = []
    for _ in range(question_count(rng)):
        thing = pick(rng, changed if chance(rng, 0.75) else facts.things)
        skill = "revision" if thing in changed else ""
        questions.append(facts.ask_value(rng, thing, skill))
    return turns + lay_out(rng, [change], questions)


def _first_turn(rng: Random, facts: Facts) -> Turn:
    """All facts in one turn, sometimes with a question that the change comes after."""
    facts_text = " ".join(facts.tell(rng))
    if chance(rng, 0.7):
        return Turn.statement(facts_text)
    question = facts.ask(rng)
    return Turn(f"{facts_text} {question.user}", question.assistant, question.skill)


def _revise_line(rng: Random, world: World, size: int) -> list[Turn]:
    line = [world.name() for _ in range(max(3, size))]
    opening = Turn.statement(tell_queue(rng, line))
    index = int(rng.random() * len(line))
    old, line[index] = line[index], world.name()
    change = f"I was wrong: {line[index]} is in the queue, not {old}."
    around = line[max(0, index - 1) : index + 2]  # a question that the change affects
    return [opening, *lay_out(rng, [change], [ask_neighbour(rng, around, "revision")])]
