"""The pictures for print: matplotlib figures that carry their text alternative and do not depend on a page's theme."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context, style
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.patches import Patch, Rectangle
from matplotlib.text import Text
from PIL import Image

from mini_ism.trace import TurnCost
from mini_ism.views.axes import check_position, fit_labels, reach, short_label
from mini_ism.views.cache_styles import HATCHES, shown_styles
from mini_ism.views.dialogue_view import TokenizedDialogue
from mini_ism.views.picture import Bundle, bundle
from mini_ism.views.styles import BARS, LIGHT
from mini_ism.views.svg import stretches
from mini_ism.views.timeline import Frame, State

MOST_CELLS = 150
"""Most tokens whose cells are drawn one by one; more would be too narrow to tell apart, and take seconds to draw."""

LEGEND_COLUMNS = 5
"""How many legend entries fit side by side below a film's picture."""

LABEL_POINTS = 9.0
"""Font size of a token beside a picture, where there is room."""


own_style = style.context(["default", {"text.parse_math": False}])
"""Decorates whatever draws a figure: matplotlib's default style, regardless of what the reader's notebook has set.

Colours here are chosen for a white background and sizes for these pictures. Labels are never parsed as TeX or
mathematics: a token, or a reader's mask or model, may be called ``$``.
"""


class Figure(MatplotlibFigure):
    """A figure with its text alternative; a notebook keeps both."""

    alt: str = ""

    @own_style
    def draw(self, renderer: RendererBase) -> None:
        """Draw it; ticks are only created at this point."""
        # With equal-sided cells, the layout leaves too little room for titles until it has been computed once.
        if (layout := self.get_layout_engine()) is not None:
            layout.execute(self)
        super().draw(renderer)

    def savefig(self, fname: Any, **options: Any) -> None:
        """Save it, as matplotlib does; with its own background colour, unless ``options`` set another."""
        with rc_context({"savefig.facecolor": "auto"}):
            super().savefig(fname, **options)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        return bundle(self.alt, png_bytes(self))


def png_bytes(figure: MatplotlibFigure, dpi: int = 110) -> bytes:
    """A figure as a PNG file, the same bytes for the same figure; opaque, so that no bytes go to an alpha channel."""
    drawn, file = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi, facecolor="white", pil_kwargs={"compress_level": 0})
    Image.open(drawn).convert("RGB").save(file, "PNG", dpi=(dpi, dpi))
    return file.getvalue()


@own_style
def mask_figure(
    masks: Mapping[str, Any] | Any,
    dialogue: TokenizedDialogue,
    *,
    row: int | None = None,
    staircase: bool = False,
    width: float | None = None,
) -> Figure:
    """One mask or several, side by side, over one dialogue.

    Args:
        masks: a bool matrix ``[T, T]`` for each title, or one matrix.
        dialogue: its tokens, from :func:`~mini_ism.views.dialogue_view.tokenized`.
        row: a position to point out.
        staircase: draw how far each row reaches, if it sees everything before that.
        width: of the figure, in inches; default, wide enough for its maps to be legible.

    Raises:
        ValueError: a matrix does not fit the dialogue, or ``row`` is not a position.
    """
    masks = masks if isinstance(masks, Mapping) else {"mask": masks}
    total, panels = len(dialogue), len(masks)
    side = (5.2 if panels == 1 else 3.3) if width is None else (width - 1.1) / panels
    figure = Figure(figsize=(side * panels + 1.1, side + 1.5), layout="constrained")
    facts = []
    for number, (title, matrix) in enumerate(masks.items()):
        allowed = np.asarray(matrix, dtype=bool)
        if allowed.shape != (total, total):
            raise ValueError(f"{title!r} has shape {allowed.shape}, but the dialogue has {total} tokens")
        axes = figure.add_subplot(1, panels, number + 1)
        facts.append(draw_mask(axes, title, allowed, fontsize=12))
        label_axes(axes, dialogue, row, cell=side * 72 / total, rows=number == 0)
        if staircase and (ends := reach(allowed)).any():
            axes.stairs(
                np.where(ends, ends - 0.5, np.nan),
                np.arange(total + 1) - 0.5,
                baseline=None,
                orientation="horizontal",
                color="#333",
                lw=1.6,
            )
    mask_legend(figure)
    figure.alt = f"Attention masks over {total} tokens. {'; '.join(facts)}."
    return figure


def draw_mask(axes: Axes, title: str, allowed: np.ndarray, *, fontsize: float) -> str:
    """Draw a mask's cells under its title, and return in words how many pairs it lets see each other.

    Args:
        axes: empty.
        title: the mask's name.
        allowed: bool ``[T, T]``, True = may attend.
        fontsize: of the title, in points.
    """
    kinds = np.tril(allowed) + 2 * np.triu(allowed, 1)  # [T, T]: 0 hidden, 1 back, 2 ahead
    colours = ListedColormap([LIGHT["hidden"], LIGHT["back"], LIGHT["ahead"]])
    axes.imshow(kinds, cmap=colours, vmin=0, vmax=2, interpolation="nearest")
    axes.set_title(title, fontsize=fontsize)
    return f"{title}: {int(allowed.sum())} visible pairs, {int(np.triu(allowed, 1).sum())} of them look ahead"


def mask_legend(figure: MatplotlibFigure) -> None:
    """Say below the pictures of masks what their colours mean."""
    swatches = {"reads back": "back", "looks ahead": "ahead", "hidden": "hidden"}
    handles = [Patch(facecolor=LIGHT[c], edgecolor="#777", linewidth=0.5, label=t) for t, c in swatches.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=10)


def label_axes(axes: Axes, dialogue: TokenizedDialogue, row: int | None, *, cell: float, rows: bool = True) -> None:
    """Write the tokens along both sides of a picture of a matrix ``[T, T]``, with lines between segments.

    Args:
        axes: holds the picture already.
        dialogue: its tokens.
        row: a position to frame.
        cell: the side of a cell in points, which limits how many labels fit.
        rows: label the rows, too; the second of two pictures side by side need not.
    """
    total = len(dialogue)
    check_position(row, total)
    cuts = [start - 0.5 for start, _ in stretches(dialogue.ids)[1:]]
    axes.hlines(cuts, -0.5, total - 0.5, colors="white", linewidth=1)
    axes.vlines(cuts, -0.5, total - 0.5, colors="white", linewidth=1)
    ticks, size = fit_labels(total, cell, row, LABEL_POINTS)
    names = [short_label(dialogue.labels[i]) for i in ticks]
    axes.set_xticks(ticks, names, rotation=90, fontsize=size)
    axes.set_yticks(ticks, names if rows else [], fontsize=size)
    for texts in (axes.get_xticklabels(), axes.get_yticklabels()):
        colour_labels(texts, dialogue, ticks)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if row is not None:
        axes.add_patch(Rectangle((-0.5, row - 0.5), total, 1, fill=False, edgecolor="black", linewidth=1.5))


def colour_labels(texts: Sequence[Text], dialogue: TokenizedDialogue, positions: Sequence[int]) -> None:
    """Give the labels of some positions their roles' colours."""
    for position, text in zip(positions, texts, strict=False):
        text.set_color(LIGHT[dialogue.roles[position]])


def hide_frame(axes: Axes) -> None:
    """Leave only the left and bottom axis lines."""
    axes.spines[["top", "right"]].set_visible(False)


def label_rows(axes: Axes, names: Sequence[str]) -> None:
    """Label the rows of a picture, with a line between adjacent rows.

    Args:
        axes: the nth row, from 0, is at height n.
        names: from top to bottom.
    """
    for y in range(len(names) - 1):
        axes.axhline(y + 0.5, color="#e5e5e5", linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(names)), names, fontsize=10)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


@own_style
def turn_cost_figure(lanes: Mapping[str, Sequence[TurnCost]]) -> Figure:
    """Tokens computed in each turn, a bar for each mask.

    Args:
        lanes: for each name its turns, from :func:`~mini_ism.trace.turn_costs`.
    """
    figure = Figure(figsize=(6.6, 3.2), layout="constrained")
    figure.alt = draw_turn_costs(figure.add_subplot(), lanes)
    return figure


def draw_turn_costs(axes: Axes, lanes: Mapping[str, Sequence[TurnCost]]) -> str:
    """Draw the bars of :func:`turn_cost_figure` on empty axes, and return in words what they show."""
    turns = sorted({cost.turn for costs in lanes.values() for cost in costs})
    wide = 0.8 / max(len(lanes), 1)
    facts = []
    for number, (name, costs) in enumerate(lanes.items()):
        fill, hatch = BARS[number % len(BARS)]
        x = [cost.turn + (number - (len(lanes) - 1) / 2) * wide for cost in costs]
        y = [cost.computed for cost in costs]
        bars = axes.bar(x, y, wide * 0.92, label=name, color=fill, hatch=hatch, edgecolor="white", linewidth=0)
        axes.bar_label(bars, fontsize=9, padding=1)
        facts.append(f"{name} {', '.join(map(str, y))}")
    axes.set_xticks(turns, [f"turn {turn}" for turn in turns], fontsize=10)
    axes.set_ylabel("tokens computed", fontsize=10)
    axes.margins(y=0.15)
    hide_frame(axes)
    axes.legend(frameon=False, fontsize=10)
    return f"Tokens computed in turns {', '.join(map(str, turns))}: " + "; ".join(facts) + "."


def _style(state: State) -> dict[str, Any]:
    """A state's colours and hatch; a hatch has the colour of its edge."""
    inks: dict[State, str] = {"discarded": LIGHT["discarded"], "decoded": "#ffffff"}
    return {
        "facecolor": "white" if state in ("waiting", "discarded") else LIGHT[state],
        "edgecolor": inks.get(state, "#555555"),
        "hatch": HATCHES[state],
        "linewidth": 0.4,
    }


@own_style
def cache_figure(frame: Frame, dialogue: TokenizedDialogue) -> Figure:
    """One step of the cache film, as :func:`~mini_ism.views.cache_strip.cache_strip` draws it.

    Args:
        frame: the step, from :func:`~mini_ism.views.timeline.frames`.
        dialogue: its tokens; if there are fewer of them than positions, the rest have no label.
    """
    total = max(len(lane.states) for lane in frame.lanes.values())
    handles = [Patch(label=text, **_style(state)) for state, text in shown_styles(frame).items()]
    lines = math.ceil(len(handles) / LEGEND_COLUMNS)
    figure = Figure(figsize=(9.2, 0.62 * len(frame.lanes) + 1.5 + 0.2 * lines), layout="constrained")
    axes = figure.add_subplot()
    for y, lane in enumerate(frame.lanes.values()):
        for start, stop in stretches(lane.states):
            step = 1 if total <= MOST_CELLS else stop - start  # equal neighbours are one box where cells are narrow
            for x in range(start, stop, step):
                axes.add_patch(Rectangle((x, y + 0.14), step, 0.72, **_style(lane.states[x])))
        axes.text(total + 0.6, y + 0.5, f"{lane.computed} computed", va="center", fontsize=10)
    axes.set(xlim=(-0.1, total + 0.1), ylim=(len(frame.lanes), 0))
    axes.set_yticks([y + 0.5 for y in range(len(frame.lanes))], list(frame.lanes), fontsize=11)
    positions, size = fit_labels(total, 7.4 * 72 / max(total, 1), None, LABEL_POINTS)
    ticks = [i for i in positions if i < len(dialogue)]
    names = [short_label(dialogue.labels[i]) for i in ticks]
    axes.xaxis.tick_top()
    axes.set_xticks([i + 0.5 for i in ticks], names, rotation=90, fontsize=size)
    colour_labels(axes.get_xticklabels(), dialogue, ticks)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=math.ceil(len(handles) / lines), frameon=False, fontsize=9
    )
    figure.alt = frame.describe()
    return figure
