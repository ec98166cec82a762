"""A box to type a message into, for a chat: Enter sends, and what is typed next is the next message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
from traitlets import Unicode


class MessageBox(anywidget.AnyWidget):
    """A text area in which Enter sends the text, and Shift+Enter begins a new line.

    The page empties it immediately, without waiting for Python: no keystroke is lost or joins the wrong message.

    Args:
        label: its accessible name.
        placeholder: shown while it is empty.
    """

    _esm = Path(__file__).with_name("message_box.js")
    _css = Path(__file__).with_name("message_box.css")
    label = Unicode("").tag(sync=True)
    placeholder = Unicode("").tag(sync=True)
    told = Unicode("").tag(sync=True)

    def __init__(self, label: str = "", placeholder: str = "", **traits: Any) -> None:
        super().__init__(label=label, placeholder=placeholder, **traits)

    @property
    def value(self) -> str:
        """Its text as the page last reported it, when it lost focus. Setting it keeps what has been typed since."""
        return self.told

    @value.setter
    def value(self, text: str) -> None:
        self.send({"was": self.told, "now": text})
        self.told = text

    def on_enter(self, handler: Callable[[str], None]) -> None:
        """Call ``handler`` with each text that was sent; the box is empty by then, or holds what was typed since."""

        def handle(_: object, message: Any, __: object) -> None:
            text = message.get("entered", message.get("typed")) if isinstance(message, dict) else None
            if isinstance(text, str):  # pages can send anything
                self.told = "" if "entered" in message else text
                if "entered" in message:
                    handler(text)

        self.on_msg(handle)
