"""Dialogues for the words sweep: a few links told in one query, and questions that need several of them at once.

Each task comes in three stages, the easy ones first: a look-up must be learned before two in a row are. An answer says
again what was asked for before it tells, "so key barn", so that the position which tells stands at a token like those
of the facts, and one head can look up for both. Whence the "so", too: at the start of a message, where no blank comes
before it, a word would have other tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import chain, pairwise
from random import Random

from mini_ism.corpus import Dialogue
from mini_ism.corpus.world import World

STAGES = 3
CHAINS = 3  # told in a dialogue: who guesses among their ends is right one time in three
QUESTIONS = 6  # a dialogue of chains

LABELS = ("1 link", "2 links", "3 links")
NOTED = "noted"  # what is told without a question


def chains(rng: Random, stage: int, *, later: bool = False, back: bool = False) -> Dialogue:
    """Things in things in rooms: "so key in tin. tin in cart. cart in barn. which room is key?" asks for "so key barn".

    Three links, of which a causal reader of two layers can follow two at the answer, and the third only if two have met
    before: the middle one looks onward to the last, ahead or behind, or the last one looks back.

    Args:
        rng: what is told and asked.
        stage: 0 to 2: one, two or three links from a thing to its room.
        later: the outermost links are told a turn later, and not in any order with the others.
        back: half of what is asked is a single link, and every other time by its end, "what is in tin?": a reader who
            learns that finds, from the later of two links, the earlier.
    """
    world = World(rng, coined=0)
    told = [[world.thing(), *(world.place() for _ in range(stage)), world.room()] for _ in range(CHAINS)]
    links = [(inner, outer, depth) for things in told for depth, (inner, outer) in enumerate(pairwise(things))]
    rng.shuffle(links)
    parts = [links]
    if later and stage > 0:
        parts = [[link for link in links if (link[2] == stage) == last] for last in (False, True)]
    position = {inner: number for number, (inner, _, _) in enumerate(chain.from_iterable(parts))}
    queries = [" ".join(["so", *(f"{inner} in {outer}." for inner, outer, _ in part)]) for part in parts]

    def ask() -> tuple[str, str, str]:
        asked = rng.choice(told)
        start = rng.randrange(stage + 1)
        if rng.random() < (0.5 if back else 0.25):
            inner, outer = asked[start : start + 2]
            if back and rng.random() < 0.5:
                return f"what is in {outer}?", f"so {outer} {inner}", "told"
            return f"where is {inner}?", f"so {inner} {outer}", "told"
        label = LABELS[stage - start]
        if label == LABELS[2]:
            label += ", ahead" if position[asked[1]] < position[asked[2]] else ", behind"
        return f"which room is {asked[start]}?", f"so {asked[start]} {asked[-1]}", label

    return _dialogue(queries, [ask() for _ in range(QUESTIONS)])


def codebook(rng: Random, stage: int, *, before: bool = False, later: bool = False) -> Dialogue:
    """Facts in code: "so Red in Blue. so Red means key. Blue means box. where is key?" asks for "so key box".

    Args:
        rng: what is told and asked.
        stage: 0: facts in plain words; 1: one side of each is a code word; 2: now and then both.
        before: the book comes before the facts, not after them.
        later: one of the two comes a turn after the other.
    """
    world = World(rng, coined=0)
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

    asked = [(f"where is {thing}?", f"so {thing} {place}", label) for thing, place in pairs]
    known = rng.sample(means, min(CHAINS, len(means)))
    for code, word in known:  # both ways, since a fact about a thing is found by the code that means it
        one, other = (code, word) if rng.random() < 0.5 else (word, code)
        asked.append((f"what is {one}?", f"so {one} {other}", "told"))
    rng.shuffle(asked)
    queries = [" ".join(["so", *part]) for part in parts]
    return _dialogue(queries if later else [" ".join(queries)], asked)


def _dialogue(queries: list[str], asked: list[tuple[str, str, str]]) -> Dialogue:
    """Queries, all but the last one only noted, and questions with answer and label, the first in the last query."""
    messages: list[dict[str, str]] = []
    labels: list[str] = []
    *noted, told = queries
    for query in noted:
        messages += [{"role": "user", "content": query}, {"role": "assistant", "content": "okay"}]
        labels.append(NOTED)
    for question, answer, label in asked:
        messages += [
            {"role": "user", "content": f"{told} {question}".strip()},
            {"role": "assistant", "content": answer},
        ]
        labels.append(label)
        told = ""
    return Dialogue(messages, labels)


TASKS: dict[str, Callable[[Random, int], Dialogue]] = {
    "chains, any": chains,
    "chains, outer later": partial(chains, later=True),
    "chains, asked back": partial(chains, back=True),
    "codebook before": partial(codebook, before=True),
    "codebook after": codebook,
    "codebook later": partial(codebook, later=True),
}
TARGET = {task: "3 links" if task.startswith("chains") else "two code words" for task in TASKS}
"""What each task is about: all questions whose label begins so."""
