"""The few SVG strings that more than one floor draws with. Pure text in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape as _escape

import numpy as np

Matrix = Sequence[Sequence[bool]] | np.ndarray
"""A mask as lists or as an array."""

BACK, AHEAD, HIDDEN = (
    "var(--mi-back,#0072b2)",
    "var(--mi-ahead,#d55e00)",
    "var(--mi-hidden,#f2f2f2)",
)
"""A cell that reads backwards (or itself), one that looks ahead, one that is hidden."""
INK, FAINT = "var(--jp-ui-font-color1,#333)", "var(--jp-ui-font-color2,#616161)"
PAPER = "var(--jp-layout-color1,#fff)"
FONT = "font-family:var(--jp-ui-font-family,system-ui,sans-serif)"

ROLES = ("system", "user", "assistant")
LIGHT = {
    "back": "#0072b2",
    "ahead": "#d55e00",
    "hidden": "#f2f2f2",
    "system": "#99347a",
    "user": "#005f9e",
    "assistant": "#00684a",
    "reused": "#9bd3bf",
    "computed": "#e69f00",
    "decoded": "#0072b2",
    "discarded": "#b3261e",
    "stale": "#f0e442",
}
DARK = {
    "back": "#4aa3df",
    "ahead": "#f08a3c",
    "hidden": "#2a2a2a",
    "system": "#e8a0cc",
    "user": "#7cc4f5",
    "assistant": "#4fd1a5",
    "reused": "#2f7d66",
    "computed": "#e69f00",
    "decoded": "#4aa3df",
    "discarded": "#ff8a80",
    "stale": "#d1c21f",
}
"""Named colours on light and on dark pages, from Okabe and Ito's palette, which the colour-blind can tell apart,
darkened or lightened until text in them is legible. Pictures use them as CSS variables: ``colour("user")``."""


def escape(text: str) -> str:
    """Any text as it may stand inside SVG: no markup, and no control character, which XML cannot hold."""
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else "�" for letter in text)
    return _escape(text)


def colour(name: str) -> str:
    """A named colour as a CSS value that follows the page's theme, once :data:`STYLE` is on the page."""
    return f"var(--mi-{name},{LIGHT[name]})"


def _variables(colours: dict[str, str]) -> str:
    return ";".join(f"--mi-{name}:{value}" for name, value in colours.items())


def _dark(element: str) -> str:
    """An element on a dark page, in JupyterLab's, Colab's and VS Code's ways to say so."""
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
"""What makes the colours follow the theme; it goes inside each picture, so that each can stand alone."""


def spans(matrix: Matrix) -> list[tuple[int, int, int]]:
    """The horizontal runs of True in a matrix ``[R][T]``: (row, start, stop), row by row."""
    cells = np.asarray(matrix, dtype=np.int8)
    if cells.size == 0:
        return []
    steps = np.diff(np.pad(cells, ((0, 0), (1, 1))))  # [R, T + 1]: 1 where a run starts, -1 where it has ended
    rows, starts = np.nonzero(steps == 1)
    _, stops = np.nonzero(steps == -1)
    return list(zip(rows.tolist(), starts.tolist(), stops.tolist(), strict=True))


def runs(matrix: Matrix, cell: float = 1) -> str:
    """The True cells of a matrix ``[R][T]`` as one SVG path, a box for each horizontal run: small and quick to draw."""
    return "".join(
        f"M{start * cell:g} {y * cell:g}h{(stop - start) * cell:g}v{cell:g}h{(start - stop) * cell:g}z"
        for y, start, stop in spans(matrix)
    )


def cells(matrix: Matrix, cell: float) -> str:
    """A mask's matrix ``[T][T]`` as two paths: what reads backwards, and what looks ahead."""
    allowed = np.asarray(matrix, dtype=bool)
    return (
        f'<path d="{runs(np.tril(allowed), cell)}" fill="{BACK}"/>'
        f'<path d="{runs(np.triu(allowed, 1), cell)}" fill="{AHEAD}"/>'
    )


def borders(ids: Sequence[int], cell: float) -> str:
    """Lines across a square matrix, at each change of segment id."""
    size = len(ids) * cell
    cuts = [i * cell for i in range(1, len(ids)) if ids[i] != ids[i - 1]]
    lines = "".join(f"M{c:g} 0V{size:g}M0 {c:g}H{size:g}" for c in cuts)
    return f'<path d="{lines}" stroke="{PAPER}" stroke-width="1.5" fill="none"/>'


def bool_grid(matrix: Matrix, title: str, ids: Sequence[int], cell: float = 9) -> str:
    """A mask matrix ``[T][T]`` as a small picture with a line at each change of segment id.

    The title is the picture's text alternative and the caption under it.
    """
    size = len(matrix) * cell
    return (
        f'<div class="mi"><svg role="img" aria-label="{escape(title)}" width="{size:g}" height="{size:g}" '
        f'viewBox="0 0 {size:g} {size:g}"><title>{escape(title)}</title>{STYLE}'
        f'<rect width="{size:g}" height="{size:g}" fill="{HIDDEN}"/>{cells(matrix, cell)}{borders(ids, cell)}</svg>'
        f'<div style="color:{INK};font-size:12px;line-height:1.4">{escape(title)}</div></div>'
    )
