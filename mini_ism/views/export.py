"""A picture as a file of its own, for a paper or a slide."""

from __future__ import annotations

import re

from mini_ism.svg import DARK, LIGHT, STYLE

PAPERS = {False: ("#ffffff", "#333333", "#616161"), True: ("#111111", "#e0e0e0", "#b0b0b0")}
"""Paper, ink and faint ink of a light and of a dark picture."""


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
