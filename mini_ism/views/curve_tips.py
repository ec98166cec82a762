"""Tooltips over curves: what each run had reached at the place under the mouse."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise

from mini_ism.views.axis_numbers import short
from mini_ism.views.svg import escape

MOST = 60
"""The most places of a panel that a mouse can tell apart; more are thinned out."""


def curve_tips(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    form: str,
    *,
    across: str,
    x_end: float,
    size: tuple[float, float],
) -> str:
    """A transparent bar over each place where something was measured, with every run's latest value as its tooltip.

    Args:
        lines: points (x, y) by the run's name, in order of x.
        form: the format of a value, for ``str.format``.
        across: what x measures.
        x_end: where the axis ends; it begins at 0.
        size: width and height of the panel in pixels.
    """
    wide, high = size
    measured = sorted({x for points in lines.values() for x, _ in points})
    places = measured[:: max(math.ceil(len(measured) / MOST), 1)]
    edges = [0.0, *((a + b) / 2 for a, b in pairwise(places)), x_end]
    bars = []
    for x, start, stop in zip(places, edges, edges[1:], strict=False):
        values = []
        for name, points in lines.items():
            reached = bisect_right(points, x, key=lambda point: point[0])
            if reached:
                values.append(f"{name} {form.format(points[reached - 1][1])}")
        words = f"{short(x)} {across}: {', '.join(values)}"
        bars.append(
            f'<rect x="{wide * start / x_end:.1f}" width="{wide * (stop - start) / x_end:.1f}" height="{high:g}" '
            f'fill-opacity="0"><title>{escape(words)}</title></rect>'
        )
    return "".join(bars)
