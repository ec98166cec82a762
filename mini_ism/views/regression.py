"""Pictures of in-context regression: errors with bands, and the path of weights through a plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mini_ism.views.figures import Figure, hide_frame, own_style
from mini_ism.views.styles import BARS

COLOURS = (*(colour for colour, _ in BARS[:4]), "#222222")
STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
"""Each curve's colour and line style, so that none relies on colour alone."""


@own_style
def error_figure(
    curves: Mapping[str, Any],
    x: Sequence[float],
    *,
    x_label: str,
    y_label: str = "squared error of the prediction",
    ends: Mapping[str, float] | None = None,
    log: bool = True,
) -> Figure:
    """Errors along layers or turns: the mean of several draws, and the band in which 95% of the draws lie.

    Args:
        curves: for each name, an array ``[len(x), draws]``.
        x: the layers, turns, ...
        x_label: the label of the x axis.
        y_label: the label of the y axis: what the error is of.
        ends: for some curves, their limit; a tick at the right margin.
        log: draw errors on a logarithmic axis.

    Raises:
        ValueError: a curve's shape does not fit ``x``.
    """
    figure = Figure(figsize=(6.8, 3.8), layout="constrained")
    axes = figure.add_subplot()
    facts = []
    for number, (name, errors) in enumerate(curves.items()):
        values = np.asarray(errors, dtype=float)
        if values.ndim != 2 or len(values) != len(x):
            raise ValueError(f"curve {name!r} has shape {values.shape}, but x has {len(x)} places: give [x, draws]")
        colour, mean = COLOURS[number % len(COLOURS)], values.mean(1)
        low, high = np.quantile(values, (0.025, 0.975), axis=1)
        axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(x, mean, color=colour, linestyle=STYLES[number % len(STYLES)], linewidth=1.8, label=name)
        facts.append(f"{name} {mean[0]:.3g} to {mean[-1]:.3g}")
        if ends and name in ends:
            axes.plot(1, ends[name], "<", color=colour, transform=axes.get_yaxis_transform(), clip_on=False)
            facts[-1] += f" (in the end {ends[name]:.3g})"
    if log:
        axes.set_yscale("log")
    if len(x) <= 12:
        axes.set_xticks(x)
    axes.set_xlabel(x_label, fontsize=10)
    axes.set_ylabel(y_label, fontsize=10)
    hide_frame(axes)
    figure.legend(loc="outside upper center", ncols=min(len(curves), 5), frameon=False, fontsize=9)
    figure.alt = f"{y_label.capitalize()}, {x_label} {x[0]:g} to {x[-1]:g}, mean over draws: {'; '.join(facts)}."
    return figure


@own_style
def path_figure(
    paths: Mapping[str, Any],
    x: Any,
    y: Sequence[float],
    target: Sequence[float],
    *,
    reach: float = 1.6,
) -> Figure:
    """The paths of weights in the plane, a panel for each.

    Each example is a line: the weights that explain it, ``{w: <x_j, w> = y_j}``.

    Args:
        paths: for each name, an array ``[steps, 2]``.
        x: inputs ``[n, 2]``.
        y: labels ``[n]``.
        target: the weights ``[2]`` that generated the labels.
        reach: how far the panels extend around the midpoint between 0 and the target.
    """
    figure = Figure(figsize=(max(3.1 * len(paths) + 0.2, 4.2), 3.6), layout="constrained")
    lines, goal = np.asarray(x, dtype=float), np.asarray(target, dtype=float)
    facts = []
    for number, (name, steps) in enumerate(paths.items()):
        axes = figure.add_subplot(1, len(paths), number + 1)
        path = np.asarray(steps, dtype=float)
        for j, (direction, label) in enumerate(zip(lines, y, strict=True), start=1):
            foot = direction * label / (direction @ direction)  # the point of the line nearest to 0
            along = np.array([-direction[1], direction[0]]) / np.linalg.norm(direction)
            ends = np.stack([foot - 9 * along, foot + 9 * along])
            axes.plot(*ends.T, color="#999999", linewidth=0.9, zorder=1, label="an example" if j == 1 else None)
        axes.plot(*path.T, color=COLOURS[0], marker="o", markersize=3.5, linewidth=1.4, zorder=3, label="the weights")
        axes.plot(*goal, marker="*", markersize=13, color=COLOURS[1], linestyle="none", zorder=4, label="the answer")
        middle = goal / 2
        axes.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach))
        axes.set_aspect("equal")
        axes.tick_params(labelsize=8)
        axes.set_title(name, fontsize=11)
        off, count = float(np.linalg.norm(path[-1] - goal)), len(path) - 1
        place = "at the answer" if off < 0.005 else f"{off:.2f} from the answer"
        facts.append(f"{name}: {count} step{'s' if count != 1 else ''}, ending {place}")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.alt = f"The way of the weights in the plane, with {len(lines)} examples. " + "; ".join(facts) + "."
    return figure
