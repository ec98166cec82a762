"""A picture that is also its text alternative, and the bundle in which a notebook keeps one."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class Picture(str):
    """A picture as HTML text (an SVG element), with the sentence that says what it shows."""

    alt: str

    def __new__(cls, html: str, alt: str) -> Picture:
        """The string itself is the HTML."""
        picture = super().__new__(cls, html)
        picture.alt = alt
        return picture

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.alt, "text/html": str(self)}

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self.alt)  # or IPython would print it as the string that it also is


def bundle(alt: str, png: bytes, model_id: str | None = None) -> dict[str, Any]:
    """One output in all its forms: a sentence, a still picture, and the live widget where there is a kernel.

    Args:
        alt: what the picture shows, in a sentence.
        png: the still picture.
        model_id: the widget's; None = no widget.
    """
    data: dict[str, Any] = {"text/plain": alt, "image/png": b64encode(png).decode("ascii")}
    if model_id is not None:
        data[WIDGET_VIEW] = {"version_major": 2, "version_minor": 0, "model_id": model_id}
    return data
