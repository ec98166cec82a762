"""Reading the rows of ``mismatch`` and ``mismatch-chains``: weights that run under a mask other than their own.

A result holds shares of answers that are exactly right, by stage, mask and skill as :func:`key` joins them. The stages:
``"zero-shot"``, the weights as they are; ``"tuned"``, after a short training under the mask that they run under.
"""

from __future__ import annotations

from collections.abc import Sequence

from mini_ism.results.intervals import Drawn, Interval, mean_interval
from mini_ism.results.rows import SWEPT, Row

ALL = "all"
"""All skills together."""


def key(stage: str, mask: str, skill: str = ALL) -> str:
    """The name under which a result holds a share."""
    return f"{stage} {mask} {skill}"


def masks(rows: Sequence[Row], stage: str) -> list[str]:
    """The masks that the weights ran under at a stage."""
    names = (name.split(" ", 2) for name in rows[0].result)
    return [parts[1] for parts in names if parts[0] == stage and parts[-1] == ALL]


def intervals(rows: Sequence[Row], stage: str, skill: str = ALL) -> dict[str, dict[str, Interval]]:
    """The share right by the mask that weights were trained with, and by the mask that they ran under."""
    found = {}
    for trained in SWEPT:
        mine = [row for row in rows if row.config["mask"] == trained]
        if mine:
            names = {mask: key(stage, mask, skill) for mask in masks(mine, stage)}
            found[trained] = {mask: mean_interval(row.result[name] for row in mine) for mask, name in names.items()}
    return found


def by_training(rows: Sequence[Row], stage: str) -> dict[str, dict[str, Drawn]]:
    """The same with all skills together, for :func:`~mini_ism.views.interval_figure`."""
    return {
        f"trained with {trained}": {mask: interval.drawn for mask, interval in found.items()}
        for trained, found in intervals(rows, stage).items()
    }
