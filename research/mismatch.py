"""The report on weights under other masks: a matrix for the weights as they are, another after a fine-tune."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mini_ism.results import SWEPT, Claim, Interval, Row, by_seed, paired_difference
from mini_ism.results.mismatch import ALL, by_training, intervals, key
from mini_ism.views import Figure, interval_figure
from research.markdown import claims_table, markdown_table

SINK = "ism(sink=True)"
STAGES = ("zero-shot", "tuned")
OTHER_SEED = 1000  # added to the seed, so that fine-tuning uses other dialogues than training


@dataclass(frozen=True)
class Matrix:
    """What is measured about weights under other masks, and how it is reported.

    Args:
        run: masks that weights are run under as they are.
        tuned: masks that they are trained a little longer under. Their own mask is the control: what more training does
            by itself.
        skills: that are compared, besides all of them together.
        pooled: the name of all skills together.
        shown: the skills that have matrices of their own, with their names.
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
            rate: the learning rate of the fine-tune, in words.
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
        """Shares right by the mask of the training, and by the mask that the weights run under."""
        parts = []
        for skill, called in {ALL: self.pooled, **self.shown}.items():
            found = intervals(rows, stage, skill)
            lines = [
                [trained, str(next(iter(cells.values())).count), *(interval.share() for interval in cells.values())]
                for trained, cells in found.items()
            ]
            header = [f"{called}; trained with", "seeds", *(f"under {mask}" for mask in self.masks(stage))]
            parts.append(markdown_table(header, lines))
        return "\n".join(parts)

    def claims(self, rows: list[Row]) -> list[Claim]:
        """Differences between masks, each with its own weights; and what a mismatch, a sink and a fine-tune change."""
        there = {row.config["mask"] for row in rows}
        made = []
        for a, b in (("ism", "causal"), ("prefix", "ism")):
            if {a, b} <= there:
                own = ((a, "zero-shot", a), (b, "zero-shot", b))
                made += [_claim(rows, *own, skill) for skill in (*self.skills, ALL)]
        for trained in (mask for mask in SWEPT if mask in there):
            others = [mask for mask in SWEPT if mask != trained]
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
        """One picture per stage, all skills together."""
        stages = {"zero-shot": "weights as they are", "tuned": f"after {rows[0].config['tune']} steps more under it"}
        label = f"{self.pooled} exactly right under each mask"
        return {
            stage: interval_figure(by_training(rows, stage), x_label=f"{label}, {how}") for stage, how in stages.items()
        }


Cell = tuple[str, str, str]
"""The mask of the training, the stage, and the mask that the weights run under."""


def _claim(rows: list[Row], a: Cell, b: Cell, skill: str = ALL) -> Claim:
    def words(cell: Cell) -> str:
        trained, stage, mask = cell
        return f"{trained} under {mask}" + (", tuned" if stage == "tuned" else "")

    def found(cell: Cell) -> dict[Any, float]:
        trained, stage, mask = cell
        return by_seed((row for row in rows if row.config["mask"] == trained), _value(key(stage, mask, skill)))

    of = "" if skill == ALL else f"{skill}: "
    return Claim(f"{of}{words(a)} - {words(b)}", paired_difference(found(a), found(b)))


def _value(name: str) -> Callable[[Row], float]:
    return lambda row: float(row.result[name])
