"""Compare: who has the highest or the lowest number."""

from __future__ import annotations

from random import Random

from mini_ism.corpus.portable_random import chance, pick, shuffled
from mini_ism.corpus.registry import Turn, register_skill
from mini_ism.corpus.threads import lay_out, question_count
from mini_ism.corpus.world import World

LARGEST = 20
# statement, question for the highest, question for the lowest, question for one person's number
SCALES = (
    ("{} is {}.", "Who is oldest?", "Who is youngest?", "How old is {}?"),
    (
        "{} has {} points.",
        "Who has the most points?",
        "Who has the fewest points?",
        "How many points does {} have?",
    ),
)


@register_skill(weight=1.0)
def compare(rng: Random, world: World, size: int) -> list[Turn]:
    """Omar is 12. Pia is 7. Who is oldest? -> Omar."""
    tell, highest, lowest, one = pick(rng, SCALES)
    if not world.claim(highest):  # "who is oldest?" must mean one group
        return []
    numbers = shuffled(rng, range(1, LARGEST + 1))[: max(2, size)]
    people = {world.name(): number for number in numbers}
    statements = [tell.format(name, number) for name, number in people.items()]
    questions: list[Turn] = []
    for _ in range(question_count(rng)):
        if chance(rng, 0.2):
            name = pick(rng, list(people))
            questions.append(Turn(one.format(name), f"{people[name]}.", "number"))
        elif chance(rng, 0.5):
            questions.append(Turn(highest, f"{max(people, key=people.__getitem__)}.", "compare"))
        else:
            questions.append(Turn(lowest, f"{min(people, key=people.__getitem__)}.", "compare"))
    return lay_out(rng, statements, questions)
