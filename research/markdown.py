"""Markdown for the report: tables, comparisons, learning rates, pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mini_ism.results import Claim, Interval, Row, grouped, mean_interval
from mini_ism.views import Table


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, its first column aligned to the left and all others to the right."""
    return Table(header, list(rows)).markdown()


def claims_table(claims: Iterable[Claim], show: Callable[[Interval], str]) -> str:
    """Comparisons: from how many pairs, what was found, and the verdict; empty if there are none.

    Args:
        claims: the comparisons.
        show: writes a difference in its unit.
    """
    lines = [(c.text, str(c.difference.count), show(c.difference), c.difference.verdict) for c in claims]
    return markdown_table(("difference", "pairs", "mean and interval", "so it is"), lines) if lines else ""


def rates_table(
    rows: Iterable[Row],
    setting: Sequence[str],
    best: Mapping[Any, Sequence[Row]],
    score: Callable[[Row], float],
    *,
    what: str,
    show: Callable[[float], str],
) -> str:
    """Mean scores at every learning rate, under a sentence that says how each group's rate was chosen.

    Args:
        rows: of a sweep.
        setting: the keys of a row's config that make a group.
        best: rows at the chosen rate, by group, as :func:`~mini_ism.results.at_best_rate` finds them.
        score: of a row, ``math.inf`` if the run diverged.
        what: the name of the score, in words.
        show: writes a mean in its unit.
    """
    rows = list(rows)
    tried, rates = grouped(rows, (*setting, "lr")), sorted({row.config["lr"] for row in rows})
    lines = []
    for group, chosen in best.items():
        cells = []
        for rate in rates:
            same = tried.get((*group, rate), [])
            star = "\\*" if rate == chosen[0].config["lr"] else ""
            mean = mean_interval(map(score, same)).mean if same else math.nan
            cells.append(f"{show(mean) if mean < math.inf else 'diverged'} ({len(same)}){star}" if same else "")
        lines.append((*setting_cells(group), *cells))
    return (
        f"{what} at every rate (in brackets the seeds; \\* chosen, on the seeds that all have, and of those with more "
        f"again on theirs; *diverged* if one did):\n\n"
        f"{markdown_table((*setting, *(f'{rate:g}' for rate in rates)), lines)}"
    )


def setting_cells(group: Iterable[Any]) -> tuple[str, ...]:
    """A group's values as cells of a table."""
    return tuple(f"{value:,}" if isinstance(value, int) else str(value) for value in group)


def markdown_picture(file: str, alt: str) -> str:
    """A picture; its alt text may contain any characters."""
    text = " ".join(alt.split()).replace("[", "(").replace("]", ")")
    return f"![{text}]({file})\n"
