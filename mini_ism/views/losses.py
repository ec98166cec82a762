"""Losses of a few runs, step by step, in one panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mini_ism.views.figures import Figure, hide_frame, own_style
from mini_ism.views.styles import line_width, plot_style, run_styles


@own_style
def loss_figure(losses: Mapping[str, Sequence[float]], *, start: float | None = None, called: str = "start") -> Figure:
    """A line for each run.

    Args:
        losses: of each step, by the run's name.
        start: a reference loss, drawn as a dashed line; default, none.
        called: the label of the dashed line.
    """
    figure = Figure(figsize=(6.4, 3), layout="constrained")
    axes = figure.subplots()
    for number, (name, style) in enumerate(zip(losses, run_styles(list(losses)), strict=True)):
        steps = range(1, len(losses[name]) + 1)
        look: dict[str, Any] = {**plot_style(style), "marker": "", "linewidth": line_width(number)}
        axes.plot(steps, losses[name], **look, label=name)
    if start is not None:
        axes.axhline(start, color="#616161", linestyle="--", linewidth=1, label=called)
    axes.set(xlabel="step", ylabel="loss per target token")
    axes.set_ylim(bottom=0)
    hide_frame(axes)
    if losses:
        figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=10)
    facts = [f"{name} from {each[0]:.2f} to {each[-1]:.2f}" for name, each in losses.items() if each]
    dashed = "" if start is None else f" Dashed: {called}, {start:.2f}."
    figure.alt = f"Loss step by step: {', '.join(facts) or 'nothing yet'}.{dashed}"
    return figure
