"""Persona: who the user is, who the assistant is, and who likes what."""

from __future__ import annotations

from random import Random

from mini_ism.corpus import phrases
from mini_ism.corpus.portable_random import chance, pick, shuffled
from mini_ism.corpus.registry import Turn, register_skill
from mini_ism.corpus.threads import lay_out, question_count
from mini_ism.corpus.world import Guide, World

# field -> (question, answer) pairs; the question decides the form of the answer
ASK_USER = {
    "my name": (
        ("What is my name?", "Your name is {}."),
        ("What's my name?", "Your name is {}."),
        ("Who am I?", "You are {}."),
    ),
    "my food": (("What do I like?", "You like {}."),),
    "my pet": (("What pet do I have?", "You have {}."),),
}
TELL_USER = {
    "my name": ("My name is {}.", "I am {}."),
    "my food": ("I like {}.",),
    "my pet": ("I have {}.",),
}


def ask_guide(rng: Random, guide: Guide) -> Turn:
    """A question about the assistant that the system prompt answers."""
    question, answer = pick(
        rng,
        (
            ("Who are you?", f"I am {guide.name}."),
            ("What is your name?", f"My name is {guide.name}."),
            ("What is your job?", f"I am a {guide.job}."),
        ),
    )
    return Turn(question, answer, "persona")


def _deal(world: World, field: str) -> str:
    if field == "my name":
        return world.name()
    return world.food() if field == "my food" else phrases.a(world.pet())


@register_skill(weight=2.6)
def persona(rng: Random, world: World, size: int) -> list[Turn]:
    """My name is Lena. What is my name? -> Your name is Lena."""
    count = max(1, size // 2)
    statements: list[str] = []
    askable: list[tuple[str, str, str]] = []
    free = [field for field in shuffled(rng, tuple(TELL_USER)) if chance(rng, 0.75)]
    for field in free[:count]:
        if world.claim(field):
            value = _deal(world, field)
            statements.append(pick(rng, TELL_USER[field]).format(value))
            askable += [(ask, answer.format(value), "persona") for ask, answer in ASK_USER[field]]
    while len(statements) < count:
        name, food = world.name(), world.food()
        statements.append(f"{name} likes {food}.")
        askable.append((f"What does {name} like?", f"{name} likes {food}.", "persona"))
        askable.append((f"Who likes {food}?", f"{name} likes {food}.", "reverse"))
    questions = [Turn(*pick(rng, askable)) for _ in range(question_count(rng))]
    if world.guide is not None and chance(rng, 0.6):
        questions.append(ask_guide(rng, world.guide))
    return lay_out(rng, statements, questions)
