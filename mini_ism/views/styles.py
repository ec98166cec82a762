"""How roles, cells and masks look in every picture: the one palette, and each mask's colour, dashes, marker and hatch.

No two things in a picture differ by colour alone, and a mask looks the same in each.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypedDict

LIGHT = {
    "back": "#0072b2",
    "ahead": "#d55e00",
    "hidden": "#f2f2f2",
    "system": "#99347a",
    "user": "#005f9e",
    "assistant": "#00684a",
    "padding": "#616161",
    "reused": "#9bd3bf",
    "computed": "#e69f00",
    "decoded": "#0072b2",
    "discarded": "#b3261e",
    "stale": "#f0e442",
}
DARK = {
    "back": "#4aa3df",
    "ahead": "#f08a3c",
    "hidden": "#2a2a2a",
    "system": "#e8a0cc",
    "user": "#7cc4f5",
    "assistant": "#4fd1a5",
    "padding": "#a8a8a8",
    "reused": "#2f7d66",
    "computed": "#e69f00",
    "decoded": "#4aa3df",
    "discarded": "#ff8a80",
    "stale": "#d1c21f",
}
"""Named colours for light and for dark pages, from Okabe and Ito's palette, which is safe for colour-blind readers,
darkened or lightened until text in them is legible. Pictures use them as CSS variables:
:func:`mini_ism.views.svg.colour`."""

EITHER = {
    "back": "#1f7fc0",
    "ahead": "#c75a00",
    "hidden": "#797979",
    "system": "#b3598f",
    "user": "#2f7fb8",
    "assistant": "#128765",
    "padding": "#797979",
    "reused": "#128765",
    "computed": "#c75a00",
    "decoded": "#1f7fc0",
    "discarded": "#d64a3f",
    "stale": "#8a7d00",
}
"""The same for lines and text on a page that may be light or dark."""

ANSI = {"system": "35", "user": "34", "assistant": "32", "padding": "90"}
"""The terminal colour code of each role that a token may have: a speaker's, or padding."""

RUN_STYLES = (
    ("back", "", "o"),
    ("ahead", "7 3", "s"),
    ("assistant", "2 3", "D"),
    ("system", "9 3 2 3", "^"),
    ("discarded", "1 2", "v"),
)
"""Colour (a name in :data:`LIGHT`), dashes and marker of each run's line."""

OWN_STYLE = {"causal": 0, "prefix": 1, "ism": 2}
"""Which of :data:`RUN_STYLES` a run has by its name, so that a mask looks the same in each picture."""

WIDTHS = (4.0, 2.6, 1.6)
"""Line width of the first run, the second, and all others: runs that coincide all stay visible."""

BARS = (("#0072b2", ""), ("#d55e00", "//"), ("#009e73", ".."), ("#cc79a7", "xx"), ("#f0e442", "oo"))
"""Colour and hatch of each mask's bars."""


def run_styles(names: Collection[str]) -> list[int]:
    """Which of :data:`RUN_STYLES` each run has: its own by its name, or one that no other run here has.

    If there are masks among them, the styles of absent masks are used last: no other run should look like a mask.
    """
    owned = {OWN_STYLE[name] for name in names if name in OWN_STYLE}
    others = [number for number in range(len(RUN_STYLES)) if number not in owned]
    free = iter(sorted(others, key=lambda number: bool(owned) and number in OWN_STYLE.values()) * len(names))
    return [OWN_STYLE[name] if name in OWN_STYLE else next(free, 0) for name in names]


def line_width(number: int) -> float:
    """The width of the nth line drawn, from 0."""
    return WIDTHS[min(number, len(WIDTHS) - 1)]


def marker_size(number: int) -> float:
    """The size of the nth line's markers in points: later ones are smaller, too."""
    return max(9.0 - 2 * number, 4.0)


class PlotStyle(TypedDict):
    """What matplotlib's ``plot`` takes to draw a line in a style."""

    color: str
    linestyle: Any  # a name, or an offset and dashes
    marker: str


def plot_style(style: int) -> PlotStyle:
    """Colour, dashes and marker of one of :data:`RUN_STYLES`, as matplotlib's ``plot`` takes them."""
    name, dashes, marker = RUN_STYLES[style]
    return {
        "color": LIGHT[name],
        "linestyle": (0, tuple(map(int, dashes.split()))) if dashes else "-",
        "marker": marker,
    }
