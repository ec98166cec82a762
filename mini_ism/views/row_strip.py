"""One row of a mask, written over the dialogue itself: what one token may read, and what is hidden from it."""

from __future__ import annotations

from collections.abc import Sequence

from mini_ism.svg import AHEAD, BACK, FAINT, FONT, INK, STYLE, colour, escape
from mini_ism.views.picture import Picture
from mini_ism.views.words import describe_row

LOOKS = {
    "back": f"border-bottom:3px solid {BACK}",
    "ahead": f"border-bottom:3px double {AHEAD};background:color-mix(in srgb,{AHEAD} 16%,transparent)",
    "hidden": f"color:{FAINT};border-bottom:3px solid transparent;opacity:.65",
}
"""A token that is read and lies behind (the reader itself, too), one that lies ahead, one that is hidden."""


def row_strip(labels: Sequence[str], roles: Sequence[str], seen: Sequence[bool], row: int) -> Picture:
    """The tokens in a line, each underlined that position ``row`` may look at. The reader stands in a frame.

    Args:
        labels: what to call each position, ``[T]``.
        roles: ``"system"``, ``"user"`` or ``"assistant"``, ``[T]``.
        seen: row ``row`` of a mask, ``[T]``.
        row: the position that reads.

    Raises:
        ValueError: the lengths differ, or ``row`` is not a position.
    """
    if not (len(labels) == len(roles) == len(seen) and 0 <= row < len(labels)):
        raise ValueError(
            f"a row strip needs as many labels, roles and cells, and one of their positions; "
            f"got {len(labels)}, {len(roles)}, {len(seen)} and row {row}"
        )
    tokens = []
    for position, (label, role) in enumerate(zip(labels, roles, strict=True)):
        kind = "hidden" if not seen[position] else "ahead" if position > row else "back"
        frame = f";outline:2px solid {INK};outline-offset:1px;font-weight:700" if position == row else ""
        ink = "" if kind == "hidden" else f";color:{colour(role)}"
        tokens.append(
            f'<span class="mi-{kind}" title="{escape(label)} ({position}): {kind}" '
            f'style="{LOOKS[kind]}{ink}{frame};padding:0 2px;margin:0 1px">{escape(label)}</span>'
        )
    alt = describe_row(labels[row], row, list(seen))
    return Picture(
        f'<div class="mi" role="img" aria-label="{escape(alt)}" style="{FONT};font-size:14px;line-height:2.1">'
        f"{STYLE}{' '.join(tokens)}</div>",
        alt,
    )
