"""A mask on a dialogue, as a map: a row for each token that reads, a column for each token that is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_ism import svg
from mini_ism.dialogue import ROLES
from mini_ism.svg import AHEAD, BACK, FAINT, FONT, HIDDEN, INK, PAPER, escape
from mini_ism.views.axes import GUTTER, STRIP, check_position, role_bars, side_labels
from mini_ism.views.picture import Picture
from mini_ism.views.words import describe_row

LEGEND = 58  # room below
FINE = 9  # cells of so many pixels get lines between them


def mask_map(
    matrix: Any,
    labels: Sequence[str],
    roles: Sequence[str],
    ids: Sequence[int],
    *,
    title: str,
    row: int | None = None,
    staircase: bool = False,
    size: int = 420,
) -> Picture:
    """A mask's matrix with the tokens written along both sides. Hovering over a row says what it sees.

    Args:
        matrix: bool ``[T, T]``, True = the row's token may look at the column's (a tensor, an array or lists).
        labels: what to call each position, ``[T]``.
        roles: ``"system"``, ``"user"`` or ``"assistant"``, ``[T]``.
        ids: the segment of each position, ``[T]``; a line is drawn where it changes.
        title: begins the text alternative.
        row: a position to point out.
        staircase: draw how far each row reaches, the f(j) of 2408.00539.
        size: of the map itself, in pixels, at most.

    Raises:
        ValueError: the lengths differ, or ``row`` is not a position.
    """
    allowed = np.asarray(matrix, dtype=bool)
    total = len(labels)
    if not (allowed.shape == (total, total) and len(roles) == len(ids) == total > 0):
        raise ValueError(
            f"a mask map needs a matrix [T, T] and T labels, roles and ids, got {allowed.shape}, "
            f"{total}, {len(roles)} and {len(ids)}"
        )
    check_position(row, total)
    cell = round(max(min(size / total, 22.0), 1.0), 2)
    side = cell * total
    ahead = int(np.triu(allowed, 1).sum())
    alt = f"{title}: {int(allowed.sum())} of {total * total} pairs are visible, {ahead} look ahead"
    if row is not None:
        alt += f"; {describe_row(labels[row], row, allowed[row].tolist())}"
    origin = GUTTER + STRIP
    width, height = max(origin + side + 12, 520), origin + side + LEGEND
    parts = [
        f'<svg class="mi" role="img" aria-label="{escape(alt)}" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" style="{FONT};max-width:100%;height:auto" '
        f'xmlns="http://www.w3.org/2000/svg">{svg.STYLE}<g transform="translate({origin} {origin})">',
        f'<rect width="{side:g}" height="{side:g}" fill="{HIDDEN}"/>',
        svg.cells(allowed, cell),
        _fine_lines(total, cell) if cell >= FINE else "",
        svg.borders(ids, cell),
        role_bars(roles, cell),
        _staircase(allowed, cell) if staircase else "",
        _hover_rows(labels, allowed, cell),
        side_labels(labels, roles, cell, row),
        _selection(row, cell, side) if row is not None else "",
        _legend(roles, side, staircase),
        "</g></svg>",
    ]
    return Picture("".join(parts), alt)


def _fine_lines(total: int, cell: float) -> str:
    side = total * cell
    lines = "".join(f"M{i * cell:g} 0V{side:g}M0 {i * cell:g}H{side:g}" for i in range(1, total))
    return f'<path d="{lines}" stroke="{PAPER}" stroke-width=".5" opacity=".55" fill="none"/>'


def _hover_rows(labels: Sequence[str], allowed: np.ndarray, cell: float) -> str:
    """A transparent bar over each row, whose tooltip says what the row sees."""
    side = len(labels) * cell
    seen: dict[int, list[str]] = {}
    for y, start, stop in svg.spans(allowed):
        seen.setdefault(y, []).append(str(start) if stop == start + 1 else f"{start}..{stop - 1}")
    return "".join(
        f'<rect class="mi-row" fill-opacity="0" y="{y * cell:g}" width="{side:g}" height="{cell:g}">'
        f"<title>{escape(label)} ({y}) sees {', '.join(seen.get(y, ['nothing']))}</title></rect>"
        for y, label in enumerate(labels)
    )


def reach(allowed: np.ndarray) -> np.ndarray:
    """One past the last position that each row of a mask ``[T, T]`` sees, f(j) + 1 where it has an f: ints ``[T]``."""
    ends: np.ndarray = len(allowed) - np.argmax(allowed[:, ::-1], axis=1)
    return ends


def _staircase(allowed: np.ndarray, cell: float) -> str:
    """The right-hand end of each row's reach, as one line from top to bottom."""
    ends = enumerate(reach(allowed))
    path = "".join(f"{'M' if y == 0 else 'L'}{x * cell:g} {y * cell:g}V{(y + 1) * cell:g}" for y, x in ends)
    return f'<path class="mi-staircase" d="{path}" fill="none" stroke="{INK}" stroke-width="2"/>'


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
    for fill, text in items:
        parts.append(
            f'<rect x="{x}" y="{side + 14:g}" width="12" height="12" fill="{fill}" stroke="{FAINT}" stroke-width=".5"/>'
            f'<text x="{x + 17}" y="{side + 24:g}" font-size="12" fill="{INK}">{text}</text>'
        )
        x += 30 + 7 * len(text)
    x = 0
    for role in ROLES:
        if role in roles:
            parts.append(
                f'<rect x="{x}" y="{side + 39:g}" width="12" height="4" fill="{svg.colour(role)}"/>'
                f'<text x="{x + 17}" y="{side + 46:g}" font-size="12" fill="{svg.colour(role)}">{role}</text>'
            )
            x += 30 + 7 * len(role)
    return "".join(parts)
