"""What stands along the sides of a map of tokens by tokens: labels, and bars in the colours of the roles."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mini_ism import svg
from mini_ism.svg import escape

GUTTER = 92  # room for the labels, left and above
STRIP = 6  # thickness of the bars that show the roles
LABEL_STEP = 11.5  # least distance between two labels of 12 px (9 pt)
LONGEST_LABEL = 12
SHORT = 48  # tokens: a longer dialogue gets about 16 labels a side


def check_position(row: int | None, total: int) -> None:
    """Raise ValueError if a row to point out is none of so many positions."""
    if row is not None and not 0 <= row < total:
        raise ValueError(f"row {row} is not a position: they run from 0 to {total - 1}")


def shown_labels(total: int, cell: float, row: int | None) -> list[int]:
    """Which positions get a label: all where there is room, else about 16 of them, and always the selected one."""
    room = math.ceil(LABEL_STEP / cell)
    step = room if total <= SHORT else max(math.ceil(total / 16), room)
    shown = list(range(0, total, step))
    if row is not None and row not in shown:
        shown = sorted([*(p for p in shown if abs(p - row) * cell >= LABEL_STEP), row])
    return shown


def side_labels(labels: Sequence[str], roles: Sequence[str], cell: float, row: int | None) -> str:
    """The tokens' names, in their roles' colours, left of the map and above it; the selected one stands out."""
    texts = []
    for position in shown_labels(len(labels), cell, row):
        middle = f"{(position + 0.5) * cell:g}"
        text = labels[position]
        text = escape(text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…")
        bold = ' font-weight="700" text-decoration="underline"' if position == row else ""
        common = f'font-size="12" fill="{svg.colour(roles[position])}"{bold}'
        texts.append(
            f'<text x="{-STRIP - 4}" y="{middle}" text-anchor="end" dominant-baseline="central" {common}>{text}</text>'
            f'<text transform="translate({middle} {-STRIP - 4}) rotate(-90)" dominant-baseline="central" '
            f"{common}>{text}</text>"
        )
    return "".join(texts)


def role_bars(roles: Sequence[str], cell: float) -> str:
    """The roles as thin bars along both sides."""
    bars = []
    starts = [i for i in range(len(roles)) if i == 0 or roles[i] != roles[i - 1]]
    for start, stop in zip(starts, [*starts[1:], len(roles)], strict=True):
        a, length, fill = start * cell, (stop - start) * cell, svg.colour(roles[start])
        bars.append(
            f'<rect x="{-STRIP + 1}" y="{a:g}" width="{STRIP - 2}" height="{length:g}" fill="{fill}"/>'
            f'<rect x="{a:g}" y="{-STRIP + 1}" width="{length:g}" height="{STRIP - 2}" fill="{fill}"/>'
        )
    return "".join(bars)
