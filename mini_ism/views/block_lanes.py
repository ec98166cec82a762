"""A prefix cache that two conversations share: which blocks the second one reuses, under each of several masks."""

from __future__ import annotations

from collections.abc import Mapping

from mini_ism.views import svg
from mini_ism.views.axes import cell_side
from mini_ism.views.cache_strip import LANE, NARROWEST, SIDE, TOP, cell_box, cell_lines, token_axis
from mini_ism.views.cache_styles import legend, patterns, scope_of
from mini_ism.views.dialogue_view import TokenizedDialogue
from mini_ism.views.picture import Picture
from mini_ism.views.svg import INK
from mini_ism.views.timeline import State

HEAD = 24  # room for a conversation's name
NAME = 24  # room for a lane's name, above it
MEANING: dict[State, str] = {"reused": "found in the shared cache", "computed": "computed"}


def block_lanes(
    first: TokenizedDialogue, second: TokenizedDialogue, reused: Mapping[str, int], block_size: int
) -> Picture:
    """Two conversations, one after the other: which of the first one's blocks the second one can reuse.

    A frame is a block. Tokens outside any frame do not fill a block, and are not cached.

    Args:
        first: the conversation that came first, all of which was computed under every mask.
        second: the other one.
        reused: for each mask, how many positions of the second conversation were found in the cache.
        block_size: tokens per block.

    Raises:
        ValueError: more positions were found than the second conversation has.
    """
    if (most := max(reused.values(), default=0)) > len(second):
        raise ValueError(f"{most} positions cannot be found of a conversation that has {len(second)}")
    cell = cell_side(760 - 2 * SIDE, max(len(first), len(second)), least=2)
    facts = ", ".join(f"under {name} {count}" for name, count in reused.items())
    alt = (
        f"Two conversations over one cache with blocks of {block_size} tokens. The first computes all its "
        f"{len(first)} tokens. Of the second one's {len(second)} tokens, {facts} are found in the cache."
    )
    scope = scope_of(f"blocks {cell:g} {alt}")
    high = HEAD + TOP
    parts = [_head("first conversation", first, cell, high), _lane(len(first), 0, block_size, cell, high, scope)]
    high += LANE + HEAD + TOP
    parts.append(_head("second conversation", second, cell, high))
    for name, count in reused.items():
        high += NAME
        parts.append(svg.text(f"{name}: {count} of {len(second)} found", SIDE, high - 7, size=14))
        parts.append(_lane(len(second), count, block_size, cell, high, scope))
        high += LANE
    full = max(2 * SIDE + cell * max(len(first), len(second)), NARROWEST)
    meaning, below = legend(MEANING, full)
    parts.append(f'<g transform="translate(0 {high + 14})">{meaning}</g>')
    body = patterns(cell, LANE, scope, tuple(MEANING)) + "".join(parts)
    return Picture(svg.document(body, alt, full, high + 14 + below, "mi-blocks"), alt)


def _head(title: str, dialogue: TokenizedDialogue, cell: float, top: float) -> str:
    """A conversation's name and its tokens, above its lanes."""
    name = svg.text(title, SIDE, top - TOP - 6, size=14, more=' font-weight="600"')
    return f'{name}<g transform="translate({SIDE} {top:g})">{token_axis(dialogue, cell)}</g>'


def _lane(count: int, reused: int, block_size: int, cell: float, top: float, scope: str) -> str:
    """A conversation's positions, the reused ones first, and a frame round each full block."""
    spans: list[tuple[State, int, int]] = [("reused", 0, reused), ("computed", reused, count)]
    boxes = "".join(cell_box(state, start, stop, cell, scope) for state, start, stop in spans if start < stop)
    frames = "".join(
        f'<rect class="mi-block" x="{start * cell + 1:g}" y="1" width="{block_size * cell - 2:g}" '
        f'height="{LANE - 2}" fill="none" stroke="{INK}" stroke-width="2.5" rx="2"/>'
        for start in range(0, count - block_size + 1, block_size)
    )
    return f'<g transform="translate({SIDE} {top:g})">{boxes}{cell_lines(count, cell)}{frames}</g>'
