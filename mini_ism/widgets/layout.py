"""How the explorers are laid out: controls beside their picture or above it, and the dialogue it is drawn from last.

Not with ``ipywidgets.Layout`` alone, which cannot respond to the width of the page.
"""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets as w

from mini_ism.widgets import icons
from mini_ism.widgets.panel import heading

STYLE = (
    "<style>.mi-explorer>.mi-parts.widget-box{display:grid;grid-template-columns:minmax(0,1fr);gap:4px 20px;"
    "overflow:visible}"
    "@container (min-width:820px){.mi-explorer>.mi-parts.widget-box{grid-template-columns:340px minmax(0,1fr);"
    'grid-template-areas:"controls view" "sources view";grid-template-rows:auto 1fr}'
    ".mi-parts>.mi-controls{grid-area:controls}.mi-parts>.mi-view{grid-area:view}"
    ".mi-parts>.mi-sources{grid-area:sources}}</style>"
)
"""Two columns where the page has room for them, else one; the tab order is the same in both."""


LEGIBLE = 560  # pixels


def legible(picture: str) -> str:
    """A picture for a Surface that does not shrink until it is illegible: on a narrow page it scrolls instead."""
    return f'<div style="min-width:{LEGIBLE}px">{picture}</div>'


def group(title: str, *parts: w.Widget) -> w.VBox:
    """Controls that belong together, under a heading."""
    return w.VBox([heading(title), *parts], layout=w.Layout(overflow="visible"))


def in_line(*parts: w.Widget) -> w.HBox:
    """Controls in a line, wrapped where the page is narrow."""
    return w.HBox(parts, layout=w.Layout(flex_flow="row wrap", overflow="visible"))


def arrange(
    box: w.Box, *, controls: Sequence[w.Widget], view: Sequence[w.Widget], sources: Sequence[w.Widget]
) -> list[w.Widget]:
    """The children of an explorer's box: controls, the picture beside or below them, and its sources."""
    box.add_class("mi-explorer")
    parts = []
    for kind, widgets in (("mi-controls", controls), ("mi-view", view), ("mi-sources", sources)):
        part = w.VBox(list(widgets), layout=w.Layout(min_width="0", overflow="visible"))
        part.add_class(kind)
        parts.append(part)
    grid = w.Box(parts)
    grid.add_class("mi-parts")
    return [w.HTML(STYLE + icons.STYLE, layout=w.Layout(display="none")), grid]
