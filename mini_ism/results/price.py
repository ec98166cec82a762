"""The price of looking ahead: the runs of ``words`` by what a reader can use instead of ISM for the same answers.

Three ways to give a causal reader what ISM gives it: tell the facts twice, ask before telling, or add a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from mini_ism.results.grouping import by_seed
from mini_ism.results.intervals import Claim, paired_difference
from mini_ism.results.rows import Row
from mini_ism.results.words import Group, exact

HEADS, STEPS = 1, 3000


class Arm(NamedTuple):
    """One way to answer.

    Attributes:
        name: as shown in tables.
        task: of :data:`~mini_ism.results.words.TASKS`.
        layers: of the model.
        mask: the mask it reads under.
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


def runs_of(best: Mapping[Group, list[Row]], arm: Arm) -> list[Row]:
    """An arm's runs, at the learning rate that is best on validation; empty if there are none yet.

    Args:
        best: the runs of the words sweep by setting, from :func:`mini_ism.results.words.best`.
        arm: which of them.
    """
    return best.get((arm.task, arm.layers, HEADS, STEPS, arm.mask), [])


def seed_shares(best: Mapping[Group, list[Row]]) -> dict[str, dict[str, list[float]]]:
    """The share that each seed answers, by where the links stand and by reader: for a picture with a dot per seed."""
    shares = {
        place: {arm.name: [exact(row) for row in runs] for arm in arms if (runs := runs_of(best, arm))}
        for place, arms in ARMS.items()
    }
    return {place: readers for place, readers in shares.items() if readers}


def price_claims(best: Mapping[Group, list[Row]]) -> list[Claim]:
    """ISM minus each other way, seed by seed, where both have been run."""
    found = []
    for place, arms in ARMS.items():
        ism = by_seed((row for arm in arms if arm.name == "ism" for row in runs_of(best, arm)), exact)
        for arm in arms:
            other = by_seed(runs_of(best, arm), exact)
            if arm.name != "ism" and len(ism.keys() & other.keys()) > 1:
                found.append(Claim(f"{place}: ism - {arm.name}", paired_difference(ism, other)))
    return found
