"""What the rows of weights under other masks say: a matrix as they are, another after a fine-tune, and comparisons.

A row's result holds shares of answers exactly right as :func:`name` has them: stage, mask and skill.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mini_ism.experiments.report import claims_table, markdown_table
from mini_ism.experiments.rows import MASKS, Row
from mini_ism.experiments.statistics import Claim, Interval, by_seed, mean_interval, paired_difference
from mini_ism.views import Figure, interval_figure

SINK = "ism(sink=True)"
STAGES = ("zero-shot", "tuned")
ALL = "all"
OTHER_SEED = 1000  # dialogues of the fine-tune are none of the training's: added to the seed


@dataclass(frozen=True)
class Matrix:
    """What is measured of weights under other masks, and how it is told.

    Args:
        run: masks that weights are run under as they are.
        tuned: those that they are trained a little longer under. Their own mask is the control: what more training does
            by itself.
        skills: what is told of beside :data:`ALL` of them together.
        pooled: what these are called.
        shown: the skills that have matrices of their own, and what they are called.
    """

    run: Sequence[str]
    tuned: Sequence[str]
    skills: Sequence[str]
    pooled: str
    shown: Mapping[str, str]

    def masks(self, stage: str) -> Sequence[str]:
        """The masks of a stage."""
        return {"zero-shot": self.run, "tuned": self.tuned}[stage]

    def tables(self, rows: list[Row], rate: str) -> str:
        """The matrices of both stages and the comparisons.

        Args:
            rows: of the sweep.
            rate: of the fine-tune, in words.
        """
        return (
            f"{self.matrices(rows, 'zero-shot')}\n"
            f"After {rows[0].config['tune']} steps more under the mask that they are run under, at {rate}, on "
            "dialogues that are new to them. On the diagonal is what more training does by itself.\n\n"
            f"{self.matrices(rows, 'tuned')}\n"
            "Differences in points, in pairs by seed:\n\n"
            f"{claims_table(self.claims(rows), Interval.percent)}"
        )

    def matrices(self, rows: list[Row], stage: str) -> str:
        """Shares right by what weights were trained with, and what they are run under."""
        parts = []
        for skill, called in {ALL: self.pooled, **self.shown}.items():
            found = _intervals(rows, stage, self.masks(stage), skill)
            lines = [
                [trained, str(next(iter(cells.values())).count), *(interval.share() for interval in cells.values())]
                for trained, cells in found.items()
            ]
            header = [f"{called}; trained with", "seeds", *(f"under {mask}" for mask in self.masks(stage))]
            parts.append(markdown_table(header, lines))
        return "\n".join(parts)

    def claims(self, rows: list[Row]) -> list[Claim]:
        """How masks compare, each under its own; what a mismatch loses, the sink saves, and a fine-tune gives back."""
        there = {row.config["mask"] for row in rows}
        made = []
        for a, b in (("ism", "causal"), ("prefix", "ism")):
            if {a, b} <= there:
                own = ((a, "zero-shot", a), (b, "zero-shot", b))
                made += [_claim(rows, *own, skill) for skill in (*self.skills, ALL)]
        for trained in (mask for mask in MASKS if mask in there):
            others = [mask for mask in MASKS if mask != trained]
            for stage in STAGES:
                for skill in (ALL, *self.shown):
                    made += [
                        _claim(rows, (trained, stage, other), (trained, stage, trained), skill) for other in others
                    ]
                if trained != "ism" and SINK in self.masks(stage):
                    made.append(_claim(rows, (trained, stage, SINK), (trained, stage, "ism")))
            made += [_claim(rows, (trained, "tuned", other), (trained, "zero-shot", other)) for other in others]
        if {"causal", "ism"} <= there:
            made.append(_claim(rows, ("causal", "tuned", "ism"), ("ism", "tuned", "ism")))
        return made

    def figures(self, rows: list[Row]) -> dict[str, Figure]:
        """Both stages, all skills together."""
        told = {"zero-shot": "weights as they are", "tuned": f"after {rows[0].config['tune']} steps more under it"}
        drawn = {}
        for stage, how in told.items():
            groups = {
                f"trained with {trained}": {mask: interval.drawn for mask, interval in found.items()}
                for trained, found in _intervals(rows, stage, self.masks(stage)).items()
            }
            drawn[stage] = interval_figure(groups, x_label=f"{self.pooled} exactly right under each mask, {how}")
        return drawn


def name(stage: str, mask: str, skill: str = ALL) -> str:
    """Of a result's share right."""
    return f"{stage} {mask} {skill}"


def _intervals(rows: list[Row], stage: str, masks: Iterable[str], skill: str = ALL) -> dict[str, dict[str, Interval]]:
    """The share right by what weights were trained with, and what they are run under."""
    found = {}
    for trained in MASKS:
        mine = [row for row in rows if row.config["mask"] == trained]
        if mine:
            found[trained] = {
                mask: mean_interval(row.result[name(stage, mask, skill)] for row in mine) for mask in masks
            }
    return found


Cell = tuple[str, str, str]
"""What weights were trained with, the stage, and what they are run under."""


def _claim(rows: list[Row], a: Cell, b: Cell, skill: str = ALL) -> Claim:
    def told(cell: Cell) -> str:
        trained, stage, mask = cell
        return f"{trained} under {mask}" + (", tuned" if stage == "tuned" else "")

    def found(cell: Cell) -> dict[Any, float]:
        trained, stage, mask = cell
        return by_seed((row for row in rows if row.config["mask"] == trained), _value(name(stage, mask, skill)))

    of = "" if skill == ALL else f"{skill}: "
    return Claim(f"{of}{told(a)} - {told(b)}", paired_difference(found(a), found(b)))


def _value(key: str) -> Callable[[Row], float]:
    return lambda row: float(row.result[key])
