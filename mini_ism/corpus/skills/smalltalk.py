"""Small talk: what people say around their questions."""

from __future__ import annotations

from random import Random

from mini_ism.corpus.portable_random import pick
from mini_ism.corpus.registry import Turn, register_skill
from mini_ism.corpus.skills.persona import ask_guide
from mini_ism.corpus.world import World

# queries, answer, placement (see `Turn`)
TALK = (
    (("Hello.", "Hi.", "Good morning."), "Hello.", -1),
    (("How are you?",), "I am well, thank you.", 0),
    (("What can you do?",), "I can answer questions.", 0),
    (("Thank you.", "Thanks."), "You are welcome.", 0),
    (("Goodbye.", "Bye."), "Goodbye.", 1),
)
NOBODY = (("Who are you?", "I am a small model."), ("What is your name?", "I have no name."))


@register_skill(weight=1.0)
def smalltalk(rng: Random, world: World, size: int) -> list[Turn]:
    """How are you? -> I am well, thank you."""
    index = int(rng.random() * (len(TALK) + 1))
    if index == len(TALK):
        if world.guide is not None:
            return [ask_guide(rng, world.guide)]
        return [Turn(*pick(rng, NOBODY), "smalltalk")]
    queries, answer, placement = TALK[index]
    return [Turn(pick(rng, queries), answer, "smalltalk", placement)]
