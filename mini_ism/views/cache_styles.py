"""How the states of a cached position look: a colour and a pattern each, so that none relies on colour alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from mini_ism.views import svg
from mini_ism.views.svg import FAINT, FONT, INK, PAPER, STYLE
from mini_ism.views.timeline import Frame, State

STATES: dict[State, str] = {
    "waiting": "not read yet",
    "reused": "kept from an earlier turn",
    "computed": "read in this turn",
    "decoded": "written",
    "discarded": "thrown away",
    "stale": "kept, but no longer right",
}
"""What the legend says about each state."""
HATCHES: dict[State, str] = {
    "waiting": "",
    "reused": "",
    "computed": "////",
    "decoded": "..",
    "discarded": "xx",
    "stale": "oo",
}
"""The same in print: matplotlib's name for each state's hatch."""
HATCH = "#5c3d00"
WARNING = "#3d3800"


def shown_styles(*frames: Frame) -> dict[State, str]:
    """The states that the legend of these frames explains; ``"stale"`` only if some lane has stale positions."""
    blind = any("stale" in lane.states for frame in frames for lane in frame.lanes.values())
    return {state: text for state, text in STATES.items() if blind or state != "stale"}


def fill(state: State) -> str:
    """A state's colour."""
    return PAPER if state in ("waiting", "discarded") else svg.colour(state)


def scope_of(text: str) -> str:
    """A name for a picture's patterns, derived from what it shows, so that no other picture on the page uses it.

    All pictures on a page share one namespace, and the first definition wins: if that picture is scrolled out of sight
    and not rendered, its patterns are missing everywhere.
    """
    return sha256(text.encode()).hexdigest()[:8]


def paint(state: State, scope: str) -> str:
    """The ``fill`` of an SVG box in that state, once :func:`patterns` of the same scope is in the picture."""
    return f"url(#mi-{state}-{scope})"


def patterns(cell: float, height: float, scope: str, states: Sequence[State] = tuple(STATES)) -> str:
    """The patterns of some states as SVG definitions; each tile is ``cell`` wide and ``height`` high."""
    tiles = (
        f'<pattern id="mi-{state}-{scope}" width="{cell:g}" height="{height:g}" '
        f'patternUnits="userSpaceOnUse"><rect width="{cell:g}" height="{height:g}" fill="{fill(state)}"/>'
        f"{_drawn(state, cell, height)}</pattern>"
        for state in states
    )
    return f"<defs>{''.join(tiles)}</defs>"


def swatch(state: State, side: float = 20) -> str:
    """One cell of a state with a border, as in a legend."""
    box = f'<rect x=".5" y=".5" width="{side - 1:g}" height="{side - 1:g}" fill="{fill(state)}" stroke="{FAINT}"/>'
    return box + _drawn(state, side, side)


def _drawn(state: State, wide: float, high: float) -> str:
    """The sign drawn in the middle of a cell."""
    x, y = wide / 2, high / 2
    arm = min(wide * 0.32, high * 0.32, 5)
    match state:
        case "reused":
            return _line(f"M{x - arm:g} {y:g}L{x - arm / 3:g} {y + arm:g}L{x + arm:g} {y - arm:g}", INK)
        case "computed":
            steps = range(0, round(high + wide) + 7, 7)
            return _line("".join(f"M0 {at}L{wide:g} {at - wide:g}" for at in steps), HATCH, 1)
        case "decoded":
            return f'<circle cx="{x:g}" cy="{y:g}" r="{min(arm, 2.6):g}" fill="{PAPER}"/>'
        case "discarded":
            cross = f"M{x - arm:g} {y - arm:g}l{2 * arm:g} {2 * arm:g}m0 {-2 * arm:g}l{-2 * arm:g} {2 * arm:g}"
            return _line(cross, svg.colour("discarded"), 2)
        case "stale":  # an exclamation mark
            return _line(f"M{x:g} {y - arm - 1:g}V{y + arm / 3:g}M{x:g} {y + arm:g}v1.6", WARNING, 2)
    return ""


def _line(path: str, stroke: str, weight: float = 1.5) -> str:
    return f'<path d="{path}" fill="none" stroke="{stroke}" stroke-width="{weight}"/>'


def legend(shown: Mapping[State, str], width: float) -> tuple[str, float]:
    """Swatches with their meanings, wrapped to ``width``, and the total height."""
    x, y, parts = 12.0, 0.0, []
    for state, text in shown.items():
        needs = 48 + 6.6 * len(text)
        if x > 12 and x + needs - 14 > width:
            x, y = 12.0, y + 26
        parts.append(
            f'<g transform="translate({x:g} {y:g})"><svg width="20" height="20">{swatch(state)}</svg>'
            f"{svg.text(text, 27, 14)}</g>"
        )
        x += needs
    return "".join(parts), y + 26 if parts else 0.0


def wrapping_legend(shown: Mapping[State, str]) -> str:
    """The same as HTML, wrapped by the page."""
    entries = "".join(
        f'<span style="display:inline-flex;align-items:center;gap:7px;margin-right:16px">'
        f'<svg width="20" height="20" aria-hidden="true">{swatch(state)}</svg>{text}</span>'
        for state, text in shown.items()
    )
    style = f"{FONT};font-size:13px;line-height:1.8;color:{INK}"
    return f'<div class="mi" role="note" aria-label="Legend" style="{style}">{STYLE}{entries}</div>'
