"""The cost of each turn in each conversation: a bar of positions kept and computed, plus bytes and seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mini_ism.trace import TurnCost
from mini_ism.views import svg
from mini_ism.views.cache_styles import paint, patterns, scope_of
from mini_ism.views.picture import Picture
from mini_ism.views.svg import FAINT, INK
from mini_ism.views.timeline import Stale, State

TURN, NAME, BAR = 58, 92, 320  # widths of the columns on the left
COLUMN = 96  # width of each number's column
ROW, HIGH, CELL = 22, 14, 12
SPACE = 8  # between turns
HEAD = 26


def turn_bars(
    lanes: Mapping[str, Sequence[TurnCost]],
    *,
    stale: Stale | None = None,
    turns: int | None = None,
    most: int | None = None,
    now: int | None = None,
    scope: str = "",
) -> Picture:
    """Per turn and conversation: positions kept, read and written as a bar, and counts, bytes and seconds as numbers.

    Seconds are shown only if there are any: a plan has none.

    Args:
        lanes: for each name its turns, from :func:`~mini_ism.trace.turn_costs`.
        stale: for each lane and turn, the kept positions that were stale.
        turns: leave room for this many turns, so that a film's height is constant; default, those there are.
        most: how many positions a full bar represents; default, those of the largest turn.
        now: the turn to point out.
        scope: a name that no other picture on the page has; default, one made from what it shows.
    """
    numbers = sorted({cost.turn for costs in lanes.values() for cost in costs})
    last = max([*numbers, turns or 0])
    most = most or max([cost.reused + cost.computed for costs in lanes.values() for cost in costs], default=1)
    timed = any(cost.seconds for costs in lanes.values() for cost in costs)
    columns = ["kept", "computed", "KV kB", *(["1st token ms", "turn ms"] if timed else [])]
    width = TURN + NAME + BAR + len(columns) * COLUMN + 14
    height = HEAD + last * (len(lanes) * ROW + SPACE) + 4
    facts = [
        _describe(cost, name, _wrong(stale, name, cost))
        for turn in numbers
        for name, costs in lanes.items()
        for cost in costs
        if cost.turn == turn
    ]
    alt = "What each turn cost. " + ("; ".join(facts) or "nothing yet") + "."
    scope = scope or scope_of(f"bars {alt}")
    parts = [_head(columns)]
    for turn in range(1, last + 1):
        top = HEAD + (turn - 1) * (len(lanes) * ROW + SPACE)
        parts.append(_turn(turn, top, width, turn == now))
        for number, (name, costs) in enumerate(lanes.items()):
            cost = next((each for each in costs if each.turn == turn), None)
            wrong = _wrong(stale, name, cost) if cost else 0
            parts.append(_row(name, cost, wrong, top + number * ROW, most, timed, scope))
    body = patterns(CELL, HIGH, scope, ("reused", "stale", "computed", "decoded")) + "".join(parts)
    return Picture(svg.document(body, alt, width, height, "mi-bars"), alt)


def _wrong(stale: Stale | None, name: str, cost: TurnCost) -> int:
    """How many of a turn's kept positions were stale."""
    return len((stale or {}).get(name, {}).get(cost.turn, ())) if cost.reused else 0


def _describe(cost: TurnCost, name: str, wrong: int) -> str:
    worth = f", {wrong} of them stale" if wrong else ""
    kept = f"{cost.reused} kept{worth}"
    return f"turn {cost.turn}, {name}: {kept}, {cost.computed} computed, {cost.kv_bytes / 1e3:.1f} kB"


def _head(columns: Sequence[str]) -> str:
    titles = [
        svg.text(title, _right(n), 14, fill=FAINT, more=' text-anchor="end"')
        for n, title in enumerate(columns, start=1)
    ]
    return svg.text("positions in the turn", TURN + NAME, 14, fill=FAINT) + "".join(titles)


def _right(column: int) -> int:
    """Where a column of numbers ends, counted from 1."""
    return TURN + NAME + BAR + column * COLUMN


def _turn(turn: int, top: int, width: int, now: bool) -> str:
    line = f'<path d="M0 {top - SPACE / 2:g}H{width}" stroke="{FAINT}" stroke-width=".4"/>'
    bold = ' font-weight="700"' if now else ""
    mark = f'<path class="mi-now" d="M1 {top + 4}v11l7 -5.5z" fill="{INK}"/>' if now else ""
    return line + mark + svg.text(f"turn {turn}", 12, top + 14, more=bold)


def _row(name: str, cost: TurnCost | None, wrong: int, top: int, most: int, timed: bool, scope: str) -> str:
    label = svg.text(name if len(name) <= 13 else f"{name[:12]}…", TURN + 6, top + 14, fill=INK if cost else FAINT)
    if cost is None:
        return label
    stretches: list[tuple[State, int]] = [
        ("reused", cost.reused - wrong),
        ("stale", wrong),
        ("computed", cost.prefilled),
        ("decoded", cost.decoded),
    ]
    x, boxes = 0.0, []
    for state, count in stretches:
        if count:
            wide = count / most * (BAR - 10)
            boxes.append(
                f'<rect class="mi-bar-{state}" x="{x:g}" width="{wide:g}" height="{HIGH}" '
                f'fill="{paint(state, scope)}" stroke="{FAINT}" stroke-width=".6"/>'
            )
            x += wide
    kept = f"{cost.reused} ({wrong} stale)" if wrong else str(cost.reused)
    cells = [kept, str(cost.computed), f"{cost.kv_bytes / 1e3:.1f}"]
    if timed:  # a plan has no times
        cells += [f"{s * 1e3:.1f}" if cost.seconds else "–" for s in (cost.first_token, cost.seconds)]
    numbers = (svg.text(cell, _right(n), top + 14, more=' text-anchor="end"') for n, cell in enumerate(cells, start=1))
    return f'{label}<g transform="translate({TURN + NAME} {top + 2})">{"".join(boxes)}</g>{"".join(numbers)}'
