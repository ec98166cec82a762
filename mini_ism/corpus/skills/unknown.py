"""Unknown: notice that the dialogue does not say."""

from __future__ import annotations

from random import Random

from .. import phrases
from ..draws import below, chance, pick
from ..facts import Facts
from ..layout import lay_out, question_count
from ..registry import Turn, register_skill
from ..world import World
from .persona import ASK_USER


@register_skill(weight=2.2)
def unknown(rng: Random, world: World, size: int) -> list[Turn]:
    """The key is in the box. Where is the lamp? -> I do not know."""
    field = pick(rng, tuple(ASK_USER))
    if chance(rng, 0.3) and world.claim(field):  # claimed, so no other thread will tell it
        return [Turn(pick(rng, ASK_USER[field])[0], phrases.UNKNOWN_ANSWER, "unknown")]
    facts = Facts.draw(rng, world, size)
    questions = [facts.ask(rng, "recall") for _ in range(question_count(rng))]
    # Known and unknown questions share a thread, so that the thread's shape tells nothing.
    questions.insert(below(rng, len(questions) + 1), facts.ask_absent(rng, world))
    if chance(rng, 0.5):
        questions = [turn for turn in questions if turn.skill == "unknown"]
    return lay_out(rng, facts.tell(rng), questions)
