"""Attention as SVG: one head's weights as a map, all heads as thumbnails, one row in its three stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mini_ism.views import svg
from mini_ism.views.attention_colours import TICKS, RootScale, coloured, image, percent, thumbnail
from mini_ism.views.axes import (
    GUTTER,
    STRIP,
    cell_side,
    check_position,
    emphasis,
    fit_labels,
    hover_rows,
    map_size,
    outline,
    short_label,
    side_bars,
    side_labels,
)
from mini_ism.views.descriptions import describe_attention, describe_difference
from mini_ism.views.dialogue_view import TokenizedDialogue
from mini_ism.views.grid import grid_data
from mini_ism.views.picture import Picture
from mini_ism.views.svg import AHEAD, BACK, FAINT, HIDDEN, INK, PAPER, escape

LEGEND = 82  # room below
SCALE = 240  # width of the colour scale
THUMB, BETWEEN, CAPTION = 68, 14, 32  # a thumbnail's side, the space beside it, and room for its caption
LEFT, RIGHT, TOP = 92, 16, 8
STAGE, GAP = 56, 22  # a stage's height, and the space below it
LABELS = 92  # room for the tokens below


# -- one head, and all heads ----------------------------------------------------------------------


def attention_map(
    weights: Any,
    allowed: Any,
    dialogue: TokenizedDialogue,
    *,
    title: str = "Attention",
    swapped: Any = None,
    row: int | None = None,
    size: int | None = None,
) -> Picture:
    """One head's attention, with the tokens along both sides. Hovering over a row says where it attends.

    The line is the mask's outline; cells that the mask hides carry no colour at all.

    Args:
        weights: ``[T, T]``, rows sum to 1; with ``swapped`` the difference of two such matrices.
        allowed: bool ``[T, T]``, the mask under which the weights were computed.
        dialogue: its tokens, from :func:`~mini_ism.views.dialogue_view.tokenized`.
        title: begins the text alternative.
        swapped: the other mask ``[T, T]``, if ``weights`` are those under it minus those under ``allowed``; its outline
            is dashed.
        row: a position to point out.
        size: of the map itself, in pixels, at most; default, large enough to label each token, within limits.

    Raises:
        ValueError: the shapes do not fit, or ``row`` is not a position.
    """
    values, seen = np.asarray(weights, dtype=np.float64), np.asarray(allowed, dtype=bool)
    signed = swapped is not None
    other = np.asarray(swapped, dtype=bool) if signed else seen
    total = len(dialogue)
    shapes = [values.shape, seen.shape, other.shape]
    if any(shape != (total, total) for shape in shapes) or not total:
        raise ValueError(f"an attention map needs weights and masks [T, T] and T tokens, got {shapes} and {total}")
    check_position(row, total)
    cell = cell_side(map_size(total) if size is None else size, total)
    side = cell * total
    describe = describe_difference if signed else describe_attention
    sentences = [describe(values[y], dialogue, y) for y in range(total)]
    alt = title if row is None else f"{title}: {sentences[row]}"
    origin = GUTTER + STRIP
    names = [dialogue.name(position) for position in range(total)]
    codes, phrases = _phrases(values, seen | other, signed)
    parts = [
        f'<g transform="translate({origin} {origin})" {grid_data(names, codes, phrases, cell, row)}>',
        f'<rect width="{side:g}" height="{side:g}" fill="{HIDDEN}"/>',
        image(coloured(values, seen | other, signed=signed), 0, 0, side, side),
        outline(seen, cell),
        outline(other, cell, dashed=True) if signed else "",
        side_bars(dialogue.roles, cell),
        hover_rows(sentences, cell),
        side_labels(dialogue, cell, row),
        _frame(row, cell, side) if row is not None else "",
        f'<g transform="translate(0 {side + 12:g})">{_scale(signed)}</g>',
        "</g>",
    ]
    return Picture(svg.document("".join(parts), alt, max(origin + side + 12, 520), origin + side + LEGEND), alt)


def _phrases(values: np.ndarray, seen: np.ndarray, signed: bool) -> tuple[np.ndarray, list[str]]:
    """What the tooltips say: the index of each cell's phrase ``[T, T]``, and the phrases."""
    shares = np.rint(np.clip(values, -1, 1) * 100).astype(int)
    keys = np.where(seen, 4 * (shares + 100) + 2 + np.triu(np.ones_like(shares), 1), 0)
    found, codes = np.unique(keys, return_inverse=True)
    phrases = [
        "{row} does not see {column}: hidden"
        if key == 0
        else f"{{row}} reads {{column}}: {percent((key // 4 - 100) / 100, signed)}{', ahead' if key % 2 else ''}"
        for key in found.tolist()
    ]
    return codes, phrases


def _frame(row: int, cell: float, side: float) -> str:
    """A frame round the selected row; two-toned, like the outline, so that it is visible on any colour in any theme."""
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
        f'fill="{INK}">{percent(tick, signed)}</text>'
        for tick in TICKS[signed]
    )
    what = "colour: more or less attention under the swapped mask" if signed else "colour: share of the row's attention"
    line = "line: the mask's outline" + ("; dashed: the swapped one's" if signed else "")
    return (
        f'<rect x="-.5" y="-.5" width="{SCALE + 1}" height="11" fill="none" stroke="{FAINT}"/>{bar}{texts}'
        f'<text y="44" font-size="12" fill="{INK}">{what}</text><text y="61" font-size="12" fill="{INK}">{line}</text>'
    )


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
        title: begins the text alternative, which also gives the captions.
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
    summary = "; ".join(
        f"layer {n + 1} head {h + 1}: {text}" for n, row in enumerate(captions) for h, text in enumerate(row)
    )
    alt = f"{title}. {summary}"
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
                f'<g data-pick="head" data-layer="{n}" data-head="{h}"{svg.current(here)} '
                f'transform="translate({x} {y})">'
                f'<title>Layer {n + 1}, head {h + 1}</title><rect width="{THUMB}" height="{THUMB}" fill="{HIDDEN}"/>'
                f"{image(pixels, 0, 0, THUMB, THUMB)}"
                f'<rect width="{THUMB}" height="{THUMB}" fill="none" {frame}/>'
                f'<text x="{THUMB / 2:g}" y="{THUMB + 15}" font-size="12" text-anchor="middle" fill="{INK}"{weight}>'
                f"{escape(captions[n][h])}</text></g>"
            )
    width, height = heads * (THUMB + BETWEEN), layers * (THUMB + CAPTION)
    return Picture(svg.document("".join(parts), alt, width, height), alt)


# -- one row --------------------------------------------------------------------------------------


def attention_row(
    scores: Any,
    allowed: Any,
    weights: Any,
    dialogue: TokenizedDialogue,
    row: int,
    *,
    width: int = 620,
) -> Picture:
    """How one token's attention is computed: a bar for each token it may or may not read.

    Args:
        scores: ``[T]``, query times key, any sign.
        allowed: bool ``[T]``, row ``row`` of the mask.
        weights: ``[T]``, the softmax of the allowed scores.
        dialogue: its tokens.
        row: the position that reads.
        width: in pixels, at most.

    Raises:
        ValueError: the lengths differ, or ``row`` is not a position.
    """
    total = len(dialogue)
    raw, shares = np.asarray(scores, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    seen = np.asarray(allowed, dtype=bool)
    if {len(raw), len(shares), len(seen)} != {total}:
        raise ValueError(
            "a row needs as many scores, mask cells and weights as there are tokens; "
            f"got {len(raw)}, {len(seen)}, {len(shares)} and {total} tokens"
        )
    check_position(row, total)
    cell = cell_side(width - LEFT - RIGHT, total, least=0)
    side = cell * total
    alt = (
        f"Three stages of one row. Scores from {raw.min():.1f} to {raw.max():.1f}; the mask hides "
        f"{int((~seen).sum())} of {total}; after the softmax {describe_attention(shares, dialogue, row)}"
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
    tips = [
        f"{dialogue.name(i)}: score {raw[i]:.1f}, {percent(float(shares[i]), False) if seen[i] else 'hidden'}"
        for i in range(total)
    ]
    body = (
        f'{_hatch()}{drawn}<g transform="translate({LEFT} {bottom + 8})">{_tokens(dialogue, row, cell)}</g>'
        f'<g transform="translate({LEFT} {TOP})">{_choices(tips, row, cell, bottom + LABELS - TOP)}</g>'
    )
    return Picture(svg.document(body, alt, max(LEFT + side + RIGHT, 420), bottom + LABELS), alt)


def _hatch() -> str:
    """The pattern that marks hidden tokens, so that they are not told by colour alone."""
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


def _tokens(dialogue: TokenizedDialogue, row: int, cell: float) -> str:
    """The tokens below the bars: as many as there is room for, and always the one that reads."""
    shown, size = fit_labels(len(dialogue), cell, row)
    return "".join(
        f'<text transform="translate({(i + 0.5) * cell:g} 0) rotate(-90)" text-anchor="end" '
        f'dominant-baseline="central" font-size="{size:g}" fill="{svg.colour(dialogue.roles[i])}"{emphasis(i == row)}>'
        f"{escape(short_label(dialogue.labels[i]))}</text>"
        for i in shown
    )


def _choices(tips: Sequence[str], row: int, cell: float, height: float) -> str:
    """A transparent, selectable box over each token's bars and label, with a tooltip that says what they show."""
    return "".join(
        f'<rect data-pick="token" data-token="{i}"{svg.current(i == row)} x="{i * cell:g}" '
        f'width="{cell:g}" height="{height:g}" fill-opacity="0"><title>{escape(tip)}</title></rect>'
        for i, tip in enumerate(tips)
    )
