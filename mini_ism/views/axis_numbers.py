"""The tick values along an axis, and how they are written."""

from __future__ import annotations

import math


def ticks(end: float, count: int) -> list[float]:
    """About ``count`` round numbers from 0 up to ``end``."""
    rough = end / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * unit for unit in (1, 2, 5, 10) if power * unit >= rough * (1 - 1e-9))
    return [round(n * step, 10) for n in range(int(end / step * (1 + 1e-9)) + 1)]


def short(value: float) -> str:
    """A number on an axis: ``1500`` as ``1.5k``."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
