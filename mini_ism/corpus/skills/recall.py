"""Recall: repeat what was said."""

from __future__ import annotations

from random import Random

from mini_ism.corpus.facts import Facts
from mini_ism.corpus.registry import Turn, register_skill
from mini_ism.corpus.threads import lay_out, question_count
from mini_ism.corpus.world import World


@register_skill(weight=2.4)
def recall(rng: Random, world: World, size: int) -> list[Turn]:
    """The key is in the box. Where is the key? -> In the box."""
    facts = Facts.draw(rng, world, size)
    questions = [facts.ask(rng) for _ in range(question_count(rng))]
    return lay_out(rng, facts.tell(rng), questions)
