"""A picture that is also its text alternative: in a notebook's output, and as a file of its own for a slide."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any

from mini_ism.views.styles import DARK, LIGHT
from mini_ism.views.svg import STYLE

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
PAPERS = {False: ("#ffffff", "#333333", "#616161"), True: ("#111111", "#e0e0e0", "#b0b0b0")}
"""Paper, ink and faint ink of a light and of a dark picture."""


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


def bundle(alt: str, png: bytes, model_id: str | None = None) -> dict[str, object]:
    """One output in all its forms: a sentence, a still picture, and the live widget where there is a kernel.

    Args:
        alt: what the picture shows, in a sentence.
        png: the still picture.
        model_id: the widget's; None = no widget.
    """
    data: dict[str, object] = {"text/plain": alt, "image/png": b64encode(png).decode("ascii")}
    if model_id is not None:
        data[WIDGET_VIEW] = {"version_major": 2, "version_minor": 0, "model_id": model_id}
    return data


def standalone(picture: str, *, dark: bool = False) -> str:
    """An SVG picture that needs no page around it: every colour is spelled out, and there is paper behind it.

    Write it to a file as it is: ``Path("mask.svg").write_text(standalone(picture), encoding="utf-8")``.

    Args:
        picture: an ``<svg ...>`` element, as :func:`~mini_ism.views.mask_map.mask_map` draws it.
        dark: in the colours of a dark page.

    Raises:
        ValueError: it is not an SVG element.
    """
    if not picture.startswith("<svg"):
        raise ValueError(f"only a picture that is one <svg> element can stand alone, got {picture[:40]!r}")
    paper, ink, faint = PAPERS[dark]
    values = {f"mi-{name}": value for name, value in (DARK if dark else LIGHT).items()}
    values |= {"jp-layout-color1": paper, "jp-ui-font-color1": ink, "jp-ui-font-color2": faint}
    bare = picture.replace(STYLE, "")
    resolved = re.sub(r"var\(--([\w-]+),([^()]*)\)", lambda found: values.get(found[1], found[2]), bare)
    head, rest = resolved.split(">", 1)
    return f'{head}><rect width="100%" height="100%" fill="{paper}"/>{rest}'
