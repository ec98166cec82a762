"""One row of attention in three stages: scores, what the mask leaves of them, softmax."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_ism import svg
from mini_ism.svg import AHEAD, BACK, FAINT, FONT, HIDDEN, INK, escape
from mini_ism.views.attention_words import describe_attention
from mini_ism.views.picture import Picture

LEFT, RIGHT, TOP = 92, 16, 8
STAGE, GAP = 56, 22  # a stage's height, and the space below it
LABELS = 92  # room for the tokens below
STEP = 12  # least distance between two labels
LONGEST_LABEL = 12


def attention_row(
    scores: Any,
    allowed: Any,
    weights: Any,
    labels: Sequence[str],
    roles: Sequence[str],
    row: int,
    *,
    width: int = 620,
) -> Picture:
    """How one token's attention comes about: a bar for each token it may or may not read.

    Args:
        scores: ``[T]``, query times key, any sign.
        allowed: bool ``[T]``, row ``row`` of the mask.
        weights: ``[T]``, the softmax of the allowed scores.
        labels: what to call each position, ``[T]``.
        roles: of the positions, ``[T]``.
        row: the position that reads.
        width: in pixels, at most.

    Raises:
        ValueError: the lengths differ, or ``row`` is not a position.
    """
    total = len(labels)
    raw, shares = np.asarray(scores, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    seen = np.asarray(allowed, dtype=bool)
    if {len(raw), len(shares), len(seen), len(roles)} != {total} or not 0 <= row < total:
        raise ValueError(
            f"a row needs as many scores, mask cells, weights, labels and roles, and one of their positions; "
            f"got {len(raw)}, {len(seen)}, {len(shares)}, {total}, {len(roles)} and row {row}"
        )
    cell = round(min((width - LEFT - RIGHT) / total, 22.0), 2)
    side = cell * total
    alt = (
        f"Three stages of one row. Scores from {raw.min():.1f} to {raw.max():.1f}; the mask hides "
        f"{int((~seen).sum())} of {total}; after the softmax {describe_attention(labels, row, shares.tolist())}"
    )
    largest, most = max(float(np.abs(raw).max()), 1e-9), max(float(shares.max()), 1e-9)
    stages = [
        ("scores", f"largest {raw.max():.1f}", _bars(raw / largest, np.ones_like(seen), row, cell, signed=True)),
        ("mask", "hidden: −∞", _bars(raw / largest, seen, row, cell, signed=True)),
        ("softmax", f"largest {shares.max():.0%}", _bars(shares / most, seen, row, cell, signed=False)),
    ]
    drawn = "".join(
        f'<g transform="translate({LEFT} {TOP + n * (STAGE + GAP)})">'
        f'<text x="-10" y="{STAGE / 2 - 7:g}" text-anchor="end" dominant-baseline="central" font-size="14" '
        f'font-weight="600" fill="{INK}">{name}</text>'
        f'<text x="-10" y="{STAGE / 2 + 11:g}" text-anchor="end" dominant-baseline="central" font-size="12" '
        f'fill="{FAINT}">{note}</text>{bars}'
        f'<rect width="{side:g}" height="{STAGE}" fill="none" stroke="{FAINT}" stroke-width=".8"/></g>'
        for n, (name, note, bars) in enumerate(stages)
    )
    bottom = TOP + len(stages) * (STAGE + GAP) - GAP
    full, height = max(LEFT + side + RIGHT, 420), bottom + LABELS
    return Picture(
        f'<svg class="mi" role="img" aria-label="{escape(alt)}" width="{full:g}" height="{height}" '
        f'viewBox="0 0 {full:g} {height}" style="{FONT};max-width:100%;height:auto" '
        f'xmlns="http://www.w3.org/2000/svg">{svg.STYLE}{_hatch()}{drawn}'
        f'<g transform="translate({LEFT} {bottom + 8})">{_tokens(labels, roles, row, cell)}</g></svg>',
        alt,
    )


def _hatch() -> str:
    """What stands where the mask hides a token: told by a pattern, not by colour alone."""
    return (
        '<defs><pattern id="mi-masked" width="6" height="6" patternUnits="userSpaceOnUse">'
        f'<rect width="6" height="6" fill="{HIDDEN}"/><path d="M0 6L6 0" stroke="{FAINT}" stroke-width=".8"/>'
        "</pattern></defs>"
    )


def _bars(values: np.ndarray, seen: np.ndarray, row: int, cell: float, *, signed: bool) -> str:
    """Bars of height -1..1 round a middle line, or 0..1 from the bottom; a hatched box where nothing is seen."""
    zero = STAGE / 2 if signed else STAGE
    parts = []
    for i, value in enumerate(values):
        x, wide = i * cell, max(cell * 0.84, cell - 3)
        if not seen[i]:
            parts.append(f'<rect x="{x:g}" width="{cell:g}" height="{STAGE}" fill="url(#mi-masked)"/>')
            continue
        tall = abs(float(value)) * (zero - 2)
        y = zero - tall if value > 0 else zero
        fill = AHEAD if i > row else BACK
        parts.append(
            f'<rect x="{x + (cell - wide) / 2:g}" y="{y:.1f}" width="{wide:g}" height="{tall:.1f}" fill="{fill}"/>'
        )
    middle = f'<path d="M0 {zero:g}H{len(values) * cell:g}" stroke="{FAINT}" stroke-width=".6"/>' if signed else ""
    return "".join(parts) + middle


def _tokens(labels: Sequence[str], roles: Sequence[str], row: int, cell: float) -> str:
    """The tokens below the bars, not all where there is no room, and always the one that reads."""
    step = math.ceil(STEP / cell)
    shown = sorted({*(i for i in range(0, len(labels), step) if i == row or abs(i - row) * cell >= STEP), row})
    texts = []
    for i in shown:
        text = labels[i] if len(labels[i]) <= LONGEST_LABEL else labels[i][: LONGEST_LABEL - 1] + "…"
        bold = ' font-weight="700" text-decoration="underline"' if i == row else ""
        texts.append(
            f'<text transform="translate({(i + 0.5) * cell:g} 0) rotate(-90)" text-anchor="end" '
            f'dominant-baseline="central" font-size="12" fill="{svg.colour(roles[i])}"{bold}>{escape(text)}</text>'
        )
    return "".join(texts)
