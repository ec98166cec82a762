"""Attention weights as a map over the mask's outline: a row for each token that reads, a column for each it reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_ism import svg
from mini_ism.svg import FAINT, FONT, HIDDEN, INK, PAPER, escape
from mini_ism.views.attention_colours import TICKS, RootScale, coloured, image, thumbnail
from mini_ism.views.attention_words import describe_attention, describe_difference
from mini_ism.views.axes import GUTTER, STRIP, check_position, role_bars, side_labels
from mini_ism.views.picture import Picture

LEGEND = 82  # room below
SCALE = 240  # width of the colour scale
THUMB, BETWEEN, CAPTION = 68, 14, 32  # a thumbnail's side, the space beside it, the room for its caption


def attention_map(
    weights: Any,
    allowed: Any,
    labels: Sequence[str],
    roles: Sequence[str],
    ids: Sequence[int],
    *,
    title: str,
    swapped: Any = None,
    row: int | None = None,
    size: int = 420,
) -> Picture:
    """One head's attention, with the tokens along both sides. Hovering over a row says where it looks.

    The line is the mask's outline, wherever it runs; cells that the mask hides carry no colour at all.

    Args:
        weights: ``[T, T]``, rows sum to 1; with ``swapped`` the difference of two such matrices.
        allowed: bool ``[T, T]``, the mask under which the weights came about.
        labels: what to call each position, ``[T]``; see :func:`~mini_ism.views.mask_map.mask_map` for it and the next.
        roles: of the positions, ``[T]``.
        ids: the segment of each position, ``[T]``.
        title: begins the text alternative.
        swapped: the other mask ``[T, T]``, if ``weights`` are those under it minus those under ``allowed``; its
            outline is dashed.
        row: a position to point out.
        size: of the map itself, in pixels, at most.

    Raises:
        ValueError: the shapes do not fit, or ``row`` is not a position.
    """
    values, seen = np.asarray(weights, dtype=np.float64), np.asarray(allowed, dtype=bool)
    signed = swapped is not None
    other = np.asarray(swapped, dtype=bool) if signed else seen
    total = len(labels)
    shapes = [values.shape, seen.shape, other.shape]
    if any(shape != (total, total) for shape in shapes) or not len(roles) == len(ids) == total > 0:
        raise ValueError(
            f"an attention map needs weights and masks [T, T] and T labels, roles and ids, got {shapes}, "
            f"{total}, {len(roles)} and {len(ids)}"
        )
    check_position(row, total)
    cell = round(max(min(size / total, 22.0), 1.0), 2)
    side = cell * total
    say = describe_difference if signed else describe_attention
    alt = title if row is None else f"{title}: {say(labels, row, values[row].tolist())}"
    hover = "".join(
        f'<rect class="mi-row" fill-opacity="0" y="{y * cell:g}" width="{side:g}" height="{cell:g}">'
        f"<title>{escape(say(labels, y, values[y].tolist()))}</title></rect>"
        for y in range(total)
    )
    origin = GUTTER + STRIP
    width, height = max(origin + side + 12, 520), origin + side + LEGEND
    parts = [
        f'<svg class="mi" role="img" aria-label="{escape(alt)}" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" style="{FONT};max-width:100%;height:auto" '
        f'xmlns="http://www.w3.org/2000/svg">{svg.STYLE}<g transform="translate({origin} {origin})">',
        f'<rect width="{side:g}" height="{side:g}" fill="{HIDDEN}"/>',
        image(coloured(values, seen | other, signed=signed), 0, 0, side, side),
        outline(seen, cell),
        outline(other, cell, dashed=True) if signed else "",
        role_bars(roles, cell),
        hover,
        side_labels(labels, roles, cell, row),
        _frame(row, cell, side) if row is not None else "",
        f'<g transform="translate(0 {side + 12:g})">{_scale(signed)}</g>',
        "</g></svg>",
    ]
    return Picture("".join(parts), alt)


def outline(allowed: np.ndarray, cell: float, *, dashed: bool = False) -> str:
    """The border between what a mask ``[T, T]`` shows and what it hides, as an SVG path."""
    padded = np.pad(allowed, 1)
    across = padded[1:, 1:-1] != padded[:-1, 1:-1]  # [T + 1, T]: an edge above row y
    down = (padded[1:-1, 1:] != padded[1:-1, :-1]).T  # [T + 1, T]: an edge left of column x
    path = "".join(f"M{a * cell:g} {y * cell:g}H{b * cell:g}" for y, a, b in svg.spans(across))
    path += "".join(f"M{x * cell:g} {a * cell:g}V{b * cell:g}" for x, a, b in svg.spans(down))
    dash = ' stroke-dasharray="5 3"' if dashed else ""
    name = "mi-outline-swapped" if dashed else "mi-outline"
    return (
        f'<path d="{path}" fill="none" stroke="{PAPER}" stroke-width="3.5"{dash}/>'
        f'<path class="{name}" d="{path}" fill="none" stroke="{INK}" stroke-width="1.5"{dash}/>'
    )


def _frame(row: int, cell: float, side: float) -> str:
    """A frame round the selected row; like the outline it is ink on paper, to be seen on any colour in any theme."""
    height = max(cell, 3)
    box = f'x="-2" y="{(row + 0.5) * cell - height / 2 - 2:g}" width="{side + 4:g}" height="{height + 4:g}" fill="none"'
    return "".join(
        f'<rect {box} stroke="{stroke}" stroke-width="{wide}" pointer-events="none"/>'
        for stroke, wide in ((PAPER, 4.5), (INK, 2))
    )


def _scale(signed: bool) -> str:
    """What the colours and lines mean."""
    scale = RootScale(signed)
    steps = scale.inverse(np.linspace(0, 1, 64))[None, :]
    bar = image(coloured(steps, True, signed=signed), 0, 0, SCALE, 10)
    texts = "".join(
        f'<text x="{float(scale(tick)) * SCALE:g}" y="24" font-size="12" text-anchor="middle" '
        f'fill="{INK}">{_percent(tick, signed)}</text>'
        for tick in TICKS[signed]
    )
    what = "colour: more or less attention under the swapped mask" if signed else "colour: share of the row's attention"
    line = "line: the mask's outline" + ("; dashed: the swapped one's" if signed else "")
    return (
        f'<rect x="-.5" y="-.5" width="{SCALE + 1}" height="11" fill="none" stroke="{FAINT}"/>{bar}{texts}'
        f'<text y="44" font-size="12" fill="{INK}">{what}</text><text y="61" font-size="12" fill="{INK}">{line}</text>'
    )


def _percent(share: float, signed: bool) -> str:
    return f"{share:+.0%}".replace("-", "−") if signed and share else f"{share:.0%}"


def attention_heads(
    weights: Any,
    allowed: Any,
    captions: Sequence[Sequence[str]],
    *,
    title: str,
    chosen: tuple[int, int] | None = None,
    signed: bool = False,
) -> Picture:
    """All heads of a model as thumbnails: a row for each layer, a column for each head.

    Args:
        weights: ``[layers, H, T, T]``.
        allowed: bool ``[T, T]``, the mask.
        captions: a line under each thumbnail, ``[layers][H]``.
        title: begins the text alternative, which gives the captions, too.
        chosen: layer and head to frame, from 0.
        signed: the weights are differences.

    Raises:
        ValueError: the shapes do not fit.
    """
    values, seen = np.asarray(weights, dtype=np.float64), np.asarray(allowed, dtype=bool)
    counted = [len(row) for row in captions]
    if values.ndim != 4 or values.shape[2:] != seen.shape or counted != [values.shape[1]] * len(values):
        raise ValueError(
            "thumbnails need weights [layers, heads, T, T], a mask [T, T] and a caption a head, "
            f"got {values.shape}, {seen.shape} and {counted}"
        )
    layers, heads = values.shape[:2]
    said = "; ".join(
        f"layer {n + 1} head {h + 1}: {text}" for n, row in enumerate(captions) for h, text in enumerate(row)
    )
    alt = f"{title}. {said}"
    small = thumbnail(seen, THUMB)
    parts = []
    for n in range(layers):
        for h in range(heads):
            x, y = h * (THUMB + BETWEEN) + 3, n * (THUMB + CAPTION) + 3
            pixels = coloured(thumbnail(values[n, h], THUMB), small, signed=signed)
            here = (n, h) == chosen
            frame = (
                f'class="mi-chosen" stroke="{INK}" stroke-width="3"' if here else f'stroke="{FAINT}" stroke-width=".6"'
            )
            weight = ' font-weight="700"' if here else ""
            parts.append(
                f'<g transform="translate({x} {y})"><rect width="{THUMB}" height="{THUMB}" fill="{HIDDEN}"/>'
                f"{image(pixels, 0, 0, THUMB, THUMB)}"
                f'<rect width="{THUMB}" height="{THUMB}" fill="none" {frame}/>'
                f'<text x="{THUMB / 2:g}" y="{THUMB + 15}" font-size="12" text-anchor="middle" fill="{INK}"{weight}>'
                f"{escape(captions[n][h])}</text></g>"
            )
    width, height = heads * (THUMB + BETWEEN), layers * (THUMB + CAPTION)
    return Picture(
        f'<svg class="mi" role="img" aria-label="{escape(alt)}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" style="{FONT};max-width:100%;height:auto" '
        f'xmlns="http://www.w3.org/2000/svg">{svg.STYLE}{"".join(parts)}</svg>',
        alt,
    )
