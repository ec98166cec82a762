"""What the rows of the skills sweep say: by depth, mask and skill, each mask at its own best learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from mini_ism.experiments.curves import CURVE_HEADER, CURVE_LEGEND, curve_cells, total_tokens
from mini_ism.experiments.report import claims_table, markdown_table, rates_table
from mini_ism.experiments.rows import MASKS, Config, Row
from mini_ism.experiments.statistics import (
    Claim,
    Interval,
    at_best_rate,
    by_seed,
    mean_interval,
    paired_difference,
)
from mini_ism.views import Figure, interval_figure

SETTING = ("layers", "mask")
ALL = "all"
"""All questions together."""
LEAST = 0.005  # of a share: fewer than ten questions of most kinds


def tables(rows: list[Row]) -> str:
    """The section: exact match and steps to 90% by depth, skill and mask, each at its own best rate; what differs."""
    config = rows[0].config
    about = (
        "Small models, trained from scratch on the package's dialogues of the control skills alone "
        f"({config['steps']:,} steps of {config['batch']}, without made-up words; those of persona ask *reverse* too, "
        f"of the queue *neighbour*), tested on the same kind of dialogues of the test split. {_choice(config)}Each "
        "mask has the learning rate, of those below, that was best on validation, all questions together. "
        f"Masks see the same dialogues. *Least*: of the seeds. {CURVE_LEGEND}\n\n"
    )
    chosen = best(rows)
    return "\n".join(
        [
            about + _skills(chosen),
            rates_table(
                rows, SETTING, chosen, _share("validation", ALL), what="All on validation", tell="{:.1%}".format
            ),
            claims_table(claims(rows), Interval.percent),
        ]
    )


def _choice(config: Config) -> str:
    """How the dialogues of a step were chosen, where they were."""
    if "drawn" not in config:
        return ""
    return (
        f"After the first fifth of the steps the {config['batch']} are chosen, of {config['drawn']} drawn, for asking "
        "most often about the queue and *reverse*; those that are tested are not. "
    )


Group = tuple[int, str]
"""Layers and mask."""


def best(rows: Iterable[Row]) -> dict[Group, list[Row]]:
    """Rows by layers and mask, at each one's best rate."""
    chosen = at_best_rate(rows, SETTING, _share("validation", ALL), lowest=False)
    return dict(sorted(chosen.items(), key=lambda item: (item[0][0], MASKS.index(item[0][1]))))


def _share(held_out: str, label: str) -> Callable[[Row], float]:
    return lambda row: float(row.result[held_out][label])


def _at(label: str, measured: dict[str, Any]) -> float:
    """The same of a measurement."""
    return float(measured["right"][label])


def labels(rows: Iterable[Row]) -> list[str]:
    """What all runs have been asked, all questions together last."""
    asked = set.intersection(*(set(row.result["test"]) for row in rows))
    return [*sorted(asked - {ALL}), ALL]


def _skills(chosen: dict[Group, list[Row]]) -> str:
    lines = []
    for label in labels(row for runs in chosen.values() for row in runs):
        for (layers, mask), runs in chosen.items():
            right = [_share("test", label)(row) for row in runs]
            cheapest = min(total_tokens(same) for (depth, _), same in chosen.items() if depth == layers)
            lines.append(
                (
                    label,
                    str(layers),
                    mask,
                    f"{runs[0].config['lr']:g}",
                    str(len(runs)),
                    mean_interval(right).share(),
                    f"{min(right):.1%}",
                    *curve_cells(runs, partial(_at, label), cheapest),
                )
            )
    header = ("skill", "layers", "mask", "best rate", "seeds", "exact", "least", *CURVE_HEADER)
    return markdown_table(header, lines)


def claims(rows: list[Row]) -> list[Claim]:
    """Skill by skill, pairs of masks by seed, at each depth where both have been run."""
    chosen = best(rows)
    found = []
    for layers in dict.fromkeys(layers for layers, _ in chosen):
        for a, b in (("ism", "causal"), ("prefix", "ism")):
            one, other = (chosen.get((layers, mask), []) for mask in (a, b))
            if one and other:
                for label in labels([*one, *other]):
                    value = _share("test", label)
                    difference = paired_difference(by_seed(one, value), by_seed(other, value))
                    found.append(Claim(f"{layers} layers, {label}: {a} - {b}", difference, LEAST))
    return found


def figures(rows: list[Row]) -> dict[str, Figure]:
    """Each skill at each depth."""
    chosen = best(rows)
    groups = {
        f"{label}, {layers} layers": {
            mask: mean_interval(map(_share("test", label), runs)).drawn
            for (depth, mask), runs in chosen.items()
            if depth == layers
        }
        for label in labels(rows)
        for layers in dict.fromkeys(layers for layers, _ in chosen)
    }
    return {"exact": interval_figure(groups, x_label="exactly right on test dialogues")}
