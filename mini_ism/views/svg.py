"""The building blocks of all SVG pictures: colours that follow the page's theme, the document, and its cells.

Text in, text out.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape as _escape

import numpy as np

from mini_ism.dialogue import ROLES
from mini_ism.views.styles import DARK, LIGHT

Matrix = Sequence[Sequence[bool]] | np.ndarray
"""A mask as lists or as an array."""


def colour(name: str) -> str:
    """A named colour as a CSS value that follows the page's theme, once :data:`STYLE` is on the page."""
    return f"var(--mi-{name},{LIGHT[name]})"


BACK, AHEAD, HIDDEN = colour("back"), colour("ahead"), colour("hidden")
"""A cell that reads backwards (or itself), one that looks ahead, one that is hidden."""
INK, FAINT = "var(--jp-ui-font-color1,#333)", "var(--jp-ui-font-color2,#616161)"
PAPER = "var(--jp-layout-color1,#fff)"
FONT = "font-family:var(--jp-ui-font-family,system-ui,sans-serif)"


def escape(text: str) -> str:
    """Any text, made safe inside SVG: no markup, and no control characters, which XML does not allow."""
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else "�" for letter in text)
    return _escape(text)


def _variables(colours: dict[str, str]) -> str:
    return ";".join(f"--mi-{name}:{value}" for name, value in colours.items())


def _dark(element: str) -> str:
    """A selector for an element on a dark page, as JupyterLab, Colab and VS Code mark one."""
    return ",".join(
        f"{page} {element}" for page in ('[data-jp-theme-light="false"]', "html[theme=dark]", ".vscode-dark")
    )


STYLE = (
    f"<style>.mi,.mi-widget{{{_variables(LIGHT)}}}"
    f"{_dark('.mi')},{_dark('.mi-widget')}{{{_variables(DARK)}}}"
    ".mi .mi-row{fill:transparent}.mi .mi-row:hover{fill:currentColor;fill-opacity:.18}"
    # labels of a widget's text boxes, in the colour of the role that speaks
    + "".join(f".mi-{role}>.widget-label{{color:var(--mi-{role});font-weight:600}}" for role in ROLES)
    + "</style>"
)
"""The style sheet that makes the colours follow the theme; each picture includes it, so that each can stand alone."""


def document(body: str, alt: str, width: float, height: float, kind: str = "") -> str:
    """A picture as one ``<svg>`` element that fits its page and says what it shows.

    Args:
        body: the elements inside.
        alt: the text alternative.
        width: in pixels.
        height: in pixels.
        kind: a CSS class in addition to ``mi``.
    """
    return (
        f'<svg class="{f"mi {kind}".strip()}" role="img" aria-label="{escape(alt)}" width="{width:g}" '
        f'height="{height:g}" viewBox="0 0 {width:g} {height:g}" style="{FONT};max-width:100%;height:auto" '
        f'xmlns="http://www.w3.org/2000/svg">{STYLE}{body}</svg>'
    )


def text(content: str, x: float, y: float, *, size: float = 12, fill: str = INK, more: str = "") -> str:
    """A line of text; ``more`` holds further attributes."""
    return f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{fill}"{more}>{escape(content)}</text>'


def current(chosen: bool) -> str:
    """The attribute that marks the current one among selectable elements."""
    return ' aria-current="true"' if chosen else ""


def stretches(values: Sequence[object]) -> list[tuple[int, int]]:
    """Where neighbouring values are equal: (start, stop) of each stretch."""
    starts = [i for i in range(len(values)) if i == 0 or values[i] != values[i - 1]]
    return list(zip(starts, [*starts[1:], len(values)], strict=False))  # no values: no stretch


def spans(matrix: Matrix) -> list[tuple[int, int, int]]:
    """The horizontal runs of True in a matrix ``[R][T]``: (row, start, stop), row by row."""
    cells = np.asarray(matrix, dtype=np.int8)
    if cells.size == 0:
        return []
    steps = np.diff(np.pad(cells, ((0, 0), (1, 1))))  # [R, T + 1]: 1 where a run starts, -1 where it has ended
    rows, starts = np.nonzero(steps == 1)
    _, stops = np.nonzero(steps == -1)
    return list(zip(rows.tolist(), starts.tolist(), stops.tolist(), strict=True))


def boxes(matrix: Matrix, cell: float = 1) -> str:
    """The True cells of a matrix ``[R][T]`` as one SVG path, a box for each horizontal run: small and quick to draw."""
    return "".join(
        f"M{start * cell:g} {y * cell:g}h{(stop - start) * cell:g}v{cell:g}h{(start - stop) * cell:g}z"
        for y, start, stop in spans(matrix)
    )


def cells(matrix: Matrix, cell: float) -> str:
    """A mask's matrix ``[T][T]`` as two paths: what reads backwards, and what looks ahead."""
    allowed = np.asarray(matrix, dtype=bool)
    return (
        f'<path d="{boxes(np.tril(allowed), cell)}" fill="{BACK}"/>'
        f'<path d="{boxes(np.triu(allowed, 1), cell)}" fill="{AHEAD}"/>'
    )


def borders(ids: Sequence[int], cell: float) -> str:
    """Lines across a square matrix, at each change of segment id."""
    size = len(ids) * cell
    cuts = [start * cell for start, _ in stretches(ids)[1:]]
    lines = "".join(f"M{c:g} 0V{size:g}M0 {c:g}H{size:g}" for c in cuts)
    return f'<path d="{lines}" stroke="{PAPER}" stroke-width="1.5" fill="none"/>'


def bool_grid(matrix: Matrix, alt: str, ids: Sequence[int], cell: float = 9) -> str:
    """A mask matrix ``[T][T]`` as a small picture with a line at each change of segment id.

    Args:
        matrix: True = may attend.
        alt: the text alternative.
        ids: the segment of each position.
        cell: the side of a cell in pixels.
    """
    size = len(matrix) * cell
    paper = f'<rect width="{size:g}" height="{size:g}" fill="{HIDDEN}"/>'
    return document(f"{paper}{cells(matrix, cell)}{borders(ids, cell)}", alt, size, size)


def captioned(picture: str, caption: str) -> str:
    """A picture as HTML with a line of text under it."""
    line = f'<div style="color:{INK};font-size:12px;line-height:1.4">{escape(caption)}</div>'
    return f'<div class="mi">{picture}{line}</div>'
