"""What all widgets share: a box, a status line, a line for errors, and a still picture for pages without a kernel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as w

from mini_ism.views.figures import Figure, png_bytes
from mini_ism.views.picture import Bundle, bundle
from mini_ism.views.svg import FAINT, FONT, INK, STYLE, colour

EXAMPLE = (
    {"role": "user", "content": "My name is Ada. The cup is in the oven. Where is the cup?"},
    {"role": "assistant", "content": "In the oven."},
    {"role": "user", "content": "What is my name?"},
    {"role": "assistant", "content": "Ada."},
)
"""The dialogue that a widget shows by default."""


class Quiet:
    """True inside ``with quiet:``, where a widget sets its own controls: their observers then do nothing.

    It is reset however the block ends: a widget that stayed quiet after an error would no longer respond.
    """

    def __init__(self) -> None:
        self._depth = 0

    def __bool__(self) -> bool:
        return self._depth > 0

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1


class Panel(ABC):
    """A widget on a page. To show it, end a cell with its name.

    Args:
        kind: its CSS class, in addition to ``mi-widget``.

    Attributes:
        box: the ipywidgets box that holds it all.
    """

    def __init__(self, kind: str) -> None:
        self._status = w.HTML()
        self._error = w.HTML()
        self._quiet = Quiet()
        self._style = w.HTML(f"{STYLE}{_WIDTH}", layout=w.Layout(display="none"))
        self.box = w.VBox(layout=w.Layout(padding="12px", width="100%", overflow="visible"))
        self.box.add_class("mi-widget")
        self.box.add_class(kind)

    @abstractmethod
    def figure(self) -> Figure:
        """What it currently shows, as a still picture with its text alternative."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        figure = self.figure()
        return bundle(figure.alt, png_bytes(figure), self.box.model_id)

    @property
    def status(self) -> str:
        """What the status line says (``""`` at first)."""
        return getattr(self, "_status_text", "")

    @property
    def error(self) -> str:
        """The error message that is shown in place; ``""`` if there is none."""
        return getattr(self, "_error_text", "")

    def _say(self, text: str) -> None:
        self._status_text = text
        put(
            self._status,
            f'<div role="status" style="{FONT};font-size:14px;line-height:1.5;color:{INK};font-weight:600">'
            f"{escape(text)}</div>",
        )

    def _attempt(self, action: Callable[[], object], whose: str = "the mask") -> bool:
        """Do something that can fail because of a rule, a model or a user; returns whether it succeeded.

        Any error is shown in place, and the widget stays usable: errors of the package, in the package's words; errors
        that a reader's own rule raises, under its name; and Ctrl-C, which ends what takes too long.

        Args:
            action: must leave everything unchanged if it fails.
            whose: what to name as the source of an error that is not the package's own.
        """
        try:
            action()
        except (TypeError, ValueError) as error:
            self._complain(str(error))
        except Exception as error:
            self._complain(f"{whose} raised {type(error).__name__}: {error}")
        except KeyboardInterrupt:
            self._complain("Stopped. What is shown stays; go on when you like.")
        else:
            return True
        return False

    def _complain(self, text: str) -> None:
        """Show an error in place; ``""`` removes it."""
        self._error_text = text
        shown = f'<div role="alert" style="{_ALERT}">⚠ {escape(text)}</div>' if text else ""
        put(self._error, shown)


_WIDTH = "<style>.mi-widget{container-type:inline-size}</style>"
"""Limits a widget to the page's width, however wide its pictures are: they scroll, and the page does not grow."""

_ALERT = (
    f"{FONT};font-size:14px;line-height:1.5;color:{INK};border-left:4px solid {colour('discarded')};"
    "padding:2px 10px;overflow-wrap:anywhere"
)


def put(widget: Any, value: Any) -> None:
    """Set a widget's value only if it changes: avoids needless traffic and flicker."""
    if widget.value != value:
        widget.value = value


def heading_html(text: str) -> str:
    """A small heading inside a widget, as HTML."""
    style = f"{FONT};font-size:13px;line-height:1.4;font-weight:600;color:{FAINT};margin-top:6px"
    return f'<div style="{style}">{escape(text)}</div>'


def heading(text: str) -> w.HTML:
    """A small heading inside a widget."""
    return w.HTML(heading_html(text))
