"""A picture that is also its text alternative: in a notebook's output, and as a file of its own for a slide."""

from __future__ import annotations

import re
from base64 import b64encode
from html import escape
from typing import Any

from mini_ism.views.styles import DARK, EITHER, LIGHT
from mini_ism.views.svg import STYLE, captioned

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
PAPERS = {False: ("#ffffff", "#333333", "#616161"), True: ("#111111", "#e0e0e0", "#b0b0b0")}
"""Background, text and faint text colours of a light and of a dark picture."""
VARIABLE = re.compile(r"var\(--([\w-]+),([^()]*)\)")
"""A CSS variable and its default."""


class Picture(str):
    """A picture as text (an SVG element, or HTML made of words), with a sentence that says what it shows.

    In a widget it follows the page's theme. As a notebook's output it takes the form that :func:`bundle` gives it.
    """

    alt: str
    caption: str

    def __new__(cls, html: str, alt: str, caption: str = "") -> Picture:
        """The string itself is the SVG or HTML; the caption appears below it in a notebook's output."""
        picture = super().__new__(cls, html)
        picture.alt, picture.caption = alt, caption
        return picture

    def still(self) -> str:
        """The picture as HTML that displays wherever a notebook does (:func:`bundle` says why)."""
        shown = image(self, self.alt) if self.startswith("<svg") else str(self)
        return settled(captioned(shown, self.caption) if self.caption else shown)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        return bundle(self.alt, self.still())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self.alt)  # otherwise IPython would print the string itself


Bundle = tuple[dict[str, Any], dict[str, Any]]
"""Jupyter's data and metadata of one output: its representations by MIME type, and facts about them."""


def bundle(alt: str, shown: bytes | str, model_id: str | None = None) -> Bundle:
    """One output in all its forms: a sentence, a still picture, and the live widget where there is a kernel.

    A notebook that somebody else ran is not trusted: JupyterLab and GitHub strip scripts, styles, CSS variables and
    inline SVG from its outputs, and leave the text that was inside them. What survives is a PNG, an ``<img>`` with a
    data URL, and plain HTML; so an output holds nothing else, whether the notebook is trusted or not.

    Args:
        alt: what it shows, in a sentence.
        shown: a PNG file, or HTML.
        model_id: the widget's; None = no widget.
    """
    data: dict[str, Any] = {"text/plain": alt}
    metadata: dict[str, Any] = {}
    if isinstance(shown, bytes):
        data["image/png"] = b64encode(shown).decode("ascii")
        metadata["image/png"] = {"alt": alt}  # nbconvert makes it the image's alt text
    else:
        data["text/html"] = settled(shown)
    if model_id is not None:
        data[WIDGET_VIEW] = {"version_major": 2, "version_minor": 0, "model_id": model_id}
    return data, metadata


def image(picture: bytes | str, alt: str) -> str:
    """A PNG file or an SVG element as an HTML image that needs no separate file, on its own background."""
    kind, data = ("png", picture) if isinstance(picture, bytes) else ("svg+xml", standalone(picture).encode())
    source = f"data:image/{kind};base64,{b64encode(data).decode('ascii')}"
    return f'<img alt="{escape(alt)}" src="{source}" style="max-width:100%">'


def settled(html: str) -> str:
    """HTML without style sheets and CSS variables: text in the page's colour, accents in colours that suit any page."""
    values = {f"mi-{name}": value for name, value in EITHER.items()}
    values |= {"jp-layout-color1": "transparent", "jp-ui-font-color1": "currentColor"}
    values |= {"jp-ui-font-color2": EITHER["hidden"]}
    return VARIABLE.sub(lambda found: values.get(found[1], found[2]), html.replace(STYLE, ""))


def standalone(picture: str, *, dark: bool = False) -> str:
    """An SVG picture that needs no page around it: every colour is spelled out, and it has a background.

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
    resolved = VARIABLE.sub(lambda found: values.get(found[1], found[2]), bare)
    head, rest = resolved.split(">", 1)
    return f'{head}><rect width="100%" height="100%" fill="{paper}"/>{rest}'
