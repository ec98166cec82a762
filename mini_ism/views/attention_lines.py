"""Attention as lines, as in bertviz: from one token to all it attends to, thicker for larger weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from mini_ism.views import svg
from mini_ism.views.attention_colours import percent
from mini_ism.views.axes import cell_side, check_position, emphasis, fit_labels, map_size, short_label
from mini_ism.views.descriptions import WORTH_NAMING, describe_attention, describe_difference
from mini_ism.views.dialogue_view import TokenizedDialogue
from mini_ism.views.picture import Picture
from mini_ism.views.svg import AHEAD, BACK, FAINT, INK, escape

COLUMN, SPAN = 130, 240  # width of a column of tokens, and of the space between the two
TOP, BOTTOM = 26, 30
THICKEST = 9.0


def attention_lines(
    weights: Any,
    allowed: Any,
    dialogue: TokenizedDialogue,
    row: int,
    *,
    title: str = "Attention",
    signed: bool = False,
) -> Picture:
    """One token's attention, as lines from it, on the left, to the tokens on the right.

    Args:
        weights: row ``row`` of a head's attention, ``[T]``; or of the difference of two.
        allowed: bool ``[T]``, the same row of the mask.
        dialogue: its tokens.
        row: the position that reads.
        title: begins the text alternative.
        signed: the weights are differences; a token that is read less gets a dashed line.

    Raises:
        ValueError: the lengths differ, or ``row`` is not a position.
    """
    shares, seen, total = np.asarray(weights, dtype=np.float64), np.asarray(allowed, dtype=bool), len(dialogue)
    if {len(shares), len(seen)} != {total}:
        raise ValueError(f"lines need a weight and a mask cell a token, got {len(shares)}, {len(seen)} and {total}")
    check_position(row, total)
    describe = describe_difference if signed else describe_attention
    alt = f"{title}: {describe(shares, dialogue, row)}"
    cell = cell_side(map_size(total), total)
    lines = "".join(
        _line(float(share), row, read, cell)
        for read, share in sorted(enumerate(shares), key=lambda pair: abs(pair[1]))  # the thickest on top
        if abs(share) >= WORTH_NAMING
    )
    notes = [percent(float(share), signed) if abs(share) >= WORTH_NAMING else "" for share in shares]
    reader = dialogue.name(row)
    tips = [
        f"{reader} reads {dialogue.name(read)}: {percent(float(shares[read]), signed)}{', ahead' if read > row else ''}"
        if seen[read]
        else f"{reader} does not see {dialogue.name(read)}: hidden"
        for read in range(total)
    ]
    names = [dialogue.name(position) for position in range(total)]
    what = "dashed: less under the swapped mask" if signed else "the thicker, the more of its attention"
    parts = [
        svg.text("reads", COLUMN - 10, 14, fill=FAINT, more=' text-anchor="end"'),
        svg.text("is read", COLUMN + SPAN + 10, 14, fill=FAINT),
        f'<g transform="translate(0 {TOP})">{lines}',
        _column(dialogue, names, [""] * total, np.ones(total, dtype=bool), cell, row, left=True),
        _column(dialogue, tips, notes, seen, cell, row, left=False),
        "</g>",
        svg.text(what, COLUMN, TOP + total * cell + 20),
    ]
    return Picture(svg.document("".join(parts), alt, 2 * COLUMN + SPAN + 40, TOP + total * cell + BOTTOM), alt)


def _line(share: float, row: int, read: int, cell: float) -> str:
    size = min(abs(share), 1.0)
    start, stop, middle = (row + 0.5) * cell, (read + 0.5) * cell, COLUMN + SPAN / 2
    dash = ' stroke-dasharray="6 4"' if share < 0 else ""
    return (
        f'<path class="mi-line" d="M{COLUMN} {start:g}C{middle:g} {start:g} {middle:g} {stop:g} {COLUMN + SPAN} '
        f'{stop:g}" fill="none" stroke="{AHEAD if read > row else BACK}" stroke-width="{1 + size * THICKEST:.2f}" '
        f'opacity="{0.25 + 0.75 * size:.2f}"{dash}/>'
    )


def _column(
    dialogue: TokenizedDialogue,
    tips: list[str],
    notes: list[str],
    seen: np.ndarray,
    cell: float,
    row: int,
    *,
    left: bool,
) -> str:
    """A column of tokens, each selectable, with a note beside it; hidden tokens are faint."""
    shown, size = fit_labels(len(dialogue), cell, row)
    x, anchor, edge = (COLUMN - 10, "end", 0) if left else (COLUMN + SPAN + 10, "start", COLUMN + SPAN)
    parts = []
    for position, label in enumerate(dialogue.labels):
        chosen = position == row and left
        text = f"{short_label(label)} {notes[position]}".rstrip()
        fill = svg.colour(dialogue.roles[position]) if seen[position] else FAINT
        words = (
            f'<text x="{x}" y="{(position + 0.5) * cell:g}" text-anchor="{anchor}" dominant-baseline="central" '
            f'font-size="{size:g}" fill="{fill}"{emphasis(chosen)}>{escape(text)}</text>'
        )
        parts.append(
            f'<g data-pick="token" data-token="{position}" data-side="{"left" if left else "right"}"'
            f"{svg.current(chosen)}><title>{escape(tips[position])}</title>"
            f'<rect x="{edge}" y="{position * cell:g}" width="{COLUMN + (0 if left else 40)}" height="{cell:g}" '
            f'fill="{INK}" fill-opacity="0"/>{words if position in shown else ""}</g>'
        )
    return "".join(parts)
