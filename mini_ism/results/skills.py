"""Reading the rows of ``skills``, ``skills-long`` and ``skills-late``: small GPTs on the control skills."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

from mini_ism.results.grouping import at_best_rate, by_seed
from mini_ism.results.intervals import Claim, Drawn, mean_interval, paired_difference
from mini_ism.results.rows import SWEPT, Row

SETTING = ("layers", "mask")
Group = tuple[int, str]
"""Layers and mask."""

ALL = "all"
"""All questions together."""

LEAST = 0.005  # of a share: fewer than ten questions of most kinds


def exact(row: Row, label: str = ALL, held_out: str = "test") -> float:
    """The share of answers that are exactly right, by label, on ``"test"`` or ``"validation"`` dialogues."""
    return float(row.result[held_out][label])


def best(rows: Iterable[Row]) -> dict[Group, list[Row]]:
    """Rows by layers and mask, each group at the rate that is best on validation dialogues."""
    chosen = cast(
        dict[Group, list[Row]], at_best_rate(rows, SETTING, lambda row: exact(row, held_out="validation"), lowest=False)
    )
    return dict(sorted(chosen.items(), key=lambda item: (item[0][0], SWEPT.index(item[0][1]))))


def labels(rows: Iterable[Row]) -> list[str]:
    """The labels of the questions that all runs have been asked, all questions together last."""
    asked = set.intersection(*(set(row.result["test"]) for row in rows))
    return [*sorted(asked - {ALL}), ALL]


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Differences between masks, skill by skill and seed by seed, at each depth where both have been run."""
    chosen = best(rows)
    found = []
    for layers in dict.fromkeys(layers for layers, _ in chosen):
        for a, b in (("ism", "causal"), ("prefix", "ism")):
            one, other = (chosen.get((layers, mask), []) for mask in (a, b))
            if one and other:
                for label in labels([*one, *other]):
                    value = _exact(label)
                    difference = paired_difference(by_seed(one, value), by_seed(other, value))
                    found.append(Claim(f"{layers} layers, {label}: {a} - {b}", difference, LEAST))
    return found


def _exact(label: str) -> Callable[[Row], float]:
    return lambda row: exact(row, label)


def by_setting(rows: Sequence[Row]) -> dict[str, dict[str, Drawn]]:
    """The share right by skill, depth and mask, for :func:`~mini_ism.views.interval_figure`."""
    chosen = best(rows)
    return {
        f"{label}, {layers} layers": {
            mask: mean_interval(map(_exact(label), runs)).drawn
            for (depth, mask), runs in chosen.items()
            if depth == layers
        }
        for label in labels(rows)
        for layers in dict.fromkeys(layers for layers, _ in chosen)
    }
