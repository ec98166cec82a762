"""Chains: dialogues of a few links in one query, and questions that need up to three of them in a row.

They come in three stages, the easy ones first: single look-ups must be learned before two in a row. An answer repeats
what was asked about before it answers, "so key barn", so that the position that predicts the answer holds a token like
those of the facts, and one head can do both look-ups. It begins with "so" because a word at the start of a message,
without a space before it, would be tokenised differently.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from random import Random

from mini_ism.corpus.dialogues import Dialogue
from mini_ism.corpus.version_1 import ROOMS
from mini_ism.corpus.world import World

STAGES = 3
CHAINS = 3  # in a dialogue, so that a guess among their ends is right one time in three
QUESTIONS = 6  # in a dialogue

LABELS = ("1 link", "2 links", "3 links")
NOTED = "noted"
"""The label of an answer to a query that asks nothing."""

Task = Callable[[Random, int], Dialogue]
"""Draws a dialogue of a stage, counted from 0."""


def chains(rng: Random, stage: int, *, later: bool = False, back: bool = False) -> Dialogue:
    """Things in things in rooms: "so key in tin. tin in cart. cart in barn. which room is key?" asks for "so key barn".

    Three links, of which a causal reader of two layers can follow two at the answer, and the third only if two have met
    before: the middle one looks onward to the last, ahead or behind, or the last one looks back.

    Args:
        rng: decides the links and the questions.
        stage: 0 to 2: one, two or three links from a thing to its room.
        later: the outermost links come one turn later, instead of in any order with the others.
        back: half of the questions ask for a single link, and every other one of these by its end, "what is in tin?". A
            reader who learns that finds, from the later of two links, the earlier.
    """
    world = World(rng, coined=0, version=1)
    paths = [[world.thing(), *(world.place() for _ in range(stage)), world.room()] for _ in range(CHAINS)]
    links = [(inner, outer, depth) for path in paths for depth, (inner, outer) in enumerate(pairwise(path))]
    rng.shuffle(links)
    parts = [links]
    if later and stage > 0:
        parts = [[link for link in links if (link[2] == stage) == last] for last in (False, True)]
    position = {inner: number for number, (inner, _, _) in enumerate(chain.from_iterable(parts))}
    queries = [" ".join(["so", *(f"{inner} in {outer}." for inner, outer, _ in part)]) for part in parts]

    def ask() -> tuple[str, str, str]:
        path = rng.choice(paths)
        start = rng.randrange(stage + 1)
        if rng.random() < (0.5 if back else 0.25):
            inner, outer = path[start : start + 2]
            if back and rng.random() < 0.5:
                return f"what is in {outer}?", f"so {outer} {inner}", "told"
            return f"where is {inner}?", f"so {inner} {outer}", "told"
        label = LABELS[stage - start]
        if label == LABELS[2]:
            label += ", ahead" if position[path[1]] < position[path[2]] else ", behind"
        return f"which room is {path[start]}?", f"so {path[start]} {path[-1]}", label

    return query_dialogue(queries, [ask() for _ in range(QUESTIONS)])


def query_dialogue(queries: Sequence[str], questions: Sequence[tuple[str, str, str]]) -> Dialogue:
    """A dialogue of facts and questions.

    Args:
        queries: the facts. All but the last query are only noted; the last one also holds the first question.
        questions: each with its answer and its label.
    """
    messages: list[dict[str, str]] = []
    labels: list[str] = []
    *noted, facts = queries
    for query in noted:
        messages += [{"role": "user", "content": query}, {"role": "assistant", "content": "okay"}]
        labels.append(NOTED)
    for question, answer, label in questions:
        messages += [
            {"role": "user", "content": f"{facts} {question}".strip()},
            {"role": "assistant", "content": answer},
        ]
        labels.append(label)
        facts = ""
    return Dialogue(messages, labels)


def held_out(name: str, count: int, task: Task = chains) -> list[Dialogue]:
    """Dialogues of the last stage that training never draws, the same for every model.

    Args:
        name: ``"validation"`` or ``"test"``.
        count: how many.
        task: which draws them.
    """
    return [task(Random(f"{name}/{n}"), STAGES - 1) for n in range(count)]


def first_question(dialogue: Dialogue) -> Dialogue:
    """A dialogue up to the answer to its first question: later ones may be answered from the answers before them."""
    turns = 1 + next(turn for turn, label in enumerate(dialogue.skills) if label != NOTED)
    return Dialogue(dialogue.messages[: 2 * turns], dialogue.skills[:turns])


def guess_among_later(dialogues: Sequence[Dialogue]) -> float:
    """The share right of a reader who cannot look ahead, and guesses among the rooms after the middle link.

    Args:
        dialogues: of chains, up to the answer to their first question. Those that do not ask for three links with the
            last one ahead are left out.
    """
    shares = []
    for dialogue in dialogues:
        if dialogue.skills[-1] == "3 links, ahead":
            thing = dialogue.messages[1]["content"].split()[-2]  # so key barn
            links = re.findall(r"(\w+) in (\w+)\.", dialogue.messages[0]["content"])
            middle = [inner for inner, _ in links].index(dict(links)[thing])
            shares.append(1 / sum(outer in ROOMS for _, outer in links[middle + 1 :]))
    return math.fsum(shares) / len(shares)
