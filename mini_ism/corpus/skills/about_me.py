"""About me: what people say about themselves in a chat, in the words that they use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple

from mini_ism.corpus import phrases
from mini_ism.corpus.portable_random import between, chance, pick, shuffled
from mini_ism.corpus.registry import Turn, register_skill
from mini_ism.corpus.threads import lay_out, question_count
from mini_ism.corpus.world import Wording, World


class Field(NamedTuple):
    """Something to say about oneself: how it is told, and the questions with their answers."""

    draw: Callable[[World], dict[str, str]]
    tell: Wording
    ask: tuple[tuple[Wording, str], ...]


def _like(world: World) -> dict[str, str]:
    verb = pick(world.rng, ("like", "love", "like", "enjoy"))
    return {"verb": verb, "it": world.word(pick(world.rng, ("food", "hobby")))}


def _pet(world: World) -> dict[str, str]:
    pet = world.pet()
    return {"pet": pet, "a_pet": phrases.a(pet), "name": world.name()}


def _home(world: World) -> dict[str, str]:
    return {"it": world.word("country" if chance(world.rng, 0.2) else "city")}


def _origin(world: World) -> dict[str, str]:
    return {"it": world.word("city" if chance(world.rng, 0.4) else "country")}


NAME = Field(
    lambda world: {"it": world.name()},
    Wording(
        (
            *("My name is {it}.", "I am {it}.", "I'm {it}.", "My name's {it}.", "Call me {it}.", "I am called {it}."),
            *("You can call me {it}.", "{it} is my name.", "People call me {it}.", "Hi, my name is {it}."),
        ),
        ("They call me {it}.", "My first name is {it}.", "Please call me {it}."),
    ),
    (
        (
            Wording(
                (
                    *("What is my name?", "What's my name?", "What is my name?", "Do you know my name?"),
                    *("Tell me my name.", "Can you tell me my name?", "So what is my name?", "Say my name."),
                ),
                ("Do you remember my name?", "What am I called?", "And what is my name?"),
            ),
            "Your name is {it}.",
        ),
        (Wording(("Who am I?", "Do you know who I am?", "Tell me who I am."), ("Say who I am.",)), "You are {it}."),
    ),
)

FIELDS: Mapping[str, Field] = {
    "my name": NAME,
    "my food": Field(
        _like,
        Wording(("I {verb} {it}.", "I really {verb} {it}.", "I {verb} {it} a lot."), ("I {verb} {it} very much.",)),
        (
            (
                Wording(("What do I {verb}?", "Tell me what I {verb}."), ("Do you know what I {verb}?",)),
                "You {verb} {it}.",
            ),
        ),
    ),
    "my home": Field(
        _home,
        Wording(
            ("I live in {it}.", "I am living in {it}.", "My home is in {it}.", "I'm living in {it}."),
            ("I have a flat in {it}.", "I now live in {it}."),
        ),
        ((Wording(("Where do I live?", "Tell me where I live."), ("Do you know where I live?",)), "In {it}."),),
    ),
    "my origin": Field(
        _origin,
        Wording(("I am from {it}.", "I'm from {it}.", "I come from {it}."), ("I was born in {it}.",)),
        (
            (
                Wording(("Where am I from?", "Where do I come from?"), ("Do you know where I am from?",)),
                "From {it}.",
            ),
        ),
    ),
    "my colour": Field(
        lambda world: {"it": world.word("colour"), "colour": pick(world.rng, ("colour", "color"))},
        Wording(("My favourite {colour} is {it}.", "My favorite {colour} is {it}."), ("The {colour} I like is {it}.",)),
        (
            (
                Wording(
                    ("What is my favourite {colour}?", "What is my favorite {colour}?"), ("Which {colour} do I like?",)
                ),
                "It is {it}.",
            ),
        ),
    ),
    "my age": Field(
        lambda world: {"it": str(between(world.rng, 5, 99))},
        Wording(("I am {it} years old.", "I'm {it} years old.", "My age is {it}."), ("I turned {it} today.",)),
        ((Wording(("How old am I?", "What is my age?"), ("Do you know how old I am?",)), "You are {it}."),),
    ),
    "my job": Field(
        lambda world: {"it": phrases.a(world.word("job"))},
        Wording(("I am {it}.", "I'm {it}.", "I work as {it}."), ("My job is to be {it}.",)),
        (
            (
                Wording(("What is my job?", "What do I do?", "What's my job?"), ("What do I work as?",)),
                "You are {it}.",
            ),
        ),
    ),
    "my pet": Field(
        _pet,
        Wording(
            (
                *("I have {a_pet} called {name}.", "My {pet} is called {name}.", "My {pet}'s name is {name}."),
                *("I have {a_pet}. Its name is {name}.", "I have {a_pet} named {name}."),
            ),
            ("{name} is my {pet}.", "The name of my {pet} is {name}."),
        ),
        (
            (
                Wording(
                    ("What is my {pet} called?", "What is my {pet}'s name?", "What is the name of my {pet}?"),
                    ("Do you know my {pet}'s name?", "How is my {pet} called?"),
                ),
                "{name}.",
            ),
            (Wording(("What pet do I have?", "Which pet do I have?")), "You have {a_pet}."),
        ),
    ),
}

RELATIVES = (
    *("aunt", "boss", "boyfriend", "brother", "cousin", "dad", "daughter", "father", "best friend", "friend"),
    *("girlfriend", "grandfather", "grandmother", "husband", "mother", "mum", "neighbour", "son", "sister"),
    *("teacher", "uncle", "wife"),
)
TELL_RELATIVE = Wording(
    (
        *("My {who} is called {name}.", "My {who}'s name is {name}.", "My {who} is {name}."),
        *("I have {a_who} called {name}.", "{name} is my {who}."),
    ),
    ("The name of my {who} is {name}.", "I have {a_who} named {name}."),
)
ASK_RELATIVE = Wording(
    ("What is my {who} called?", "Who is my {who}?", "What is my {who}'s name?", "What's my {who}'s name?"),
    ("Do you know my {who}'s name?", "What is the name of my {who}?"),
)

Asked = tuple[str, str, str]  # question, answer, label


def _tell(world: World, slot: str) -> tuple[str, list[Asked]]:
    """A sentence, and the questions that it answers."""
    field = FIELDS[slot]
    values = field.draw(world)
    asked = [(world.say(ask).format(**values), answer.format(**values), "about_me") for ask, answer in field.ask]
    return world.say(field.tell).format(**values), asked


def _tell_relative(world: World, who: str) -> tuple[str, list[Asked]]:
    values = {"who": who, "a_who": phrases.a(who), "name": world.name()}
    question = world.say(ASK_RELATIVE).format(**values)
    return world.say(TELL_RELATIVE).format(**values), [(question, f"{values['name']}.", "about_me")]


def _not_told(world: World) -> list[Asked]:
    """A question about the user that nobody answered and nobody will, if there is one left."""
    slot = pick(world.rng, tuple(FIELDS))
    if not world.claim(slot):
        return []
    return [(question, phrases.UNKNOWN_ANSWER, "unknown") for question, _, _ in _tell(world, slot)[1]]


@register_skill(weight=3.5, since=2)
def about_me(rng: Random, world: World, size: int) -> list[Turn]:
    """I live in Berlin. I have a cat called Tom. Where do I live? -> In Berlin."""
    asked = _not_told(world) if chance(rng, 0.25) else []
    statements: list[str] = []
    count = between(rng, 1, max(1, size // 2))
    # The name first: it is what people tell most often.
    slots = ["my name"] if chance(rng, 0.4) else []
    slots += [slot for slot in shuffled(rng, tuple(FIELDS)) if slot not in slots]
    for slot in slots[:count]:
        if chance(rng, 0.25):
            who = pick(rng, RELATIVES)
            slot = f"my {who}"
        if not world.claim(slot):
            continue
        statement, questions = _tell(world, slot) if slot in FIELDS else _tell_relative(world, who)
        statements.append(statement)
        asked += questions
    if not statements:
        return []
    return lay_out(rng, shuffled(rng, statements), [Turn(*pick(rng, asked)) for _ in range(question_count(rng))])
