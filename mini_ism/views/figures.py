"""The pictures for paper: matplotlib figures that carry their text alternative and do not depend on a page's theme."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.patches import Patch, Rectangle
from PIL import Image

from mini_ism.cost import TurnCost
from mini_ism.svg import LIGHT
from mini_ism.views.axes import shown_labels
from mini_ism.views.cache_looks import shown_looks
from mini_ism.views.mask_map import reach
from mini_ism.views.picture import bundle
from mini_ism.views.timeline import Frame, State

HATCHES: dict[State, str] = {
    "waiting": "",
    "reused": "",
    "computed": "////",
    "decoded": "..",
    "discarded": "xx",
    "stale": "oo",
}
BARS = (("#0072b2", ""), ("#d55e00", "//"), ("#009e73", ".."), ("#cc79a7", "xx"), ("#f0e442", "oo"))
"""Colour and hatch of each mask's bars."""
MOST_CELLS = 150
"""Tokens whose cells are drawn one by one; more are too narrow to be told apart, and take seconds to draw."""


class Figure(MatplotlibFigure):
    """A figure with its text alternative; a notebook keeps both."""

    alt: str = ""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return bundle(self.alt, png_bytes(self))


def png_bytes(figure: MatplotlibFigure, dpi: int = 110) -> bytes:
    """A figure as a PNG file, the same bytes for the same figure; opaque, so that no room goes to transparency."""
    drawn, file = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi, facecolor="white", pil_kwargs={"compress_level": 0})
    Image.open(drawn).convert("RGB").save(file, "PNG", dpi=(dpi, dpi))
    return file.getvalue()


def mask_figure(
    masks: Mapping[str, Any],
    labels: Sequence[str],
    roles: Sequence[str],
    ids: Sequence[int],
    *,
    row: int | None = None,
    staircase: bool = False,
) -> Figure:
    """One mask or several, side by side, over one dialogue.

    Args:
        masks: a title and a bool matrix ``[T, T]`` each.
        labels: what to call each position; see :func:`~mini_ism.views.mask_map.mask_map` for this and the next two.
        roles: of the positions.
        ids: the segment of each position.
        row: a position to point out.
        staircase: draw how far each row reaches.
    """
    total, panels = len(labels), len(masks)
    side = 5.2 if panels == 1 else 3.3
    figure = Figure(figsize=(side * panels + 1.1, side + 1.5), layout="constrained")
    colours = ListedColormap([LIGHT["hidden"], LIGHT["back"], LIGHT["ahead"]])
    said = []
    for number, (title, matrix) in enumerate(masks.items()):
        allowed = np.asarray(matrix, dtype=bool)
        kinds = np.tril(allowed) + 2 * np.triu(allowed, 1)  # [T, T]: 0 hidden, 1 back, 2 ahead
        axes = figure.add_subplot(1, panels, number + 1)
        axes.imshow(kinds, cmap=colours, vmin=0, vmax=2, interpolation="nearest")
        label_axes(axes, labels, roles, ids, row, cell=side * 72 / total, rows=number == 0)
        if staircase:
            axes.stairs(
                reach(allowed) - 0.5, np.arange(total + 1) - 0.5, orientation="horizontal", color="#333", lw=1.6
            )
        axes.set_title(title, fontsize=12)
        said.append(f"{title}: {int(allowed.sum())} visible pairs, {int(np.triu(allowed, 1).sum())} of them look ahead")
    swatches = {"reads back": "back", "looks ahead": "ahead", "hidden": "hidden"}
    handles = [Patch(facecolor=LIGHT[c], edgecolor="#777", linewidth=0.5, label=t) for t, c in swatches.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    figure.alt = f"Attention masks over {total} tokens. " + "; ".join(said) + "."
    return figure


def label_axes(
    axes: Axes,
    labels: Sequence[str],
    roles: Sequence[str],
    ids: Sequence[int],
    row: int | None,
    *,
    cell: float,
    rows: bool = True,
) -> None:
    """Write the tokens along both sides of a picture of a matrix ``[T, T]``, with lines between segments.

    Args:
        axes: holds the picture already.
        labels: what to call each position; see :func:`~mini_ism.views.mask_map.mask_map` for this and the next three.
        roles: of the positions.
        ids: the segment of each position.
        row: a position to frame.
        cell: the side of a cell in points, which says how many labels there is room for.
        rows: name the rows, too; the second of two pictures side by side need not.
    """
    total = len(labels)
    cuts = [i - 0.5 for i in range(1, total) if ids[i] != ids[i - 1]]
    axes.hlines(cuts, -0.5, total - 0.5, colors="white", linewidth=1)
    axes.vlines(cuts, -0.5, total - 0.5, colors="white", linewidth=1)
    ticks = shown_labels(total, cell, row)
    names = [labels[i] if len(labels[i]) <= 12 else labels[i][:11] + "…" for i in ticks]
    names = [name.replace("$", r"\$") for name in names]  # no mathematics in tokens
    axes.set_xticks(ticks, names, rotation=90, fontsize=9)
    axes.set_yticks(ticks, names if rows else [], fontsize=9)
    for texts in (axes.get_xticklabels(), axes.get_yticklabels()):
        for tick, text in zip(ticks, texts, strict=False):
            text.set_color(LIGHT[roles[tick]])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if row is not None:
        axes.add_patch(Rectangle((-0.5, row - 0.5), total, 1, fill=False, edgecolor="black", linewidth=1.5))


def label_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a picture whose rows stand below each other, with a line between any two.

    Args:
        axes: the nth row, from 0, lies at the height n.
        names: from above.
    """
    for y in range(len(names) - 1):
        axes.axhline(y + 0.5, color="#e5e5e5", linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(names)), names, fontsize=10)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def turn_cost_figure(lanes: Mapping[str, Sequence[TurnCost]]) -> Figure:
    """Tokens computed in each turn, a bar for each mask.

    Args:
        lanes: a name and its turns each, from :func:`~mini_ism.cost.turn_costs`.
    """
    figure = Figure(figsize=(6.6, 3.2), layout="constrained")
    axes = figure.add_subplot()
    turns = sorted({cost.turn for costs in lanes.values() for cost in costs})
    wide = 0.8 / max(len(lanes), 1)
    said = []
    for number, (name, costs) in enumerate(lanes.items()):
        fill, hatch = BARS[number % len(BARS)]
        x = [cost.turn + (number - (len(lanes) - 1) / 2) * wide for cost in costs]
        y = [cost.computed for cost in costs]
        bars = axes.bar(x, y, wide * 0.92, label=name, color=fill, hatch=hatch, edgecolor="white", linewidth=0)
        axes.bar_label(bars, fontsize=9, padding=1)
        said.append(f"{name} {', '.join(map(str, y))}")
    axes.set_xticks(turns, [f"turn {turn}" for turn in turns], fontsize=10)
    axes.set_ylabel("tokens computed", fontsize=10)
    axes.margins(y=0.15)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, fontsize=10)
    figure.alt = f"Tokens computed in turns {', '.join(map(str, turns))}: " + "; ".join(said) + "."
    return figure


def _look(state: State) -> dict[str, Any]:
    """A state's colours and hatch; a hatch has the colour of its edge."""
    inks: dict[State, str] = {"discarded": LIGHT["discarded"], "decoded": "#ffffff"}
    return {
        "facecolor": "white" if state in ("waiting", "discarded") else LIGHT[state],
        "edgecolor": inks.get(state, "#555555"),
        "hatch": HATCHES[state],
        "linewidth": 0.4,
    }


def _cells(states: Sequence[State], *, apart: bool) -> Iterator[tuple[int, int, State]]:
    """Where each cell begins, how wide it is, and its state; if not ``apart``, equal neighbours are one cell."""
    start = 0
    for state, run in groupby(states):
        length = len(list(run))
        width = 1 if apart else length
        yield from ((start + at, width, state) for at in range(0, length, width))
        start += length


def cache_figure(frame: Frame, labels: Sequence[str], roles: Sequence[str]) -> Figure:
    """One step of the cache film, as :func:`~mini_ism.views.cache_strip.cache_strip` draws it."""
    total = max(len(lane.states) for lane in frame.lanes.values())
    figure = Figure(figsize=(9.2, 0.62 * len(frame.lanes) + 1.7), layout="constrained")
    axes = figure.add_subplot()
    for y, lane in enumerate(frame.lanes.values()):
        for x, width, state in _cells(lane.states, apart=total <= MOST_CELLS):
            axes.add_patch(Rectangle((x, y + 0.14), width, 0.72, **_look(state)))
        axes.text(total + 0.6, y + 0.5, f"{lane.computed} computed", va="center", fontsize=10)
    axes.set(xlim=(-0.1, total + 0.1), ylim=(len(frame.lanes), 0))
    axes.set_yticks([y + 0.5 for y in range(len(frame.lanes))], list(frame.lanes), fontsize=11)
    ticks = [i for i in shown_labels(total, 7.4 * 72 / max(total, 1), None) if i < len(labels)]
    axes.set_xticks(
        [i + 0.5 for i in ticks],
        [labels[i].replace("$", r"\$") for i in ticks],
        rotation=90,
        fontsize=9,
    )
    for tick, text in zip(ticks, axes.get_xticklabels(), strict=True):
        text.set_color(LIGHT[roles[tick]])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    handles = [Patch(label=text, **_look(state)) for state, text in shown_looks(frame).items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    figure.alt = frame.describe()
    return figure
