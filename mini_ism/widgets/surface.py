"""The front end of all widgets: a picture that lights up under the mouse, says what is there, and can be clicked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
from traitlets import Dict, Unicode

Pick = Mapping[str, int | str | None]
"""What was chosen: ``{"pick": "head", "layer": 1, "head": 0}``; the picture's ``data-`` attributes by name."""

LONGEST = 200
"""No name or text in a pick is longer."""


class Surface(anywidget.AnyWidget):
    """A picture in place of ``ipywidgets.HTML``, drawn in Python as ever: set its ``value``.

    Its front end reads a few marks in the SVG or HTML, and answers to mouse, touch and keyboard alike:

    * ``<title>words</title>`` in an element, or ``title="words"``: a tooltip, at once.
    * ``data-pick="head" data-layer="1" data-head="0"``: can be chosen, by a click, a tap, or arrow keys and Enter.
      ``aria-current="true"`` marks the one that is chosen now.
    * ``data-drag="name"`` on a group round such elements: the mouse may be dragged over them and chooses each that it
      passes; arrow keys choose at once.
    * ``data-grid``, from :func:`mini_ism.views.grid.grid_data`, on the group of a matrix: its row and its column light
      up, the tooltip speaks about the cell, and a click gives ``{"pick": "grid", "row": 7, "column": 12}``; in the
      labels beside the matrix the column is None, in those above it the row.

    ::

        surface = Surface()
        surface.on_pick(lambda pick: choose(picked_index(pick, "step", below=len(film))))
        surface.value = '<svg ...><g data-drag="film"><rect data-pick="step" data-step="3">...'

    A picture that is wider than its box scrolls, as that of :func:`mini_ism.widgets.layout.legible`, and its box is
    a tab stop; when it changes, it scrolls to what has the class ``mi-touched``. A group ``mi-stay`` stays in sight.

    Light and tooltips need no kernel, and nothing is loaded from anywhere. All text in ``value`` must be escaped.

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
        """Call ``handler`` with each pick from the page; what is not one is ignored."""

        def handle(change: Any) -> None:
            pick = checked_pick(change["new"])
            if pick is not None:
                handler(pick)

        self.observe(handle, "event")


def checked_pick(event: Mapping[Any, Any]) -> Pick | None:
    """A message of the page as a pick, or ``None`` if it is not one: pages can send anything."""
    pick = {name: value for name, value in event.items() if name != "count"}
    plain = all(
        isinstance(name, str)
        and len(name) <= LONGEST
        and (value is None or type(value) is int or (isinstance(value, str) and len(value) <= LONGEST))
        for name, value in pick.items()
    )
    return pick if plain and isinstance(pick.get("pick"), str) else None


def picked_index(pick: Pick, name: str, *, below: int) -> int | None:
    """A whole number of a pick, from 0 to below a limit; ``None`` if it has none such (the picture has moved on)."""
    value = pick.get(name)
    return value if isinstance(value, int) and 0 <= value < below else None
