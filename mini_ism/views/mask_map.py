"""A mask on a dialogue: as a map, with a row for each token that reads, and one row of it written over the dialogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mini_ism.mask import Mask
from mini_ism.segments import Segments
from mini_ism.views import svg
from mini_ism.views.axes import (
    GUTTER,
    STRIP,
    cell_side,
    check_position,
    hover_rows,
    map_size,
    reach,
    row_sentences,
    side_bars,
    side_labels,
)
from mini_ism.views.descriptions import describe_row
from mini_ism.views.dialogue_view import TokenizedDialogue
from mini_ism.views.grid import grid_data
from mini_ism.views.picture import Picture
from mini_ism.views.styles import ANSI
from mini_ism.views.svg import AHEAD, BACK, FAINT, FONT, HIDDEN, INK, PAPER, STYLE, colour, escape

LEGEND = 58  # room below
PHRASES = ("{row} does not see {column}: hidden", "{row} reads {column}: back", "{row} reads {column}: ahead")
"""The phrases for a cell."""
FINE = 9  # cells of at least this many pixels get lines between them
KINDS = {
    "back": f"border-bottom:3px solid {BACK}",
    "ahead": f"border-bottom:3px double {AHEAD};background:color-mix(in srgb,{AHEAD} 16%,transparent)",
    "hidden": f"color:{FAINT};border-bottom:3px solid transparent;opacity:.65",
}
"""Classes in the strip: a token that is read and lies behind (or is the reader), one that lies ahead, a hidden one."""


def mask_map(
    matrix: Any,
    dialogue: TokenizedDialogue,
    *,
    title: str = "Attention mask",
    row: int | None = None,
    staircase: bool = False,
    size: int | None = None,
) -> Picture:
    """A mask's matrix with the tokens written along both sides. Hovering over a row says what it sees.

    On a :class:`~mini_ism.widgets.surface.Surface` the row and the column under the mouse are highlighted.

    Args:
        matrix: bool ``[T, T]``, True = the row's token may attend to the column's (a tensor, an array or lists).
        dialogue: its tokens, from :func:`~mini_ism.views.dialogue_view.tokenized`.
        title: begins the text alternative.
        row: a position to point out.
        staircase: draw how far each row reaches, the f(j) of 2408.00539, if it sees everything before that.
        size: of the map itself, in pixels, at most; default, large enough to label each token, within limits.

    Raises:
        ValueError: the matrix does not fit the dialogue, or ``row`` is not a position.
    """
    allowed, total = np.asarray(matrix, dtype=bool), len(dialogue)
    if allowed.shape != (total, total) or not total:
        raise ValueError(f"a mask map needs a matrix [T, T] and T tokens, got {allowed.shape} and {total}")
    check_position(row, total)
    cell = cell_side(map_size(total) if size is None else size, total)
    side = cell * total
    ahead = int(np.triu(allowed, 1).sum())
    alt = f"{title}: {int(allowed.sum())} of {total * total} pairs are visible, {ahead} look ahead"
    if row is not None:
        alt += f"; {describe_row(allowed[row], dialogue, row)}"
    origin = GUTTER + STRIP
    steps = _staircase(allowed, cell) if staircase else ""
    names = [dialogue.name(position) for position in range(total)]
    codes = allowed.astype(int) + np.triu(allowed, 1)  # 0 hidden, 1 back, 2 ahead
    parts = [
        f'<g transform="translate({origin} {origin})" {grid_data(names, codes, PHRASES, cell, row)}>',
        f'<rect width="{side:g}" height="{side:g}" fill="{HIDDEN}"/>',
        svg.cells(allowed, cell),
        _fine_lines(total, cell) if cell >= FINE else "",
        svg.borders(dialogue.ids, cell),
        side_bars(dialogue.roles, cell),
        steps,
        hover_rows(row_sentences(dialogue, allowed, "sees"), cell),
        side_labels(dialogue, cell, row),
        _selection(row, cell, side) if row is not None else "",
        _legend(dialogue.roles, side, bool(steps)),
        "</g>",
    ]
    return Picture(svg.document("".join(parts), alt, max(origin + side + 12, 520), origin + side + LEGEND), alt)


def _fine_lines(total: int, cell: float) -> str:
    side = total * cell
    lines = "".join(f"M{i * cell:g} 0V{side:g}M0 {i * cell:g}H{side:g}" for i in range(1, total))
    return f'<path d="{lines}" stroke="{PAPER}" stroke-width=".5" opacity=".55" fill="none"/>'


def _staircase(allowed: np.ndarray, cell: float) -> str:
    """The right-hand end of each row's reach as a line from top to bottom, with a gap where a row has holes."""
    ends = reach(allowed)
    path = "".join(
        f"{'L' if y and ends[y - 1] else 'M'}{x * cell:g} {y * cell:g}V{(y + 1) * cell:g}"
        for y, x in enumerate(ends)
        if x
    )
    return f'<path class="mi-staircase" d="{path}" fill="none" stroke="{INK}" stroke-width="2"/>' if path else ""


def _selection(row: int, cell: float, side: float) -> str:
    height = max(cell, 3)
    top = (row + 0.5) * cell - height / 2
    return (
        f'<rect class="mi-selected" x="-1.5" y="{top - 1.5:g}" width="{side + 3:g}" height="{height + 3:g}" '
        f'fill="none" stroke="{INK}" stroke-width="2.5" pointer-events="none"/>'
    )


def _legend(roles: Sequence[str], side: float, staircase: bool) -> str:
    """Two lines below the map: what the cells mean, and what the colours of the labels mean."""
    items = [(BACK, "reads back"), (AHEAD, "looks ahead"), (HIDDEN, "hidden")]
    if staircase:
        items.append((INK, "line: f(j)"))
    x, parts = 0, []
    for fill, meaning in items:
        parts.append(
            f'<rect x="{x}" y="{side + 14:g}" width="12" height="12" fill="{fill}" stroke="{FAINT}" stroke-width=".5"/>'
            + svg.text(meaning, x + 17, side + 24)
        )
        x += 30 + 7 * len(meaning)
    x = 0
    for role in ANSI:
        if role in roles:
            parts.append(
                f'<rect x="{x}" y="{side + 39:g}" width="12" height="4" fill="{colour(role)}"/>'
                + svg.text(role, x + 17, side + 46, fill=colour(role))
            )
            x += 30 + 7 * len(role)
    return "".join(parts)


def row_strip(seen: Sequence[bool] | Any, dialogue: TokenizedDialogue, row: int) -> Picture:
    """The tokens in a line; those that position ``row`` may attend to are underlined, and the reader is framed.

    Args:
        seen: row ``row`` of a mask, ``[T]``.
        dialogue: its tokens.
        row: the position that reads.

    Raises:
        ValueError: the lengths differ, or ``row`` is not a position.
    """
    if len(seen) != len(dialogue):
        raise ValueError(f"a row strip needs as many cells as tokens, got {len(seen)} and {len(dialogue)}")
    check_position(row, len(dialogue))
    tokens = []
    for position, role in enumerate(dialogue.roles):
        kind = "hidden" if not seen[position] else "ahead" if position > row else "back"
        frame = f";outline:2px solid {INK};outline-offset:1px;font-weight:700" if position == row else ""
        ink = "" if kind == "hidden" else f";color:{colour(role)}"
        tokens.append(
            f'<span data-pick="token" data-token="{position}" class="mi-{kind}"{svg.current(position == row)} '
            f'title="{escape(dialogue.name(position))}: {kind}" '
            f'style="{KINDS[kind]}{ink}{frame};padding:0 2px;margin:0 1px">{escape(dialogue.labels[position])}</span>'
        )
    alt = describe_row(seen, dialogue, row)
    return Picture(
        f'<div class="mi" role="img" aria-label="{escape(alt)}" style="{FONT};font-size:14px;line-height:2.1">'
        f"{STYLE}{' '.join(tokens)}</div>",
        alt,
    )


def example_grid(mask: Mask) -> Picture:
    """A mask on a small dialogue, as a notebook displays it: system prompt, query, answer, query, answer."""
    lengths = (3, 5, 4, 5, 4)
    ids = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))  # (T)
    segments = Segments(id=ids, is_query=(ids == 0) | (ids % 2 == 1), is_system=ids == 0)
    here = torch.arange(len(ids))
    allowed = mask.allowed(here[:, None], here[None, :], segments).numpy()  # dense() would refuse rows that see nothing
    alt = f"{mask} over {len(ids)} tokens: {allowed.sum()} pairs are visible, {np.triu(allowed, 1).sum()} look ahead"
    if blind := int((~allowed.any(-1)).sum()):
        alt += f"; {blind} {'token sees' if blind == 1 else 'tokens see'} nothing"
    caption = f"{mask.name}: row = reader, column = what it may read (system, query, answer, query, answer)"
    return Picture(svg.bool_grid(allowed, alt, ids.tolist()), alt, caption)
