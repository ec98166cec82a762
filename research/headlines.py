"""The three pictures above the fold of RESULTS.md, with a dot for every run."""

from __future__ import annotations

from collections.abc import Callable

from mini_ism.results import SWEPT, costs, regression
from mini_ism.results.price import seed_shares
from mini_ism.views import Figure
from mini_ism.views.seed_dots import seed_dots_figure
from research.price import cost_notes
from research.statements import LAST_TURN, Evidence


def cost(rows: Evidence) -> Figure:
    """The first token of the last turn, and whole turns, in multiples of ISM's, one dot per repeat."""
    talk = costs.part(rows["costs"], costs.CHAT)
    measures = {
        f"first token of turn {LAST_TURN}": costs.of_turn("first_token", LAST_TURN),
        f"all of {LAST_TURN} turns": costs.of_all_turns("seconds"),
    }
    panels = {
        title: {
            mask: [mine / ism for mine, ism in zip(value(talk[mask]), value(talk["ism"]), strict=True)]
            for mask in SWEPT
        }
        for title, value in measures.items()
    }
    return seed_dots_figure(
        panels,
        y_label="seconds / ISM's",
        share=False,
        reference=(1, "as long as ISM"),
    )


def chains(rows: Evidence) -> Figure:
    """First questions about three links, by where the links stand and by reader, one dot per seed, with costs below."""
    return seed_dots_figure(
        seed_shares(rows.chains),
        notes=cost_notes(),
        y_label="first questions right",
        reference=(1 / 3, "a guess"),
    )


def by_turn(rows: Evidence) -> Figure:
    """Errors of two layers of trained linear attention, turn by turn, one dot per seed."""
    best = regression.best(rows["regression-linear"])
    turns = range(len(best[2, "ism"][0].result["turns"]))
    panels = {
        f"turn {turn + 1}": {mask: [regression.error(row, turn) for row in best[2, mask]] for mask in SWEPT}
        for turn in turns
    }
    return seed_dots_figure(
        panels,
        y_label="error / ridge regression's",
        share=False,
        reference=(1, "ridge regression"),
    )


HEADLINES: dict[str, Callable[[Evidence], Figure]] = {"cost": cost, "chains": chains, "regression": by_turn}
"""The pictures by name, in the order of the page."""
