"""Reading the rows of ``regression-...``: errors of trained transformers on in-context regression.

Errors are multiples of ridge regression's, each mask at its own best learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import cast

from mini_ism.results.grouping import at_best_rate, by_seed
from mini_ism.results.intervals import Claim, Drawn, Interval, mean_interval, paired_difference
from mini_ism.results.rows import SWEPT, Row

SETTING = ("layers", "mask")
Group = tuple[int, str]
"""Layers and mask."""

PAIRS = (("causal", "ism"), ("ism", "prefix"), ("causal", "prefix"))


def value(row: Row, name: str, turn: int | None = None) -> float:
    """A number of a row, to three digits: masks that compute the same thing differ in later ones, through rounding.

    Args:
        row: of a sweep.
        name: ``"error"``, ``"validation"``, ``"half"`` or ``"whole"``; ``"turns"`` with a turn.
        turn: counted from 0.

    Returns:
        The number; infinity if the run diverged.
    """
    number = row.result[name] if turn is None else row.result[name][turn]
    return math.inf if number is None else round(number, 3)


def error(row: Row, turn: int | None = None) -> float:
    """The error of a run on the questions of a turn, counted from 0, or on all questions."""
    return value(row, "error") if turn is None else value(row, "turns", turn)


def mean_error(runs: Iterable[Row], turn: int | None = None) -> Interval:
    """The mean error of runs and its interval, on the questions of a turn, counted from 0, or on all questions."""
    return mean_interval(error(row, turn) for row in runs)


def best(rows: Iterable[Row]) -> dict[Group, list[Row]]:
    """Rows by layers and mask, each group at the rate that is best on validation draws."""
    chosen = cast(
        dict[Group, list[Row]], at_best_rate(rows, SETTING, lambda row: row.result["validation"], lowest=True)
    )
    return dict(sorted(chosen.items(), key=lambda item: (item[0][0], SWEPT.index(item[0][1]))))


def differences(rows: Sequence[Row]) -> list[tuple[int, str, str, Interval, bool]]:
    """Layers, the two masks, the turns, the paired difference, and whether the masks' own intervals are apart."""
    chosen, found = best(rows), []
    for depth in sorted({row.config["layers"] for row in rows}):
        for a, b in PAIRS:
            if (depth, a) not in chosen or (depth, b) not in chosen:
                continue
            one, other = chosen[depth, a], chosen[depth, b]
            turns = range(len(one[0].result["turns"])) if (a, b) == PAIRS[0] else ()
            for turn in (None, *turns):
                of_turn: Callable[[Row], float] = partial(error, turn=turn)
                apart = mean_error(one, turn).apart(mean_error(other, turn))
                pair = paired_difference(by_seed(one, of_turn), by_seed(other, of_turn))
                found.append((depth, f"{a} - {b}", _turns(turn), pair, apart))
    return found


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Each difference of errors, by depth and turn."""
    return [Claim(f"error, {pair}, {_place(depth, turn)}", d) for depth, pair, turn, d, _ in differences(rows)]


def by_setting(rows: Sequence[Row]) -> dict[str, dict[str, Drawn]]:
    """Errors by depth, turn and mask, for :func:`~mini_ism.views.interval_figure`.

    From two layers on: one layer, where no mask can matter, errs far more than the others.
    """
    groups: dict[str, dict[str, Drawn]] = {}
    for (depth, mask), runs in best(rows).items():
        for turn in (None, *range(len(runs[0].result["turns"]))) if depth > 1 else ():
            groups.setdefault(_place(depth, _turns(turn)), {})[mask] = mean_error(runs, turn).drawn
    return groups


def _turns(turn: int | None) -> str:
    """A turn, counted from 0, in words."""
    return "all" if turn is None else str(turn + 1)


def _place(depth: int, turn: str) -> str:
    """What an error is of, in words."""
    return f"{depth} layer{'s' * (depth > 1)}, {'all turns' if turn == 'all' else f'turn {turn}'}"
