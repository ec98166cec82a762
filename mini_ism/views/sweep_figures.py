"""What the sweeps found, as pictures: intervals by setting, and runs seed by seed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes

from mini_ism.views.figures import Figure, hide_frame, label_rows, own_style
from mini_ism.views.styles import line_width, marker_size, plot_style, run_styles

Quality = tuple[float, float, float]
"""A mean and the two ends of its interval, which are infinite if there is none (for a single seed, say)."""

Run = Sequence[tuple[float, float]]
"""Points (x, y) of one run."""

LEGEND_LETTERS = 80  # characters per line of a legend, where each symbol takes the room of SIGN_LETTERS
SIGN_LETTERS = 7
MOST_TICKS = 12  # up to so many places on an axis are all labelled
MIDDLES: dict[str, Callable[[Iterable[float]], float]] = {"mean": statistics.fmean, "median": statistics.median}


# -- intervals by setting --------------------------------------------------------------------------


@own_style
def interval_figure(
    groups: Mapping[str, Mapping[str, Quality]],
    *,
    x_label: str,
    share: bool = True,
    reference: tuple[float, str] | None = None,
) -> Figure:
    """A row for each setting, and in it a dot with an interval for each mask.

    The axis begins at 0. An interval that extends beyond the axis is cut off there; an infinite one is not drawn.

    Args:
        groups: for each setting, from top to bottom, the means and intervals by the mask's name. A setting's name may
            have two lines.
        x_label: what is measured.
        share: it is a share: the axis ends at 1, so that no difference is exaggerated.
        reference: a value to compare with and its name, a line across all rows.

    Raises:
        ValueError: there is no setting, or one without masks.
    """
    if not groups or not all(groups.values()):
        raise ValueError("there is nothing to draw: give at least one row, and each row at least one mask")
    styles = _styles(dict.fromkeys(chain.from_iterable(groups.values())), linewidth=1.6, markersize=6)
    lines = 1 + max(setting.count("\n") for setting in groups)
    high = max(0.14 * len(styles) + 0.1, 0.17 * lines + 0.08)  # inches that the dots need, or the name
    figure = Figure(figsize=(6.8, high * len(groups) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    _draw_intervals(axes, groups, styles)
    label_rows(axes, list(groups))
    axes.set_xlim(0, 1 if share else _end(groups, reference))
    axes.set_xlabel(x_label, fontsize=10)
    if share:
        axes.xaxis.set_major_formatter("{x:.0%}")
    if reference is not None:
        axes.axvline(reference[0], color="#555555", linewidth=1, zorder=0)
        top = (reference[0], 1)
        axes.annotate(reference[1], top, (0, 4), axes.get_xaxis_transform(), "offset points", ha="center", fontsize=9)
    _legend(figure, styles)
    facts = []
    for setting, group in groups.items():
        numbers = ", ".join(f"{name} {_with_interval(quality, share)}" for name, quality in group.items())
        facts.append(f"{' '.join(setting.split())}: {numbers}")
    compared = "" if reference is None else f", where {_number(reference[0], share)} is {reference[1]}"
    figure.alt = f"{_sentence(x_label)}, mean and interval{compared}. {'; '.join(facts)}."
    return figure


def _draw_intervals(
    axes: Axes, groups: Mapping[str, Mapping[str, Quality]], styles: Mapping[str, Mapping[str, Any]]
) -> None:
    """Draw each row's masks one below another, each mask at the same place in every row."""
    step = 0.75 / len(styles)
    for number, (name, style) in enumerate(styles.items()):
        axes.plot([], [], **style, label=name)  # for the legend, whether the mask is in one row or in all
        for y, group in enumerate(groups.values()):
            if name in group:
                mean, low, high = group[name]
                height = y + (number - (len(styles) - 1) / 2) * step
                if math.isfinite(high - low):
                    axes.plot([low, high], [height, height], **{**style, "marker": "|"})
                axes.plot(mean, height, **style, clip_on=False)


def _end(groups: Mapping[str, Mapping[str, Quality]], reference: tuple[float, str] | None) -> float:
    """Where an axis ends: beyond all intervals, unless one is so long that it would crowd the means."""
    found = [quality for group in groups.values() for quality in group.values()]
    means = [mean for mean, _, _ in found if math.isfinite(mean)] + ([] if reference is None else [reference[0]])
    highs = [high for _, _, high in found if math.isfinite(high)]
    most = max(means, default=0.0)
    return 1.05 * min(max([most, *highs]), 2 * most) or 1.0


# -- runs, seed by seed ----------------------------------------------------------------------------


@own_style
def seeds_figure(
    curves: Mapping[str, Sequence[Run]],
    *,
    x_label: str,
    y_label: str,
    share: bool = True,
    middle: Literal["mean", "median"] = "mean",
) -> Figure:
    """Each run as a thin line, and the middle of a mask's runs as a thick one.

    Args:
        curves: for each mask, by name, its runs: one per seed, or per repeat.
        x_label: what runs along the axis.
        y_label: what is measured.
        share: it is a share: the axis runs from 0 to 1, else from 0 up, so that no difference is exaggerated.
        middle: how the thick line is computed, wherever all runs of the mask have been measured.

    Raises:
        ValueError: there is no mask, or the runs of one have no x in common.
    """
    if not curves:
        raise ValueError("there is nothing to draw: give at least one mask")
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    facts = []
    for name, style in _layered(curves).items():
        for run in curves[name]:
            thin = {**style, "marker": "", "linewidth": 0.8, "alpha": 0.5}
            axes.plot(*np.asarray(run, dtype=float).T, **thin)
        points = _columns(name, curves[name])
        line = {x: MIDDLES[middle](values) for x, values in points.items()}
        axes.plot([*line], [*line.values()], **style, clip_on=False, label=name)
        ends = dict.fromkeys((min(line), max(line)))
        numbers = ", ".join(
            f"{_with_interval((line[x], min(points[x]), max(points[x])), share)} at {x:,g}" for x in ends
        )
        facts.append(f"{name}, {len(curves[name])} run{'s' * (len(curves[name]) > 1)}: {numbers}")
    places = sorted({x for runs in curves.values() for run in runs for x, _ in run})
    if len(places) <= MOST_TICKS:
        axes.set_xticks(places)
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.set_xlabel(x_label, fontsize=10)
    axes.set_ylabel(y_label, fontsize=10)
    axes.set_ylim(0, 1 if share else None)
    if share:
        axes.yaxis.set_major_formatter("{x:.0%}")
    hide_frame(axes)
    _legend(figure, curves)
    figure.alt = f"{_sentence(y_label)} against {x_label}, {middle} and range of runs. {'; '.join(facts)}."
    return figure


def _columns(name: str, runs: Sequence[Run]) -> dict[float, list[float]]:
    """The values of a mask's runs at each x where all have been measured."""
    by_run = [dict(run) for run in runs]
    shared = sorted(set.intersection(*map(set, by_run))) if by_run else []
    if not shared:
        raise ValueError(f"the runs of {name!r} have no x in common, so that they have no middle")
    return {x: [run[x] for run in by_run] for x in shared}


# -- what they share -------------------------------------------------------------------------------


def _styles(names: Collection[str], **more: Any) -> dict[str, dict[str, Any]]:
    """What ``plot`` takes to draw each mask."""
    return {name: {**plot_style(style), **more} for name, style in zip(names, run_styles(names), strict=True)}


def _layered(names: Collection[str]) -> dict[str, dict[str, Any]]:
    """The same for masks that may overlap: later ones are thinner, and hollow, so that all stay visible."""
    styles = _styles(names)
    for number, style in enumerate(styles.values()):
        style |= {"linewidth": line_width(number), "markersize": marker_size(number)}
        style["markerfacecolor"] = "white" if number else style["color"]
    return styles


def _legend(figure: Figure, names: Collection[str]) -> None:
    """The legend above the picture, in two lines if one is too short."""
    letters = sum(len(name) + SIGN_LETTERS for name in names)
    columns = len(names) if letters <= LEGEND_LETTERS else math.ceil(len(names) / 2)
    figure.legend(loc="outside upper center", ncols=columns, frameon=False, fontsize=10)


def _with_interval(quality: Quality, share: bool) -> str:
    """A mean with its interval, if it has one; a share's interval is clipped to 0..1."""
    mean, low, high = (_number(min(max(value, 0), 1) if share else value, share) for value in quality)
    return f"{mean} ({low} to {high})" if math.isfinite(quality[2] - quality[1]) else mean


def _number(value: float, share: bool) -> str:
    return f"{value:.1%}" if share else f"{value:.3g}"


def _sentence(text: str) -> str:
    """The same text with a capital letter at the start."""
    return text[:1].upper() + text[1:]
