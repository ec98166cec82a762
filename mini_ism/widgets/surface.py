"""The front end of all widgets: a picture that lights up under the mouse, says what is there, and can be clicked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
from traitlets import Dict, Unicode

Pick = Mapping[str, int | str | None]
"""A selection: ``{"pick": "head", "layer": 1, "head": 0}``; the picture's ``data-`` attributes by name."""

LONGEST = 200
"""The longest name or text that a pick may hold."""


class Surface(anywidget.AnyWidget):
    """An interactive replacement for ``ipywidgets.HTML``: draw the picture in Python, and set its ``value``.

    Its front end reads a few attributes in the SVG or HTML, and responds to mouse, touch and keyboard alike:

    * ``<title>words</title>`` in an element, or ``title="words"``: a tooltip without delay.
    * ``data-pick="head" data-layer="1" data-head="0"``: selectable, by a click, a tap, or arrow keys and Enter.
      ``aria-current="true"`` marks the one that is chosen now.
    * ``data-drag="name"`` on a group around such elements: dragging the mouse over them selects each one it passes;
      arrow keys select immediately.
    * ``data-grid``, from :func:`mini_ism.views.grid.grid_data`, on the group of a matrix: its row and its column light
      up, the tooltip describes the cell, and a click gives ``{"pick": "grid", "row": 7, "column": 12}``; in the
      labels beside the matrix the column is None, in those above it the row.

    ::

        surface = Surface()
        surface.on_pick(lambda pick: choose(picked_index(pick, "step", below=len(film))))
        surface.value = '<svg ...><g data-drag="film"><rect data-pick="step" data-step="3">...'

    A picture wider than its box (see :func:`mini_ism.widgets.layout.legible`) scrolls, and its box is a tab stop;
    on a change, it scrolls to elements with the class ``mi-touched``. Groups with the class ``mi-stay`` stay in view.

    Highlighting and tooltips need no kernel, and nothing is fetched. All text in ``value`` must be escaped.

    Args:
        value: the picture to begin with.
    """

    _esm = Path(__file__).with_name("surface.js")
    _css = Path(__file__).with_name("surface.css")
    value = Unicode("").tag(sync=True)
    event = Dict().tag(sync=True)

    def __init__(self, value: str = "", **traits: Any) -> None:
        super().__init__(value=value, **traits)

    def on_pick(self, handler: Callable[[Pick], None]) -> None:
        """Call ``handler`` with each pick from the page; malformed messages are ignored."""

        def handle(change: Any) -> None:
            pick = checked_pick(change["new"])
            if pick is not None:
                handler(pick)

        self.observe(handle, "event")


def checked_pick(event: Mapping[Any, Any]) -> Pick | None:
    """A message from the page as a pick, or ``None`` if it is malformed: pages can send anything."""
    pick = {name: value for name, value in event.items() if name != "count"}
    plain = all(
        isinstance(name, str)
        and len(name) <= LONGEST
        and (value is None or type(value) is int or (isinstance(value, str) and len(value) <= LONGEST))
        for name, value in pick.items()
    )
    return pick if plain and isinstance(pick.get("pick"), str) else None


def picked_index(pick: Pick, name: str, *, below: int) -> int | None:
    """An integer of a pick, from 0 to below a limit; ``None`` if it has none (the picture may have changed since)."""
    value = pick.get(name)
    return value if isinstance(value, int) and 0 <= value < below else None
