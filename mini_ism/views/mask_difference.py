"""What a mask declares, what a model was measured to do, and where the two differ, side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from mini_ism.views import svg
from mini_ism.views.axes import GUTTER, STRIP, cell_side, hover_rows, row_sentences, side_bars, side_labels
from mini_ism.views.dialogue_view import TokenizedDialogue
from mini_ism.views.picture import Picture
from mini_ism.views.svg import AHEAD, FAINT, HIDDEN, INK, PAPER

GAP = 28
TITLE = 24
LEGEND = 34


def mask_difference(
    declared: Any, measured: Any, dialogue: TokenizedDialogue, *, title: str = "Mask", size: int = 260
) -> Picture:
    """Three maps: who may read whom, who does, and the difference: read though hidden, or unread though visible.

    Args:
        declared: bool ``[T, T]``, True = the row's token reads the column's.
        measured: bool ``[T, T]``.
        dialogue: the T tokens.
        title: begins the text alternative.
        size: of one map, in pixels, at most.

    Raises:
        ValueError: a matrix does not fit the dialogue.
    """
    wanted, found = (np.asarray(matrix, dtype=bool) for matrix in (declared, measured))
    total = len(dialogue)
    if not total or wanted.shape != (total, total) or found.shape != (total, total):
        raise ValueError(
            f"a difference needs two matrices [T, T] and T tokens, got {wanted.shape}, {found.shape} and {total}"
        )
    cell = cell_side(size, total)
    side, origin = cell * total, GUTTER + STRIP
    leaks, misses = found & ~wanted, wanted & ~found
    alt = (
        f"{title}: {int(leaks.sum())} pairs are read that should be hidden, "
        f"{int(misses.sum())} are hidden that should be read"
    )
    names = ("declared", "measured", "difference")
    bodies = (svg.cells(wanted, cell), svg.cells(found, cell), _differences(leaks, misses, cell))
    sentences = (
        row_sentences(dialogue, wanted, "should read"),
        row_sentences(dialogue, found, "reads"),
        row_sentences(dialogue, leaks ^ misses, "differs at"),
    )
    parts = []
    for number, (name, body, said) in enumerate(zip(names, bodies, sentences, strict=True)):
        x = origin + number * (side + GAP)
        labels = side_labels(dialogue, cell, None) if number == 0 else ""
        paper = f'<rect width="{side:g}" height="{side:g}" fill="{HIDDEN}"/>'
        sides = f"{svg.borders(dialogue.ids, cell)}{side_bars(dialogue.roles, cell)}{hover_rows(said, cell)}{labels}"
        parts.append(f'<g transform="translate({x:g} {origin + TITLE})">{paper}{body}{sides}</g>')
        parts.append(svg.text(name, x, 16, size=13, more=' font-weight="700"'))
    parts.append(f'<g transform="translate({origin} {origin + TITLE + side + 12:g})">{_legend()}</g>')
    width, height = origin + 3 * side + 2 * GAP + 12, origin + TITLE + side + LEGEND
    return Picture(svg.document("".join(parts), alt, max(width, 560), height), alt)


def _differences(leaks: np.ndarray, misses: np.ndarray, cell: float) -> str:
    """Filled where something leaks, outlined where something is missing: distinguishable without colour."""
    edge = min(2.0, cell / 4)
    return (
        f'<path class="mi-leak" d="{svg.boxes(leaks, cell)}" fill="{AHEAD}"/>'
        f'<path class="mi-miss" d="{svg.boxes(misses, cell)}" fill="{PAPER}" stroke="{INK}" stroke-width="{edge:g}"/>'
    )


def _legend() -> str:
    leak = f'<rect width="12" height="12" fill="{AHEAD}"/>' + svg.text("read, but should be hidden", 17, 10)
    miss = f'<rect x="200" width="12" height="12" fill="{PAPER}" stroke="{INK}" stroke-width="2"/>'
    miss += svg.text("hidden, but should be read", 217, 10)
    return leak + miss + svg.text("row = reader", 410, 10, fill=FAINT)
