"""The tasks of the words sweep: chains (:mod:`mini_ism.corpus.chains` has an example) and code books.

Like chains, a code book comes in three stages: single look-ups must be learned before two in a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from random import Random

from mini_ism.corpus import Dialogue
from mini_ism.corpus.chains import CHAINS, Task, chains, query_dialogue
from mini_ism.corpus.world import World


def codebook(rng: Random, stage: int, *, before: bool = False, later: bool = False) -> Dialogue:
    """Facts in code: "so Red in Blue. so Red means key. Blue means box. where is key?" asks for "so key box".

    Args:
        rng: decides the facts, the book and the questions.
        stage: 0: facts in plain words; 1: one side of each is a code word; 2: now and then both.
        before: the book comes before the facts instead of after them.
        later: the second of the two comes one turn after the first.
    """
    world = World(rng, coined=0, version=1)
    coded = rng.choice((("nothing",), ("thing", "place"), ("thing", "place", "both", "both"))[stage])
    pairs = [(world.thing(), world.place()) for _ in range(CHAINS)]
    facts, means = [], []
    for thing, place in pairs:
        inner, outer = thing, place
        if coded in ("thing", "both"):
            inner = world.code()
            means.append((inner, thing))
        if coded in ("place", "both"):
            outer = world.code()
            means.append((outer, place))
        facts.append(f"{inner} in {outer}.")
    rng.shuffle(means)
    book = [f"{code} means {word}." for code, word in means]
    parts = (book, facts) if before else (facts, book)
    label = {"nothing": "plain", "both": "two code words"}.get(coded, "one code word")

    questions = [(f"where is {thing}?", f"so {thing} {place}", label) for thing, place in pairs]
    for code, word in rng.sample(means, min(CHAINS, len(means))):
        # Both ways, since a fact about a thing is found by the code word that means it.
        one, other = (code, word) if rng.random() < 0.5 else (word, code)
        questions.append((f"what is {one}?", f"so {one} {other}", "told"))
    rng.shuffle(questions)
    queries = [" ".join(["so", *part]) for part in parts]
    return query_dialogue(queries if later else [" ".join(queries)], questions)


def reworded(task: Task, reword: Callable[[list[str], list[str]], list[str]]) -> Task:
    """A task with its queries rearranged; answers and labels stay the same.

    Args:
        task: whose queries begin with "so", hold facts that end with ".", and end with a question or without one.
        reword: takes a query's facts and its questions, and returns its sentences in their order.
    """

    def draw(rng: Random, stage: int) -> Dialogue:
        dialogue = task(rng, stage)
        messages = []
        for message in dialogue.messages:
            content = message["content"]
            if message["role"] == "user":
                sentences = re.findall(r"[^.?]+[.?]", content.removeprefix("so "))
                facts = [sentence.strip() for sentence in sentences if sentence.endswith(".")]
                questions = [sentence.strip() for sentence in sentences if sentence.endswith("?")]
                opening = ["so"] if content.startswith("so ") else []
                content = " ".join([*opening, *reword(facts, questions)])
            messages.append({**message, "content": content})
        return Dialogue(messages, dialogue.skills)

    return draw


def told_twice(task: Task) -> Task:
    """All the facts of each query, told twice: what a causal reader can be given instead of another mask.

    This is prompt repetition (Leviathan et al., 2025), applied to the facts.
    """
    return reworded(task, lambda facts, questions: [*facts, *facts, *questions])


def asked_first(task: Task) -> Task:
    """The question before the facts, so that a causal reader knows what is asked for when it reads them."""
    return reworded(task, lambda facts, questions: [*questions, *facts])


TASKS: dict[str, Task] = {
    "chains, any": chains,
    "chains, told twice": told_twice(chains),
    "chains, asked first": asked_first(chains),
    "chains, outer later": partial(chains, later=True),
    "chains, outer later, told twice": told_twice(partial(chains, later=True)),
    "chains, asked back": partial(chains, back=True),
    "codebook before": partial(codebook, before=True),
    "codebook after": codebook,
    "codebook later": partial(codebook, later=True),
}
TARGET = {task: "3 links" if task.startswith("chains") else "two code words" for task in TASKS}
"""What each task is about: all questions whose label begins with this."""
