"""Attention for print: matplotlib figures with their text alternatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colorbar import Colorbar
from matplotlib.colors import ListedColormap

from mini_ism.views.attention_colours import DIFFERENCES, TICKS, WEIGHTS, RootScale, coloured
from mini_ism.views.axes import check_position, outline_lines
from mini_ism.views.descriptions import describe_attention, describe_difference
from mini_ism.views.dialogue_view import TokenizedDialogue
from mini_ism.views.figures import Figure, colour_labels, hide_frame, label_axes, own_style
from mini_ism.views.styles import BARS, LIGHT

SIDE = 3.4  # of a map, in inches
WIDE = 8.65  # of a figure that stands alone: 830 pixels at 96 an inch
ROW = 0.142  # height of a wide map's row, in inches
LOW = 2.0  # least height of a wide map, so that its axis and colour bar can be labelled
MARKED = 0.2  # changes of at least this much attention carry a sign

Attention = tuple[Any, Any]
"""One head's weights ``[T, T]``, and the mask, bool ``[T, T]``, under which they were computed."""


@own_style
def attention_figure(
    maps: Mapping[str, Attention] | Attention,
    dialogue: TokenizedDialogue,
    *,
    row: int | None = None,
) -> Figure:
    """One head's attention, or several side by side, over one dialogue, inside the outline of each one's mask.

    Args:
        maps: weights and the mask they were computed under, or several such pairs with a title each.
        dialogue: its tokens, from :func:`~mini_ism.views.dialogue_view.tokenized`.
        row: a position to point out.
    """
    maps = maps if isinstance(maps, Mapping) else {"attention": maps}
    figure, panels = _panels(len(maps))
    facts = []
    for number, (axes, (title, (weights, allowed))) in enumerate(zip(panels, maps.items(), strict=True)):
        values = _draw(axes, weights, allowed, signed=False)
        label_axes(axes, dialogue, row, cell=SIDE * 72 / len(dialogue), rows=number == 0)
        axes.set_title(title, fontsize=12)
        facts.append(title if row is None else f"{title}: {describe_attention(values[row], dialogue, row)}")
    _colour_bar(figure, panels[-1:], signed=False)
    figure.alt = f"Attention over {len(dialogue)} tokens. {'; '.join(facts)}."
    return figure


@own_style
def difference_figure(
    own: Attention,
    swapped: Attention,
    dialogue: TokenizedDialogue,
    *,
    titles: tuple[str, str],
    row: int | None = None,
) -> Figure:
    """The same head under two masks, and the attention that the swap moved.

    Args:
        own: weights and the mask they were computed under.
        swapped: the same under the other mask.
        dialogue: its tokens.
        titles: of the two.
        row: a position to point out.
    """
    figure, panels = _panels(3)
    for number, (axes, (weights, allowed), title) in enumerate(zip(panels, (own, swapped), titles, strict=False)):
        _draw(axes, weights, allowed, signed=False)
        label_axes(axes, dialogue, row, cell=SIDE * 72 / len(dialogue), rows=number == 0)
        axes.set_title(title, fontsize=12)
    change = np.asarray(swapped[0]) - np.asarray(own[0])
    either = np.asarray(own[1], dtype=bool) | np.asarray(swapped[1], dtype=bool)
    _draw(panels[2], change, either, signed=True)
    _outline(panels[2], np.asarray(own[1], dtype=bool))
    label_axes(panels[2], dialogue, row, cell=SIDE * 72 / len(dialogue), rows=False)
    panels[2].set_title("difference", fontsize=12)
    _colour_bar(figure, panels[1:2], signed=False)
    _colour_bar(figure, panels[2:], signed=True)
    moved = np.abs(change).sum(-1) / 2
    at_row = "" if row is None else f" {describe_difference(change[row], dialogue, row)}."
    figure.alt = (
        f"One head under two masks, {titles[0]} and {titles[1]}, and the difference over {len(dialogue)} tokens: "
        f"a row moves {moved.mean():.0%} of its attention on average, at most {moved.max():.0%}.{at_row}"
    )
    return figure


@own_style
def swap_figure(
    own: Attention,
    swapped: Attention,
    dialogue: TokenizedDialogue,
    *,
    titles: tuple[str, str],
    heading: str = "",
) -> Figure:
    """Where a swapped mask moves a head's attention: one wide map, and under it the row that moves most, twice.

    Cells that change by ``MARKED`` or more carry a plus or a minus, so that the reader need not rely on colour.
    The solid outline is the model's own mask, the dashed one the other mask.

    Args:
        own: weights and the mask they were computed under.
        swapped: the same under the other mask.
        dialogue: its tokens.
        titles: of the two.
        heading: the line above the picture.
    """
    before, after = (np.asarray(weights, dtype=np.float64) for weights, _ in (own, swapped))
    change = after - before
    moved = np.abs(change).sum(-1) / 2
    row, total = int(moved.argmax()), len(dialogue)
    tall = max(ROW * total, LOW)
    figure = Figure(figsize=(WIDE, tall + 2.7), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[tall, 1.0])
    seen = [np.asarray(mask, dtype=bool) for _, mask in (own, swapped)]
    _draw(above, change, seen[0] | seen[1], signed=True)
    _outline(above, seen[0])
    _outline(above, seen[1], dashed=True)
    above.set_aspect("auto")
    for reader, read in np.argwhere(np.abs(change) >= MARKED):
        sign = "+" if change[reader, read] > 0 else "−"
        ink = "white" if abs(change[reader, read]) > 0.4 else "black"
        above.text(read, reader, sign, ha="center", va="center_baseline", fontsize=9, color=ink, fontweight="bold")
    label_axes(above, dialogue, row, cell=tall * 72 / total)
    above.tick_params(labelbottom=False)
    above.set_ylabel("the token that reads", fontsize=10)
    above.set_title(heading, fontsize=11, loc="left")
    for number, (title, weights) in enumerate(zip(titles, (before, after), strict=True)):
        colour, hatch = BARS[number]
        x = np.arange(total) + (number - 0.5) * 0.42
        below.bar(x, weights[row], 0.4, label=title, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
    below.set(ylim=(0, 1), yticks=[0, 0.5, 1])
    below.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    names = dialogue.labels
    below.set_xticks(range(total), names, rotation=90, fontsize=9)
    colour_labels(below.get_xticklabels(), dialogue, range(total))
    below.tick_params(axis="x", length=0)
    below.tick_params(axis="y", labelsize=9)
    below.set_xlabel("the token that is read", fontsize=10)
    below.set_title(f"the framed row: where \u201c{names[row]}\u201d looks", fontsize=10, loc="left")
    below.legend(frameon=False, fontsize=10, ncols=2, loc="lower right", bbox_to_anchor=(1, 0.97))
    hide_frame(below)
    bar = _colour_bar(figure, [above], signed=True)
    bar.set_label(f"attention gained\nor lost under {titles[1]}", fontsize=10)
    figure.alt = (
        f"Where one head's attention moves over {total} tokens when {titles[0]} is swapped for {titles[1]}: a row "
        f"moves {moved.mean():.0%} of its attention on average. "
        f"{describe_difference(change[row], dialogue, row)}."
    )
    return figure


@own_style
def heads_figure(weights: Any, allowed: Any, captions: Sequence[Sequence[str]], *, title: str) -> Figure:
    """All heads of a model as small maps: a row for each layer, a column for each head.

    Args:
        weights: ``[layers, H, T, T]``.
        allowed: bool ``[T, T]``, the mask.
        captions: a line under each map, ``[layers][H]``.
        title: of the whole.
    """
    values = np.asarray(weights, dtype=np.float64)
    layers, heads = values.shape[:2]
    figure = Figure(figsize=(1.9 * heads + 0.9, 1.95 * layers + 0.6), layout="constrained")
    panels = figure.subplots(layers, heads, squeeze=False)
    for n in range(layers):
        for h in range(heads):
            axes = panels[n][h]
            _draw(axes, values[n, h], allowed, signed=False)
            axes.set(xticks=[], yticks=[])
            axes.set_xlabel(captions[n][h], fontsize=10)
    figure.suptitle(title, fontsize=12)
    _colour_bar(figure, [axes for line in panels for axes in line], signed=False)
    facts = (f"layer {n + 1} head {h + 1}: {text}" for n, row in enumerate(captions) for h, text in enumerate(row))
    figure.alt = f"{title}. {'; '.join(facts)}."
    return figure


@own_style
def head_bars_figure(
    shares: Mapping[str, Any], *, ylabel: str, even: Mapping[str, float] | None = None, percent: bool = True
) -> Figure:
    """A number for each head of one model or several, as bars.

    Args:
        shares: for each name, numbers ``[layers, H]``.
        ylabel: what the numbers mean.
        even: a baseline by name, drawn as a line across that model's bars; 0 = none.
        percent: write the numbers as shares.
    """
    figure = Figure(figsize=(8.4, 3.4), layout="constrained")
    axes = figure.add_subplot()
    wide = 0.8 / max(len(shares), 1)
    facts, names = [], []
    for number, (name, given) in enumerate(shares.items()):
        values = np.asarray(given, dtype=np.float64)
        names = [f"{n + 1}.{h + 1}" for n in range(values.shape[0]) for h in range(values.shape[1])]
        fill, hatch = BARS[number % len(BARS)]
        x = np.arange(values.size) + (number - (len(shares) - 1) / 2) * wide
        axes.bar(x, values.ravel(), wide * 0.9, label=name, color=fill, hatch=hatch, edgecolor="white", linewidth=0)
        form = "{:.0%}" if percent else "{:.1f}"
        numbers = ", ".join(form.format(value) for value in values.ravel())
        if even is not None and even.get(name):
            axes.axhline(even[name], color=fill, linestyle="--", linewidth=1.2, label=f"{name}, if spread evenly")
            numbers += f" (spread evenly it would be {form.format(even[name])})"
        facts.append(f"{name} {numbers}")
    axes.set_xticks(range(len(names)), names, fontsize=10)
    axes.set_xlabel("layer.head", fontsize=10)
    axes.set_ylabel(ylabel, fontsize=10)
    if percent:
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    hide_frame(axes)
    figure.legend(frameon=False, fontsize=9, loc="outside right upper")
    figure.alt = f"{ylabel}, head by head ({', '.join(names)}): " + "; ".join(facts) + "."
    return figure


@own_style
def stages_figure(scores: Any, allowed: Any, weights: Any, dialogue: TokenizedDialogue, row: int) -> Figure:
    """One row's scores, what the mask leaves of them, and their softmax; all ``[T]``. Orange bars look ahead."""
    check_position(row, len(dialogue))
    seen, shares = np.asarray(allowed, dtype=bool), np.asarray(weights, dtype=np.float64)
    raw, total = np.asarray(scores, dtype=np.float64), len(dialogue)
    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    colours = [LIGHT["ahead" if i > row else "back"] for i in range(total)]
    for axes, (name, values, shown) in zip(
        panels,
        (("scores", raw, np.ones_like(seen)), ("mask", raw, seen), ("softmax", shares, seen)),
        strict=True,
    ):
        axes.bar(range(total), np.where(shown, values, 0), color=colours)
        for i in np.flatnonzero(~shown):
            axes.axvspan(i - 0.5, i + 0.5, facecolor=LIGHT["hidden"], edgecolor="#999", hatch="////", linewidth=0)
        axes.set_ylabel(name, fontsize=11, rotation=0, ha="right", va="center")
        axes.axhline(0, color="#777", linewidth=0.6)
        axes.tick_params(labelsize=9)
        hide_frame(axes)
    panels[1].set_ylim(panels[0].get_ylim())
    panels[2].set_xlim(-0.5, total - 0.5)
    panels[2].set_xticks(range(total), dialogue.labels, rotation=90, fontsize=9)
    colour_labels(panels[2].get_xticklabels(), dialogue, range(total))
    panels[2].get_xticklabels()[row].set_fontweight("bold")
    figure.alt = (
        f"Three stages of one row: scores from {raw.min():.1f} to {raw.max():.1f}; the mask hides "
        f"{int((~seen).sum())} of {total}; after the softmax {describe_attention(shares, dialogue, row)}."
    )
    return figure


# -- parts -----------------------------------------------------------------------------------------


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(SIDE * count + 1.9, SIDE + 1.2), layout="constrained")
    return figure, [figure.add_subplot(1, count, number + 1) for number in range(count)]


def _draw(axes: Axes, weights: Any, allowed: Any, *, signed: bool) -> np.ndarray:
    values, seen = np.asarray(weights, dtype=np.float64), np.asarray(allowed, dtype=bool)
    axes.imshow(np.zeros_like(values), cmap=ListedColormap([LIGHT["hidden"]]), interpolation="nearest")
    axes.imshow(coloured(values, seen, signed=signed), interpolation="nearest")
    _outline(axes, seen)
    return values


def _outline(axes: Axes, seen: np.ndarray, *, dashed: bool = False) -> None:
    lines = np.asarray(outline_lines(seen), dtype=float).reshape(-1, 2, 2) - 0.5  # cells are centred on their positions
    axes.add_collection(
        LineCollection(list(lines), colors="black", linewidths=0.8, linestyles="--" if dashed else "-", zorder=3)
    )


def _colour_bar(figure: Figure, panels: Sequence[Axes], *, signed: bool) -> Colorbar:
    scale = ScalarMappable(RootScale(signed), DIFFERENCES if signed else WEIGHTS)
    bar = figure.colorbar(scale, ax=list(panels), shrink=0.7, ticks=list(TICKS[signed]))
    bar.ax.set_yticklabels([f"{tick:+.0%}" if signed and tick else f"{tick:.0%}" for tick in TICKS[signed]], fontsize=9)
    return bar
