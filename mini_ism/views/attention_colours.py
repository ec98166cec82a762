"""Attention as colours: weights on cividis, differences on blue to red, both on a square-root scale.

Half of a row's attention may lie on one token and the rest be spread over fifty; the root makes both visible.
"""

from __future__ import annotations

import io
from base64 import b64encode
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from PIL import Image

WEIGHTS, DIFFERENCES = "cividis", "RdBu_r"
"""matplotlib's names for the colour maps; both are safe for colour-blind readers."""
TICKS = {False: (0.0, 0.1, 0.5, 1.0), True: (-1.0, -0.25, 0.0, 0.25, 1.0)}
"""The values labelled on a scale, without and with negative numbers."""


class RootScale(Normalize):
    """Maps weights 0..1, or differences -1..1 if ``signed``, to 0..1 by the square root of their magnitude."""

    def __init__(self, signed: bool) -> None:
        super().__init__(-1.0 if signed else 0.0, 1.0)
        self.signed = signed

    def __call__(self, value: Any, clip: bool | None = None) -> Any:
        """The place of each value on the scale, 0..1."""
        values = np.ma.asarray(value)
        roots = np.sign(values) * np.sqrt(np.abs(values))
        return (roots + 1) / 2 if self.signed else np.clip(roots, 0, 1)

    def inverse(self, value: Any) -> Any:
        """The value at a given place on the scale."""
        roots = np.asarray(value) * 2 - 1 if self.signed else np.asarray(value)
        return np.sign(roots) * roots**2


def percent(share: float, signed: bool) -> str:
    """A weight as text, ``35%``, or a difference, ``+35%``."""
    return f"{share:+.0%}".replace("-", "−") if signed and share else f"{share:.0%}"


def coloured(values: Any, shown: Any, *, signed: bool) -> np.ndarray:
    """A matrix as pixels: ``[R, C]`` numbers -> ``[R, C, 4]`` bytes (RGBA); transparent where ``shown`` is False."""
    numbers = np.asarray(values, dtype=np.float64)
    pixels = colormaps[DIFFERENCES if signed else WEIGHTS](RootScale(signed)(numbers), bytes=True)
    pixels[~np.broadcast_to(np.asarray(shown, dtype=bool), numbers.shape)] = 0
    return np.asarray(pixels)


def data_link(pixels: np.ndarray) -> str:
    """Pixels ``[R, C, 4]`` as a PNG inside a ``data:`` link."""
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(buffer, "PNG")
    return "data:image/png;base64," + b64encode(buffer.getvalue()).decode("ascii")


def image(pixels: np.ndarray, x: float, y: float, width: float, height: float) -> str:
    """Pixels as an SVG image, each a sharp-edged square."""
    return (
        f'<image x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="{data_link(pixels)}"/>'
    )


def thumbnail(values: np.ndarray, most: int) -> np.ndarray:
    """A smaller matrix, at most ``most`` a side; each cell is the value of largest magnitude in its block.

    Not the mean, which would average a thin line of attention away.
    """
    block = -(-max(values.shape) // most)
    if block == 1:
        return values
    rows, columns = (range(0, size, block) for size in values.shape)

    def pooled(choose: np.ufunc) -> np.ndarray:
        return np.asarray(choose.reduceat(choose.reduceat(values, rows, axis=0), columns, axis=1))

    high, low = pooled(np.maximum), pooled(np.minimum)
    return np.where(np.abs(high) >= np.abs(low), high, low)
