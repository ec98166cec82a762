"""The few SVG strings that more than one floor draws with. Pure text in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

ALLOWED = "#0072b2"
FORBIDDEN = "#f2f2f2"
INK = "var(--jp-ui-font-color1,#333)"


def runs(matrix: Sequence[Sequence[bool]], cell: float = 1) -> str:
    """The True cells of a matrix ``[R][T]`` as one SVG path, a box for each horizontal run: small and quick to draw."""
    path = []
    for y, row in enumerate(matrix):
        x = 0
        while x < len(row):
            if not row[x]:
                x += 1
                continue
            start = x
            while x < len(row) and row[x]:
                x += 1
            path.append(f"M{start * cell:g} {y * cell:g}h{(x - start) * cell:g}v{cell:g}h{(start - x) * cell:g}z")
    return "".join(path)


def bool_grid(matrix: Sequence[Sequence[bool]], title: str, ids: Sequence[int], cell: float = 9) -> str:
    """A mask matrix ``[T][T]`` as a small picture with a line at each change of segment id.

    The title is the picture's text alternative and the caption under it.
    """
    size = len(matrix) * cell
    cuts = [i * cell for i in range(1, len(ids)) if ids[i] != ids[i - 1]]
    lines = "".join(f"M{c:g} 0V{size:g}M0 {c:g}H{size:g}" for c in cuts)
    return (
        f'<svg role="img" aria-label="{escape(title)}" width="{size:g}" height="{size:g}" '
        f'viewBox="0 0 {size:g} {size:g}"><title>{escape(title)}</title>'
        f'<rect width="{size:g}" height="{size:g}" fill="{FORBIDDEN}"/>'
        f'<path d="{runs(matrix, cell)}" fill="{ALLOWED}"/>'
        f'<path d="{lines}" stroke="#fff" stroke-width="1.5" fill="none"/></svg>'
        f'<div style="color:{INK};font-size:12px">{escape(title)}</div>'
    )
