"""How runs and masks look where several share a picture: none is told by its colour alone, each mask has its own."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mini_ism.svg import LIGHT

LOOKS = (
    ("back", "", "o"),
    ("ahead", "7 3", "s"),
    ("assistant", "2 3", "D"),
    ("system", "9 3 2 3", "^"),
    ("discarded", "1 2", "v"),
)
"""Colour (a name in :data:`mini_ism.svg.LIGHT`), dashes and marker of each run; no run is told by its colour alone."""

OWN_LOOK = {"causal": 0, "prefix": 1, "ism": 2}
"""Which of :data:`LOOKS` a run has by its name, so that a mask looks the same in each picture."""

WIDTHS = (4.0, 2.6, 1.6)
"""Width of the first run's line, the second's, and all others': runs that coincide all stay visible."""


def looks(names: Collection[str]) -> list[int]:
    """Which of :data:`LOOKS` each run has: its own by its name, or one that is nobody's here."""
    owned = {OWN_LOOK.get(name) for name in names}
    free = iter([number for number in range(len(LOOKS)) if number not in owned] * len(names))
    return [OWN_LOOK[name] if name in OWN_LOOK else next(free, 0) for name in names]


def line_width(number: int) -> float:
    """Of the line that is drawn as the nth, from 0."""
    return WIDTHS[min(number, len(WIDTHS) - 1)]


def marker_size(number: int) -> float:
    """Of the nth line's markers, in points: later ones are smaller, too."""
    return max(9.0 - 2 * number, 4.0)


def plot_look(look: int) -> dict[str, Any]:
    """Colour, dashes and marker of one of :data:`LOOKS`, as matplotlib's ``plot`` takes them."""
    name, dashes, marker = LOOKS[look]
    return {
        "color": LIGHT[name],
        "linestyle": (0, tuple(map(int, dashes.split()))) if dashes else "-",
        "marker": marker,
    }
