"""People: where others live and come from, what they like and do, and who got what."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from mini_ism.corpus import phrases
from mini_ism.corpus.portable_random import chance, pick
from mini_ism.corpus.registry import Turn, register_skill
from mini_ism.corpus.threads import lay_out, question_count
from mini_ism.corpus.world import Wording, World


class About(NamedTuple):
    """Something to say about somebody: the kind of word, the sentence, questions with answers, a yes-or-no question."""

    kind: str
    tell: Wording
    ask: tuple[tuple[Wording, str], ...]
    yes: str


ABOUT = (
    About(
        "city",
        Wording(("{name} lives in {it}.", "{name} is living in {it}."), ("{name} has a flat in {it}.",)),
        (
            (Wording(("Where does {name} live?",), ("Do you know where {name} lives?",)), "In {it}."),
            (Wording(("Who lives in {it}?",)), "{name}."),
        ),
        "Does {name} live in {it}?",
    ),
    About(
        "country",
        Wording(("{name} is from {it}.", "{name} comes from {it}."), ("{name} was born in {it}.",)),
        (
            (Wording(("Where is {name} from?", "Where does {name} come from?")), "From {it}."),
            (Wording(("Who is from {it}?", "Who comes from {it}?")), "{name}."),
        ),
        "Is {name} from {it}?",
    ),
    About(
        "hobby",
        Wording(("{name} likes {it}.", "{name} likes {it} a lot."), ("{name} likes {it} very much.",)),
        ((Wording(("What does {name} like?",), ("Do you know what {name} likes?",)), "{name} likes {it}."),),
        "Does {name} like {it}?",
    ),
    About(
        "food",
        Wording(("{name} likes {it}.", "{name} really likes {it}."), ("{name} likes {it} very much.",)),
        (
            (Wording(("What does {name} like?",), ("Do you know what {name} likes?",)), "{name} likes {it}."),
            (Wording(("Who likes {it}?",)), "{name} likes {it}."),
        ),
        "Does {name} like {it}?",
    ),
    About(
        "job",
        Wording(("{name} is {a_it}.", "{name} works as {a_it}."), ("{name} has a job as {a_it}.",)),
        (
            (
                Wording(("What is {name}'s job?", "What does {name} do?"), ("What does {name} work as?",)),
                "{name} is {a_it}.",
            ),
        ),
        "Is {name} {a_it}?",
    ),
    About(
        "thing",
        Wording(
            ("I gave the {it} to {name}.", "{name} took the {it}.", "{name} has the {it}.", "{name} has got the {it}."),
            ("I handed the {it} to {name}.", "{name} now has the {it}."),
        ),
        (
            (Wording(("Who has the {it}?", "Who has got the {it}?"), ("Do you know who has the {it}?",)), "{name}."),
            (Wording(("What does {name} have?",)), "The {it}."),
        ),
        "Does {name} have the {it}?",
    ),
)


@register_skill(weight=2.0, since=2)
def people(rng: Random, world: World, size: int) -> list[Turn]:
    """Ivan lives in Moscow. Where does Ivan live? -> In Moscow."""
    told: list[str] = []
    asked: list[tuple[str, str, str]] = []
    for _ in range((size + 1) // 2):
        about = pick(rng, ABOUT)
        it = world.word(about.kind)
        values = {"name": world.name(), "it": it, "a_it": phrases.a(it)}
        told.append(world.say(about.tell).format(**values))
        for ask, answer in about.ask:
            asked += [(world.say(ask).format(**values), answer.format(**values), "people")] * 2
        asked.append((about.yes.format(**values), "Yes.", "yes_no"))
        if chance(rng, 0.35):
            # About somebody who was not mentioned, or something else about somebody who was.
            other = {**values, "it": (new := world.word(about.kind)), "a_it": phrases.a(new)}
            if chance(rng, 0.5):
                other["name"] = world.name()
                asked.append((world.say(about.ask[0][0]).format(**other), phrases.UNKNOWN_ANSWER, "unknown"))
            else:
                asked.append((about.yes.format(**other), phrases.UNKNOWN_ANSWER, "unknown"))
    return lay_out(rng, told, [Turn(*pick(rng, asked)) for _ in range(question_count(rng))])
