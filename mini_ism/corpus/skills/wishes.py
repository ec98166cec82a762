"""Wishes: what people ask of a chat model that this one cannot do, with an answer that says what it can."""

from __future__ import annotations

from random import Random

from mini_ism.corpus.portable_random import between, chance, pick, pick_weighted
from mini_ism.corpus.registry import Turn, register_skill
from mini_ism.corpus.world import Wording, World

NO_SUMS = "I can't do sums. Ask me where things are."
CANNOT = "I can't do that. Ask me where things are."
ONLY_TOLD = "I only know what you tell me."

SUMS = Wording(
    (
        *("What is {m} plus {n}?", "What is {m} + {n}?", "What is {m} times {n}?", "How much is {m} + {n}?"),
        *("What's {m} minus {n}?", "{m} + {n}?", "{m} + {n} =?", "What is {m} * {n}?", "Add {m} and {n}."),
        *("Calculate {m} times {n}.", "Can you add {m} and {n}?", "Multiply {m} by {n}.", "Solve x + {m} = {n}."),
        *("What is the square root of {n}?", "Count to {n}.", "Can you do maths?"),
    ),
    ("What is {m} divided by {n}?", "How much is {m} times {n}?", "Subtract {m} from {n}."),
)
WISHES = Wording(
    (
        *("Tell me a story.", "Tell me a riddle.", "Tell me something funny.", "Write a poem.", "Write me a poem."),
        *("Write a letter to {name}.", "Write a story about {food}.", "Sing a song.", "Sing for me.", "Play a game."),
        *(
            "Let's play a game.",
            "Draw a {pet}.",
            "Draw me a {thing}.",
            "Translate {food} into French.",
            "Say it in German.",
        ),
        *("Give me a recipe for {food}.", "Give me an example.", "Show me a picture of a {pet}.", "Make a list."),
        *("Write some code.", "Write a program in Python.", "Can you write code?", "Can you help me with my homework?"),
        *("Explain what attention is.", "Explain how a {thing} works.", "Buy me a {thing}.", "Order some {food}."),
        *("Call {name}.", "Send a message to {name}.", "Set a timer.", "Wake me up at {n}.", "Turn on the light."),
        *("Open the {thing}.", "Book a flight to {city}.", "Find me a hotel in {city}.", "Search for {thing}."),
        *("Can you speak Spanish?", "Can you sing?", "Can you draw?", "Please cook some {food}.", "Make me laugh."),
        *("Summarise this text.", "Write an email to {name}.", "Can you write a song about {city}?", "Do a trick."),
        *(
            "Give me some advice.",
            "What should I cook?",
            "What should I do today?",
            "Recommend a book.",
            "Teach me chess.",
        ),
    ),
    (
        *("Write a short novel.", "Paint a {pet}.", "Please sing something.", "Give me a tip.", "Book a table."),
        *("Can you translate this?", "Write to {name}.", "Find a {thing} for me.", "Explain gravity."),
    ),
)
WORLD = Wording(
    (
        *("What is the capital of {country}?", "How big is {country}?", "What is the weather like?"),
        *("What time is it?", "What day is it today?", "Who is the president of {country}?", "Who wrote Hamlet?"),
        *(
            "How many people live in {city}?",
            "What is the news?",
            "Is it raining?",
            "What year is it?",
            "What is love?",
        ),
        *("What is the meaning of life?", "How tall is {name}?", "Who invented the {thing}?", "Why is the sky blue?"),
        *("What is a {pet}?", "How far is {city}?", "What do people in {country} eat?", "When was the war?"),
        *("What do people eat in {city}?", "What do you know?", "How do you make {food}?", "What does a {pet} eat?"),
        *("Who won the game?", "Is there life on Mars?", "What is attention?", "How does a {thing} work?"),
    ),
    (
        *("What language do they speak in {country}?", "What is the date?", "Who discovered {country}?"),
        *("How hot is the sun?", "Will it rain?", "How old is the earth?"),
    ),
)
POLITE = ("Please {}", "Can you {}", "Could you {}", "I want you to {}")


def _fill(world: World, text: str) -> str:
    """The text with new words in it; drawn only where one is needed."""
    for kind in ("name", "food", "pet", "thing", "city", "country"):
        if f"{{{kind}}}" in text:
            text = text.replace(f"{{{kind}}}", world.word(kind))
    return text.replace("{m}", str(between(world.rng, 1, 99))).replace("{n}", str(between(world.rng, 1, 999)))


@register_skill(weight=1.2, since=2)
def wishes(rng: Random, world: World, size: int) -> list[Turn]:
    """Sing a song. -> I can't do that. Ask me where things are."""
    turns: list[Turn] = []
    for _ in range(pick(rng, (1, 1, 2))):
        wording, answer = pick_weighted(rng, ((SUMS, NO_SUMS), (WISHES, CANNOT), (WORLD, ONLY_TOLD)), (0.25, 0.45, 0.3))
        text = _fill(world, world.say(wording))
        if answer == CANNOT and not text.startswith(("Can", "Please", "Let", "What")) and chance(rng, 0.3):
            text = pick(rng, POLITE).format(text[0].lower() + text[1:])
            text = f"{text[:-1]}?" if text.startswith("C") else text
        turns.append(Turn(text, answer, "wish"))
    return turns
