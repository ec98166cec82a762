"""The labels along the sides of a picture of tokens, and where its lines run: computed once, for SVG and for print.

The functions at the end write it as SVG; :mod:`mini_ism.views.figures` writes it on matplotlib's axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mini_ism.views import svg
from mini_ism.views.dialogue_view import TokenizedDialogue
from mini_ism.views.svg import INK, PAPER, escape

GUTTER = 92  # room for the labels, left and above
STRIP = 6  # thickness of the bars that show the roles
FONT_SIZE = 12.0  # of a label in pixels, where there is room
SMALLEST = 0.75  # labels shrink to this fraction of their size before any are left out
LINE = 0.96  # least distance between two labels, in font sizes
LONGEST_LABEL = 12
MAP, WIDEST_MAP = 420, 640  # side of a map in pixels: by default, and at most, to give each row a label


# -- layout, for SVG and for print -----------------------------------------------------------------


def check_position(row: int | None, total: int) -> None:
    """Raise ValueError if the row to point out is not one of ``total`` positions."""
    if row is not None and not 0 <= row < total:
        raise ValueError(f"row {row} is not a position: they run from 0 to {total - 1}")


def cell_side(size: float, total: int, least: float = 1.0) -> float:
    """The side of a cell in pixels, so that ``total`` of them fill about ``size``, within limits."""
    return round(max(min(size / max(total, 1), 22.0), least), 2)


def map_size(total: int) -> int:
    """The side, in pixels, of a map of ``total`` positions; larger than usual if that gives each of them a label."""
    return max(MAP, min(math.ceil(total * FONT_SIZE * SMALLEST * LINE), WIDEST_MAP))


def fit_labels(total: int, cell: float, row: int | None, font: float = FONT_SIZE) -> tuple[list[int], float]:
    """Which positions get a label, and its size: all where there is room, small ones if need be; else every nth.

    Args:
        total: how many positions there are.
        cell: the distance between two, in the unit of ``font``.
        row: the selected one, which always has a label; labels that would touch it are dropped.
        font: the font size where there is room.
    """
    step = max(math.ceil(font * SMALLEST * LINE / cell), 1)
    size = round(min(font, step * cell / LINE), 2)
    shown = range(0, total, step)
    if row is None or row in shown:
        return list(shown), size
    return sorted([*(position for position in shown if abs(position - row) * cell >= size * LINE), row]), size


def short_label(label: str) -> str:
    """A label, shortened to fit beside a map."""
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"


def reach(allowed: np.ndarray) -> np.ndarray:
    """f(j) + 1 for each row of a mask ``[T, T]``, or 0 where the row has holes and so no f: ints ``[T]``."""
    first_hidden = np.argmin(np.pad(allowed, ((0, 0), (0, 1))), axis=1)
    return np.where(first_hidden == allowed.sum(axis=1), first_hidden, 0)


Line = tuple[tuple[int, int], tuple[int, int]]
"""From (x, y) to (x, y), counted in cells from the upper left corner."""


def outline_lines(allowed: np.ndarray) -> list[Line]:
    """The border between what a mask ``[T, T]`` shows and what it hides: the lines across, then the lines down."""
    padded = np.pad(allowed, 1)
    across = padded[1:, 1:-1] != padded[:-1, 1:-1]  # [T + 1, T]: an edge above row y
    down = (padded[1:-1, 1:] != padded[1:-1, :-1]).T  # [T + 1, T]: an edge left of column x
    lines = [((a, y), (b, y)) for y, a, b in svg.spans(across)]
    return lines + [((x, a), (x, b)) for x, a, b in svg.spans(down)]


# -- as SVG ----------------------------------------------------------------------------------------


def outline(allowed: np.ndarray, cell: float, *, dashed: bool = False) -> str:
    """The border between what a mask ``[T, T]`` shows and what it hides, as an SVG path."""
    path = "".join(
        f"M{a * cell:g} {b * cell:g}" + (f"H{c * cell:g}" if b == d else f"V{d * cell:g}")
        for (a, b), (c, d) in outline_lines(allowed)
    )
    dash = ' stroke-dasharray="5 3"' if dashed else ""
    name = "mi-outline-swapped" if dashed else "mi-outline"
    return (
        f'<path d="{path}" fill="none" stroke="{PAPER}" stroke-width="3.5"{dash}/>'
        f'<path class="{name}" d="{path}" fill="none" stroke="{INK}" stroke-width="1.5"{dash}/>'
    )


def side_labels(dialogue: TokenizedDialogue, cell: float, row: int | None) -> str:
    """The tokens' names, in their roles' colours, left of the map and above it; the selected one stands out."""
    texts = []
    shown, size = fit_labels(len(dialogue), cell, row)
    for position in shown:
        middle = f"{(position + 0.5) * cell:g}"
        label = escape(short_label(dialogue.labels[position]))
        common = f'font-size="{size:g}" fill="{svg.colour(dialogue.roles[position])}"{emphasis(position == row)}'
        texts.append(
            f'<text data-row="{position}" x="{-STRIP - 4}" y="{middle}" text-anchor="end" '
            f'dominant-baseline="central" {common}>{label}</text>'
            f'<text data-column="{position}" transform="translate({middle} {-STRIP - 4}) rotate(-90)" '
            f'dominant-baseline="central" {common}>{label}</text>'
        )
    return "".join(texts)


def emphasis(selected: bool) -> str:
    """The attributes that make the selected token's label stand out."""
    return ' font-weight="700" text-decoration="underline"' if selected else ""


def side_bars(roles: Sequence[str], cell: float) -> str:
    """The roles as thin bars along both sides of a map."""
    bars = []
    for start, stop in svg.stretches(roles):
        a, length, fill = start * cell, (stop - start) * cell, svg.colour(roles[start])
        bars.append(
            f'<rect x="{-STRIP + 1}" y="{a:g}" width="{STRIP - 2}" height="{length:g}" fill="{fill}"/>'
            f'<rect x="{a:g}" y="{-STRIP + 1}" width="{length:g}" height="{STRIP - 2}" fill="{fill}"/>'
        )
    return "".join(bars)


def row_sentences(dialogue: TokenizedDialogue, matrix: np.ndarray, verb: str) -> list[str]:
    """What each row of a matrix ``[T, T]`` holds, in words: "cup (4) sees 0..4, 7"."""
    held: dict[int, list[str]] = {}
    for y, start, stop in svg.spans(matrix):
        held.setdefault(y, []).append(str(start) if stop == start + 1 else f"{start}..{stop - 1}")
    return [f"{dialogue.name(y)} {verb} {', '.join(held.get(y, ['nothing']))}" for y in range(len(dialogue))]


def hover_rows(sentences: Sequence[str], cell: float) -> str:
    """A transparent bar over each row of a square map, with a sentence as its tooltip."""
    side = len(sentences) * cell
    return "".join(
        f'<rect class="mi-row" fill-opacity="0" y="{y * cell:g}" width="{side:g}" height="{cell:g}">'
        f"<title>{escape(sentence)}</title></rect>"
        for y, sentence in enumerate(sentences)
    )
