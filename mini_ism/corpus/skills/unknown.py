"""Unknown: notice that the dialogue does not say."""

from __future__ import annotations

from random import Random

from mini_ism.corpus import phrases
from mini_ism.corpus.facts import Facts
from mini_ism.corpus.portable_random import below, chance, pick
from mini_ism.corpus.registry import Turn, register_skill
from mini_ism.corpus.skills.persona import ASK_USER
from mini_ism.corpus.threads import lay_out, question_count
from mini_ism.corpus.world import World

# slot of the dialogue -> questions that have no answer as long as it is not filled
UNTOLD: dict[str, tuple[str, ...]] = {
    **{field: tuple(question for question, _ in asks) for field, asks in ASK_USER.items()},
    "the queue": ("Who is first?", "Who is next?", "Who is last?"),
}


def _not_told(question: str) -> Turn:
    return Turn(question, phrases.UNKNOWN_ANSWER, "unknown")


@register_skill(weight=3.4)
def unknown(rng: Random, world: World, size: int) -> list[Turn]:
    """The key is in the box. Where is the lamp? -> I do not know."""
    if chance(rng, 0.35):
        slot = pick(rng, tuple(UNTOLD))
        if world.claim(slot):  # so no other thread will fill it
            return [_not_told(pick(rng, UNTOLD[slot]))]
    if chance(rng, 0.08):
        return [_not_told(f"What does {world.name()} like?")]
    facts = Facts.draw(rng, world, size)
    questions = [facts.ask(rng) for _ in range(question_count(rng))]
    # Known and unknown questions share a thread, so that the thread's shape tells nothing.
    questions.insert(below(rng, len(questions) + 1), facts.ask_absent(rng, world))
    if chance(rng, 0.6):
        questions = [turn for turn in questions if turn.skill == "unknown"]
    return lay_out(rng, facts.tell(rng), questions)
