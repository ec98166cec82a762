"""Tables and pictures of the skills sweeps: by depth, mask and skill, each mask at its own best learning rate."""

from __future__ import annotations

from functools import partial
from typing import Any

from mini_ism.results import Interval, Row, mean_interval
from mini_ism.results.rows import Config
from mini_ism.results.skills import SETTING, Group, best, by_setting, claims, exact, labels
from mini_ism.views import Figure, interval_figure
from research.curves import CURVE_HEADER, CURVE_LEGEND, curve_cells, total_tokens
from research.markdown import claims_table, markdown_table, rates_table


def tables(rows: list[Row]) -> str:
    """The section: exact match and steps to 90% by depth, skill and mask, and the differences between masks."""
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
                rows,
                SETTING,
                chosen,
                partial(exact, held_out="validation"),
                what="All on validation",
                show="{:.1%}".format,
            ),
            claims_table(claims(rows), Interval.percent),
        ]
    )


def _choice(config: Config) -> str:
    """How the dialogues of a step were chosen, if they were."""
    if "drawn" not in config:
        return ""
    return (
        f"After the first fifth of the steps the {config['batch']} are chosen, of {config['drawn']} drawn, for asking "
        "most often about the queue and *reverse*; those that are tested are not. "
    )


def _at(label: str, measured: dict[str, Any]) -> float:
    """The share right at a point of the curve."""
    return float(measured["right"][label])


def _skills(chosen: dict[Group, list[Row]]) -> str:
    lines = []
    for label in labels(row for runs in chosen.values() for row in runs):
        for (layers, mask), runs in chosen.items():
            right = [exact(row, label) for row in runs]
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


def figures(rows: list[Row]) -> dict[str, Figure]:
    """Each skill at each depth."""
    return {"exact": interval_figure(by_setting(rows), x_label="exactly right on test dialogues")}
