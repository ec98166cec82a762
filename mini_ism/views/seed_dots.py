"""One dot per run: the result of each seed, or each repeat, in columns side by side, with a line at the mean."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from mini_ism.views.figures import Figure, hide_frame, own_style
from mini_ism.views.styles import plot_style, run_styles

SPREAD = 0.3
"""Largest spread of a column's dots; a column is 1 wide."""


@own_style
def seed_dots_figure(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    y_label: str,
    share: bool = True,
    reference: tuple[float, str] | None = None,
    notes: Mapping[str, Mapping[str, str]] | None = None,
) -> Figure:
    """Dots in columns: where runs fall into two clusters, a mean with an interval would hide it.

    Args:
        panels: by title, from left to right; in each, the values of the runs by their reader's name.
        y_label: what is measured.
        share: it is a share: the axis goes from 0 to 1.
        reference: a value to compare with and its name, a line across all panels.
        notes: a second line under a reader's name, by panel and name.

    Raises:
        ValueError: there is no panel, or one without runs.
    """
    if not panels or not all(columns and all(columns.values()) for columns in panels.values()):
        raise ValueError("there is nothing to draw: give at least one panel, and a run to each of its readers")
    names = list(dict.fromkeys(chain.from_iterable(panels.values())))
    styles = {name: plot_style(style) for name, style in zip(names, run_styles(names), strict=True)}
    widths = [max(len(columns), 2) for columns in panels.values()]
    figure = Figure(figsize=(1.6 + 0.62 * sum(widths), 3.7), layout="constrained")
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False, width_ratios=widths)[0]
    for axes, (title, columns) in zip(grid, panels.items(), strict=True):
        for at, (name, values) in enumerate(columns.items()):
            places = at + SPREAD * (np.linspace(-0.5, 0.5, len(values)) if len(values) > 1 else np.zeros(1))
            style = {**styles[name], "linestyle": ""}
            axes.plot(places, values, **style, markersize=5, alpha=0.75, clip_on=False)
            axes.hlines(statistics.fmean(values), at - SPREAD, at + SPREAD, color=styles[name]["color"], linewidth=2)
        below = (notes or {}).get(title, {})
        labels = [f"{name}\n{below[name]}" if name in below else name for name in columns]
        axes.set_xticks(range(len(columns)), labels, rotation=35, ha="right", rotation_mode="anchor", fontsize=9)
        axes.set_xlim(-0.6, len(columns) - 0.4)
        axes.set_title(title, fontsize=10)
        if reference is not None:
            axes.axhline(reference[0], color="#555555", linewidth=1, zorder=0)
        hide_frame(axes)
    if reference is not None:
        grid[0].annotate(
            reference[1], (0, reference[0]), (2, 3), grid[0].get_yaxis_transform(), "offset points", fontsize=8
        )
    grid[0].set_ylabel(y_label, fontsize=10)
    grid[0].set_ylim(0, 1.02 if share else None)
    if share:
        grid[0].yaxis.set_major_formatter("{x:.0%}")
    means = "; ".join(
        f"{title}: " + ", ".join(f"{name} {_number(statistics.fmean(values), share)}" for name, values in runs.items())
        for title, runs in panels.items()
    )
    figure.alt = f"{y_label[:1].upper()}{y_label[1:]}, a dot a run; means of {means}."
    return figure


def _number(value: float, share: bool) -> str:
    return f"{value:.1%}" if share else f"{value:.3g}"
