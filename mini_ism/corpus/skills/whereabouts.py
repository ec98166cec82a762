"""Whereabouts: people, animals and things in, on and under all kinds of places, as people say it in a chat."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from mini_ism.corpus import phrases
from mini_ism.corpus.portable_random import below, chance, pick, pick_weighted
from mini_ism.corpus.registry import Turn, register_skill
from mini_ism.corpus.threads import lay_out, question_count
from mini_ism.corpus.world import Wording, World

OUTSIDE = ("at home", "at school", "at work")
AROUND = ("behind", "near", "under")

TELL: dict[str, Wording] = {
    "thing": Wording(
        (
            *(
                "{The} {it} is {spot}.",
                "I put {the} {it} {spot}.",
                "I left {the} {it} {spot}.",
                "{The} {it} is {spot}.",
            ),
            *("There is {a_it} {spot}.", "I put {the} {it} {spot}."),
        ),
        ("You can find {the} {it} {spot}.", "I have put {the} {it} {spot}.", "{The} {it} lies {spot}."),
    ),
    "plural": Wording(
        ("{The} {it} are {spot}.", "I put {the} {it} {spot}.", "I left {the} {it} {spot}."),
        ("I have put {the} {it} {spot}.", "You can find {the} {it} {spot}."),
    ),
    "name": Wording(
        ("{it} is {spot}.", "{it} is {spot}.", "{it} is sitting {spot}.", "{it} is now {spot}."),
        ("{it} is standing {spot}.", "I saw {it} {spot}."),
    ),
    "pet": Wording(
        ("{The} {it} is {spot}.", "{The} {it} is asleep {spot}.", "{The} {it} is sleeping {spot}."),
        ("{The} {it} sits {spot}.", "I saw {the} {it} {spot}."),
    ),
}
WHERE: dict[str, Wording] = {
    "plural": Wording(
        ("Where are {x}?", "Do you know where {x} are?", "Where did I put {x}?"),
        ("Where can I find {x}?", "Can you tell me where {x} are?"),
    ),
    "thing": Wording(
        ("Where is {x}?", "Where's {x}?", "Where did I put {x}?", "Do you know where {x} is?", "Tell me where {x} is."),
        ("Where can I find {x}?", "Can you tell me where {x} is?", "Where did I leave {x}?"),
    ),
    "": Wording(
        ("Where is {x}?", "Where's {x}?", "Where is {x} now?", "Do you know where {x} is?", "Tell me where {x} is."),
        ("Can you tell me where {x} is?", "And where is {x}?"),
    ),
}
WHO = Wording(("Who is {spot}?", "Who's {spot}?"), ("Tell me who is {spot}.",))
WHAT = Wording(("What is {spot}?", "What's {spot}?"), ("Tell me what is {spot}.",))
IT = Wording(("Where is {it}?", "Where is {it} now?", "Where's {it}?"), ("So where is {it}?",))
MOVE = Wording(("I moved {x} to {to}.", "I took {x} to {to}."), ("I brought {x} to {to}.",))
GO = Wording(("{x} went to {to}.", "{x} moved to {to}."), ("{x} walked to {to}.",))
NOW = Wording(("{X} is now {spot}.", "Now {x} is {spot}."), ("By now {x} is {spot}.",))
NOW_PLURAL = Wording(("{X} are now {spot}.", "Now {x} are {spot}."), ("By now {x} are {spot}.",))


@dataclass
class Fact:
    """Somebody or something, and the spot where it is, such as "on the table"."""

    kind: str
    it: str
    the: str  # "the" or "my", as it was told
    spot: str

    @property
    def x(self) -> str:
        """What it is called in a question."""
        return self.it if self.kind == "name" else f"{self.the} {self.it}"


def _spot(rng: Random, world: World, kind: str) -> str:
    """Where something of that kind may be."""
    person = kind == "name"
    if person and chance(rng, 0.06):
        return pick(rng, OUTSIDE)
    if chance(rng, 0.75 if person or kind == "pet" else 0.2):
        return f"{'at' if person and chance(rng, 0.15) else 'in'} the {world.room()}"
    if chance(rng, 0.12):
        return f"{pick(rng, AROUND)} the {world.word(pick(rng, ('surface', 'place')))}"
    if person or chance(rng, 0.5):
        return f"on the {world.word('surface')}"
    return f"in the {world.place()}"


def _fact(rng: Random, world: World, kind: str) -> Fact:
    it = world.word("food" if kind == "thing" and chance(rng, 0.12) else kind)
    if kind == "thing" and it.endswith("s"):  # of food: the bananas are in the fridge
        kind = "plural"
    the = "my" if kind != "name" and chance(rng, 0.25) else "the"
    return Fact(kind, it, the, _spot(rng, world, kind))


def _fill(wording: str, fact: Fact) -> str:
    The = fact.the.capitalize()
    return wording.format(
        it=fact.it, the=fact.the, The=The, a_it=phrases.a(fact.it), spot=fact.spot, x=fact.x, X=f"{The} {fact.it}"
    )


def _ask_where(world: World, fact: Fact, label: str = "whereabouts") -> Turn:
    question = _fill(world.say(WHERE.get(fact.kind, WHERE[""])), fact)
    return Turn(question, phrases.sentence(fact.spot), label)


def _ask_it(rng: Random, world: World, fact: Fact, label: str, *, follows: bool) -> Turn:
    """The same question about "it", the subject of the sentence before."""
    if fact.kind == "plural":
        question = "Where are they?"
    else:
        pronoun = pick(rng, ("he", "she")) if fact.kind == "name" else "it"
        question = world.say(IT).format(it=pronoun)
    return Turn(question, phrases.sentence(fact.spot), label, follows=follows)


def _ask_holder(world: World, fact: Fact) -> Turn:
    """Who or what is at a spot."""
    question = world.say(WHO if fact.kind == "name" else WHAT).format(spot=fact.spot)
    answer = f"{fact.it}." if fact.kind == "name" else f"The {fact.it}."
    return Turn(question, answer, "whereabouts")


def _ask_yes_no(rng: Random, world: World, fact: Fact) -> Turn:
    verb = "Are" if fact.kind == "plural" else "Is"
    if chance(rng, 0.5):
        return Turn(f"{verb} {fact.x} {fact.spot}?", "Yes.", "yes_no")
    return Turn(f"{verb} {fact.x} {_spot(rng, world, fact.kind)}?", "No.", "yes_no")


def _ask_absent(rng: Random, world: World, kind: str) -> Turn:
    """A question about something nobody mentioned."""
    absent = _fact(rng, world, kind)
    turn = _ask_yes_no(rng, world, absent) if chance(rng, 0.3) else _ask_where(world, absent)
    return Turn(turn.user, phrases.UNKNOWN_ANSWER, "unknown")


def _ask(rng: Random, world: World, fact: Fact) -> Turn:
    kind = pick_weighted(rng, ("where", "holder", "yes/no", "absent"), (0.5, 0.16, 0.2, 0.14))
    if kind == "holder" and fact.kind in ("name", "thing"):
        return _ask_holder(world, fact)
    if kind == "yes/no":
        return _ask_yes_no(rng, world, fact)
    if kind == "absent":
        return _ask_absent(rng, world, fact.kind)
    return _ask_where(world, fact)


def _move(rng: Random, world: World, fact: Fact) -> str:
    """A sentence that moves somebody or something to another spot."""
    if fact.kind == "name" and chance(rng, 0.5):
        fact.spot = f"in the {world.room()}"
        return world.say(GO).format(x=fact.it, to=fact.spot.removeprefix("in "))
    if fact.kind != "name" and chance(rng, 0.6):
        # "To the shelf" means on it: only known surfaces are used, since a new word would leave "in" or "on" open.
        spot = f"in the {world.place()}" if chance(rng, 0.6) or world.held_out else f"on the {world.word('surface')}"
        fact.spot = spot
        return world.say(MOVE).format(x=fact.x, to=spot.removeprefix("in ").removeprefix("on "))
    fact.spot = _spot(rng, world, fact.kind)
    if fact.kind == "name":
        return f"{fact.it} is now {fact.spot}."
    return _fill(world.say(NOW_PLURAL if fact.kind == "plural" else NOW), fact)


def _pair(rng: Random, world: World) -> list[Turn]:
    """Two in one place, told together."""
    kind = pick(rng, ("name", "thing"))
    one, two = _fact(rng, world, kind), world.word(kind)
    first, second = (one.it, two) if kind == "name" else (f"The {one.it}", f"the {two}")
    question = world.say(WHO if kind == "name" else WHAT).format(spot=one.spot)
    if chance(rng, 0.4):
        one.the = "the"
        turn = _ask_where(world, one)
    else:
        turn = Turn(question, f"{first} and {second}.", "whereabouts")
    return lay_out(rng, [f"{first} and {second} are {one.spot}."], [turn])


def _early(rng: Random, world: World) -> list[Turn]:
    """A question before its fact, and again after it; the fact may call what was asked about "it"."""
    fact = _fact(rng, world, pick(rng, ("name", "thing", "plural", "pet")))
    question, told = _ask_where(world, fact), _fill(world.say(TELL[fact.kind]), fact)
    if chance(rng, 0.3):
        question = _ask_yes_no(rng, world, fact)
    turns = [Turn(question.user, phrases.UNKNOWN_ANSWER, "unknown")]
    if fact.kind in ("thing", "pet") and chance(rng, 0.5):
        again = _ask_where(world, fact)
        return [*turns, Turn(f"It is {fact.spot}. {again.user}", again.assistant, again.skill, follows=True)]
    return [*turns, *lay_out(rng, [told], [_ask_where(world, fact)])]


def _told_of_it(rng: Random, world: World) -> list[Turn]:
    """A fact that is asked about by a pronoun, as it was told or after a move."""
    fact = _fact(rng, world, pick(rng, ("name", "thing", "plural", "pet")))
    told, label = [_fill(world.say(TELL[fact.kind]), fact)], "whereabouts"
    if chance(rng, 0.6):
        told.append(_move(rng, world, fact))
        label = "update"
    if chance(rng, 0.5):
        return [Turn.statement(" ".join(told)), _ask_it(rng, world, fact, label, follows=True)]
    question = _ask_it(rng, world, fact, label, follows=False)
    return [Turn(" ".join((*told, question.user)), question.assistant, label)]


@register_skill(weight=4.5, since=2)
def whereabouts(rng: Random, world: World, size: int) -> list[Turn]:
    """Maria is in the kitchen. I put the phone on the table. Where is Maria? -> In the kitchen."""
    shape = pick_weighted(rng, (None, _pair, _early, _told_of_it), (0.7, 0.07, 0.08, 0.15))
    if shape is not None:
        return shape(rng, world)
    kinds = ("name", "thing", "plural", "pet")
    facts = [_fact(rng, world, pick_weighted(rng, kinds, (0.4, 0.35, 0.1, 0.15))) for _ in range((size + 1) // 2)]
    told = [_fill(world.say(TELL[fact.kind]), fact) for fact in facts]
    if chance(rng, 0.3):
        moved = facts[below(rng, len(facts))]
        told.append(_move(rng, world, moved))
        questions = [_ask_where(world, moved, "update")]
    else:
        questions = []
    questions += [_ask(rng, world, pick(rng, facts)) for _ in range(question_count(rng))]
    return lay_out(rng, told, questions)
