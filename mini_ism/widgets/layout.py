"""How the explorers are laid out: controls beside their picture where the page is wide, above it where it is narrow."""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets as w

from mini_ism.widgets.panel import heading

CONTROLS, PICTURE = 340, 480
"""Least widths in pixels; a page that has no room for both puts the picture below."""


def group(title: str, *parts: w.Widget) -> w.VBox:
    """Controls that belong together, under a heading."""
    layout = w.Layout(flex=f"0 1 {CONTROLS}px", min_width="0", margin="0 16px 0 0", overflow="visible")
    return w.VBox([heading(title), *parts], layout=layout)


def beside(controls: Sequence[w.Widget], view: Sequence[w.Widget]) -> w.HBox:
    """Groups of controls, then what they change: to the right, or below when there the groups stand side by side."""
    left = w.HBox(
        list(controls),
        layout=w.Layout(flex=f"1 1 {CONTROLS}px", flex_flow="row wrap", align_content="flex-start", overflow="visible"),
    )
    # Where both are in one line, the picture takes all the room that is left.
    right = w.VBox(list(view), layout=w.Layout(flex=f"999 1 {PICTURE}px", min_width="0", overflow="visible"))
    return w.HBox([left, right], layout=w.Layout(flex_flow="row wrap", overflow="visible"))
