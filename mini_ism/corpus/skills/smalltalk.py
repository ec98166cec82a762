"""Small talk: what people say around their questions."""

from __future__ import annotations

from random import Random

from mini_ism.corpus.portable_random import chance, pick
from mini_ism.corpus.registry import Turn, register_skill
from mini_ism.corpus.skills.about_me import NAME
from mini_ism.corpus.skills.persona import ask_guide
from mini_ism.corpus.world import Wording, World

HELP = "Tell me who or what is where, then ask me."
IN_VERSION_1 = "I can answer questions."
MODEL = "I am a small model."

# queries, answer, placement (see `Turn`)
TALK = (
    (Wording(("Hello.", "Hi.", "Good morning.")), "Hello.", -1),
    (Wording(("How are you?",)), "I am well, thank you.", 0),
    (Wording(("What can you do?",)), IN_VERSION_1, 0),
    (Wording(("Thank you.", "Thanks.")), "You are welcome.", 0),
    (Wording(("Goodbye.", "Bye.")), "Goodbye.", 1),
)
NOBODY = (("Who are you?", MODEL), ("What is your name?", "I have no name."))

# The same in more words, from version 2 on, and what people want to know from a chat model.
CHATTER = (
    (
        Wording(
            ("Hello.", "Hi.", "Good morning.", "Hello!", "Hi!", "Hey.", "Hi there.", "Hello there!", "Good afternoon."),
            ("Good day.", "Greetings.", "Hey there."),
        ),
        "Hello.",
        -1,
    ),
    (
        Wording(
            (
                "How are you?",
                "How are you today?",
                "How are you feeling?",
                "How's it going?",
                "Are you well?",
                "How do you feel?",
            ),
            ("How is it going?", "Are you fine?"),
        ),
        "I am well, thank you.",
        0,
    ),
    (
        Wording(
            (
                *("What can you do?", "What can you do?", "Help.", "Help!", "help", "Can you help me?", "Help me."),
                *("What can I ask you?", "What can I ask?", "How does this work?", "What do you do?", "I need help."),
                *("What should I say?", "What can I say?", "What are you good at?", "What can you tell me?"),
            ),
            ("Please help.", "What may I ask you?", "What are you able to do?"),
        ),
        HELP,
        0,
    ),
    (
        Wording(
            (
                "Thank you.",
                "Thanks.",
                "Thank you!",
                "Thanks!",
                "Thank you very much.",
                "Great, thanks.",
                "Many thanks.",
            ),
            ("Thanks so much.", "Thank you, well done."),
        ),
        "You are welcome.",
        0,
    ),
    (
        Wording(
            (
                "Goodbye.",
                "Bye.",
                "Bye!",
                "See you.",
                "Goodbye!",
                "See you later.",
                "Good night.",
                "Bye for now.",
                "Okay, bye.",
                "Goodbye, and thanks.",
            ),
            ("See you soon.", "Have a nice day."),
        ),
        "Goodbye.",
        1,
    ),
    (
        Wording(
            (
                "Are you a robot?",
                "Are you human?",
                "Are you a person?",
                "Are you real?",
                "What are you?",
                "Are you Siri?",
            ),
            ("Are you a machine?", "Are you a computer?"),
        ),
        MODEL,
        0,
    ),
    (
        Wording(
            (
                *(
                    "Okay.",
                    "Good.",
                    "Great.",
                    "Nice.",
                    "Yes.",
                    "No.",
                    "I see.",
                    "I am tired.",
                    "I am happy.",
                    "I'm bored.",
                ),
                *("I am hungry.", "I'm fine.", "Well done.", "Cool.", "I am well, too.", "Right.", "That is right."),
            ),
            ("I am sad.", "I'm thirsty.", "Fine.", "Very good."),
        ),
        "Okay.",
        0,
    ),
)
GREETINGS = Wording(
    (
        "Hello, I am {}.",
        "Hi, I'm {}.",
        "Hi, my name is {}.",
        "Hello, my name is {}.",
        "Hello! I am {}.",
        "Hey, I'm {}.",
    ),
    ("Good morning, I am {}.", "Hi there, I'm {}."),
)


@register_skill(weight=1.0)
def smalltalk(rng: Random, world: World, size: int) -> list[Turn]:
    """How are you? -> I am well, thank you."""
    talk = TALK if world.lexicon.version == 1 else CHATTER
    if talk is CHATTER and chance(rng, 0.2) and world.claim("my name"):
        return _greeted_by_name(rng, world)
    index = int(rng.random() * (len(talk) + 1))
    if index == len(talk):
        if world.guide is not None:
            return [ask_guide(rng, world.guide)]
        return [Turn(*pick(rng, NOBODY), "smalltalk")]
    queries, answer, placement = talk[index]
    return [Turn(world.say(queries), answer, "ack" if answer == "Okay." else "smalltalk", placement)]


def _greeted_by_name(rng: Random, world: World) -> list[Turn]:
    """The user says hello, gives a name, and asks for it later."""
    name = world.name()
    turns = [Turn(world.say(GREETINGS).format(name), f"Hello, {name}.", "smalltalk", -1)]
    if chance(rng, 0.6):
        ask, answer = pick(rng, NAME.ask)
        turns.append(Turn(world.say(ask), answer.format(it=name), "about_me"))
    return turns
