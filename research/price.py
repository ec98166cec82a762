"""The price of looking ahead: what else the same answers can be bought with, and what each way costs.

Three ways to give a causal reader what ISM gives it: tell the facts twice, ask before telling, or add a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from mini_ism.config import GPTConfig
from mini_ism.corpus.chains import first_question, held_out
from mini_ism.cost import as_model, plan
from mini_ism.dialogue import encode_dialogue
from mini_ism.results import Claim, Row, by_seed, mean_interval, paired_difference, words
from mini_ism.tokenizer import load_tokenizer
from research.markdown import markdown_table
from research.word_tasks import TASKS

HEADS, STEPS, WIDTH = 1, 3000, 64
COUNTED = 200  # test dialogues whose cost is counted


class Arm(NamedTuple):
    """One way to answer.

    Attributes:
        name: as tables say it.
        task: of :data:`~research.word_tasks.TASKS`.
        layers: of the model.
        mask: that it reads under.
    """

    name: str
    task: str
    layers: int
    mask: str


def _arms(task: str, *, twice: str = "", layer: bool = True, prefix: bool = True) -> list[Arm]:
    arms = [Arm("causal", task, 2, "causal")]
    if twice:
        arms.append(Arm("causal, told twice", twice, 2, "causal"))
    if layer:
        arms.append(Arm("causal, a layer more", task, 3, "causal"))
    arms.append(Arm("ism", task, 2, "ism"))
    return [*arms, Arm("prefix", task, 2, "prefix")] if prefix else arms


ARMS: dict[str, list[Arm]] = {
    "told at once": _arms("chains, any", twice="chains, told twice"),
    "asked first": _arms("chains, asked first", prefix=False),
    "told a turn later": _arms("chains, outer later", twice="chains, outer later, told twice"),
}
"""The ways that are compared, by where the links and the question stand."""


def runs_of(best: Mapping[words.Group, list[Row]], arm: Arm) -> list[Row]:
    """An arm's runs, at the learning rate that is best on validation; empty before they are made.

    Args:
        best: the runs of the words sweep by setting, from :func:`mini_ism.results.words.best`.
        arm: which of them.
    """
    return best.get((arm.task, arm.layers, HEADS, STEPS, arm.mask), [])


@cache
def cost(arm: Arm) -> tuple[float, float]:
    """What it takes to come to the first word of the answer, by the rule alone.

    Returns:
        Means over test dialogues: the FLOPs of all reading up to there, and the bytes of the cache at the end of it.
    """
    tokenizer = load_tokenizer()
    shape = as_model(GPTConfig(tokenizer.n_vocab, layers=arm.layers, heads=HEADS, width=WIDTH, mask=arm.mask))
    flops = kv_bytes = 0.0
    for dialogue in held_out("test", COUNTED, TASKS[arm.task]):
        segments = encode_dialogue(first_question(dialogue).messages, tokenizer).segments
        events = [event for event in plan(arm.mask, segments, shape) if event.phase == "prefill"]
        flops += sum(event.flops for event in events) / COUNTED
        kv_bytes += events[-1].kv_bytes / COUNTED
    return flops, kv_bytes


def price_table(best: Mapping[words.Group, list[Row]]) -> str:
    """What each way answers, and what it costs in multiples of causal's cost; empty before anything has been run."""
    lines = []
    for place, arms in ARMS.items():
        flops, kv_bytes = cost(arms[0])
        for arm in arms:
            runs = runs_of(best, arm)
            if not runs:
                continue
            mine = cost(arm)
            lines.append(
                (
                    place,
                    arm.name,
                    f"{runs[0].config['lr']:g}",
                    str(len(runs)),
                    mean_interval(map(words.exact, runs)).share(),
                    f"{mine[0] / flops:.2f}",
                    f"{mine[1] / kv_bytes:.2f}",
                )
            )
    header = ("links", "reader", "best rate", "seeds", "first questions right", "prefill FLOPs", "KV bytes")
    return markdown_table(header, lines) if lines else ""


def seed_shares(best: Mapping[words.Group, list[Row]]) -> dict[str, dict[str, list[float]]]:
    """The share that each seed answers, by where the links stand and by reader: for a picture with a dot a seed."""
    shares = {
        place: {arm.name: [words.exact(row) for row in runs] for arm in arms if (runs := runs_of(best, arm))}
        for place, arms in ARMS.items()
    }
    return {place: readers for place, readers in shares.items() if readers}


def price_claims(best: Mapping[words.Group, list[Row]]) -> list[Claim]:
    """ISM less each other way, seed by seed, where both have been run."""
    found = []
    for place, arms in ARMS.items():
        ism = by_seed((row for arm in arms if arm.name == "ism" for row in runs_of(best, arm)), words.exact)
        for arm in arms:
            other = by_seed(runs_of(best, arm), words.exact)
            if arm.name != "ism" and len(ism.keys() & other.keys()) > 1:
                found.append(Claim(f"{place}: ism - {arm.name}", paired_difference(ism, other)))
    return found
