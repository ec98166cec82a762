"""KV caches as strips: a lane for each conversation, a cell for each token, a colour and a pattern for each state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mini_ism.views import svg
from mini_ism.views.axes import cell_side, short_label
from mini_ism.views.cache_styles import STATES, legend, paint, patterns, scope_of, shown_styles
from mini_ism.views.descriptions import ranges
from mini_ism.views.dialogue_view import TokenizedDialogue
from mini_ism.views.picture import Picture
from mini_ism.views.svg import FAINT, INK, escape
from mini_ism.views.timeline import Frame, State

SIDE = 12  # margin on the left and on the right
TOP = 92  # room for the tokens above the lanes
LANE, GAP = 34, 30  # a lane's height, and the space above it, for its name and its counter
BAR = 150  # width of a full counter
NARROWEST = 520  # least width, to leave room for a legend
STEP = 10.5  # least distance between two labels
CLICKABLE = 4  # narrower cells are too small to click


def cache_strip(
    frame: Frame,
    dialogue: TokenizedDialogue,
    *,
    most: int | None = None,
    width: int = 760,
    explained: Mapping[State, str] | None = None,
    scope: str = "",
    steps: Sequence[int] = (),
) -> Picture:
    """One step of a film (:func:`~mini_ism.views.timeline.frames`) as a picture.

    States differ in colour and in pattern: kept cells carry a tick, freshly read ones are hatched, written ones carry a
    dot, discarded ones are crossed out, stale ones carry an exclamation mark. What changed in this step has a dark
    outline.

    Args:
        frame: the step.
        dialogue: its tokens; if there are fewer of them than positions, the rest have no label.
        most: the largest count of computed tokens in the film, so that bars are comparable across steps.
        width: in pixels, at most.
        explained: the states that the legend below explains; default, those of the step. If empty, no legend.
        scope: a name that no other picture on the page has; default, one made from what it shows.
        steps: for each position, the step of the film to jump to when it is chosen; if empty, nothing can be chosen
            (nor where cells are too narrow to click).
    """
    total = max(len(lane.states) for lane in frame.lanes.values())
    cell = cell_side(width - 2 * SIDE, total, least=2)
    most = most or max(1, *(lane.computed for lane in frame.lanes.values()))
    alt = "Cache lanes. " + "; ".join(
        f"{name}: {_summary(lane.states)}, {lane.computed} tokens computed so far" for name, lane in frame.lanes.items()
    )
    scope = scope or scope_of(f"strip {cell:g} {alt}")
    full = max(total * cell + 2 * SIDE, NARROWEST)
    below = TOP + len(frame.lanes) * (GAP + LANE)
    named = max(8.5 * len(name) + 14 for name in frame.lanes)
    meaning, high = legend(shown_styles(frame) if explained is None else explained, full)
    parts = [
        patterns(cell, LANE, scope),
        f'<g transform="translate({SIDE} {TOP})">{token_axis(dialogue, cell)}</g>',
    ]
    for number, (name, lane) in enumerate(frame.lanes.items()):
        top = TOP + GAP + number * (GAP + LANE)
        parts.append(f'<g transform="translate({SIDE} {top})">')
        head = svg.text(name, 0, -10, size=14, more=' font-weight="600"')
        parts.append(f'<g class="mi-stay">{head}{_counter(lane.computed, most, named)}</g>')
        parts.append(_cells(lane.states, cell, scope))
        parts.append(touched_outline(sorted(lane.touched), cell))
        parts.append("</g>")
    parts.append(_columns(frame, dialogue, steps, cell, below))
    parts.append(f'<g transform="translate(0 {below + 12})">{meaning}</g>')
    return Picture(svg.document("".join(parts), alt, full, below + high + 16), alt)


def _columns(frame: Frame, dialogue: TokenizedDialogue, steps: Sequence[int], cell: float, below: float) -> str:
    """A selectable box over each position in all lanes, with a tooltip that gives its state in each."""
    boxes = []
    for position, step in enumerate(steps if cell >= CLICKABLE else ()):
        known = ((name, lane.states) for name, lane in frame.lanes.items() if position < len(lane.states))
        said = "; ".join(f"{name}: {STATES[states[position]]}" for name, states in known)
        token = dialogue.name(position) if position < len(dialogue) else f"position {position}"
        boxes.append(
            f'<rect data-pick="step" data-step="{step}" data-token="{position}" x="{SIDE + position * cell:g}" '
            f'y="{TOP}" width="{cell:g}" height="{below - TOP:g}" fill="transparent">'
            f"<title>{escape(f'{token}. {said}')}</title></rect>"
        )
    return f'<g data-drag="tokens">{"".join(boxes)}</g>' if boxes else ""


def _summary(states: Sequence[State]) -> str:
    places: dict[State, list[int]] = {}
    for position, state in enumerate(states):
        places.setdefault(state, []).append(position)
    return ", ".join(f"{ranges(where)} {STATES[state]}" for state, where in places.items())


def _cells(states: Sequence[State], cell: float, scope: str) -> str:
    """A box for each run of equal states, and lines between the cells."""
    boxes = "".join(cell_box(states[start], start, stop, cell, scope) for start, stop in svg.stretches(states))
    return boxes + cell_lines(len(states), cell)


def cell_box(state: State, start: int, stop: int, cell: float, scope: str, more: str = "") -> str:
    """Neighbouring cells of one state; ``more`` goes inside the box."""
    box = (
        f'<rect class="mi-{state}" x="{start * cell:g}" width="{(stop - start) * cell:g}" '
        f'height="{LANE}" fill="{paint(state, scope)}"'
    )
    return f"{box}>{more}</rect>" if more else f"{box}/>"


def cell_lines(count: int, cell: float) -> str:
    """Lines round and between the cells of a lane."""
    side = count * cell
    lines = "".join(f"M{i * cell:g} 0V{LANE}" for i in range(count + 1))
    return f'<path d="{lines}M0 0H{side:g}M0 {LANE}H{side:g}" stroke="{FAINT}" stroke-width=".6" fill="none"/>'


def touched_outline(positions: Sequence[int], cell: float) -> str:
    """An outline round what changed in this step."""
    stretches = svg.stretches([position - n for n, position in enumerate(positions)])  # equal if adjacent
    return "".join(
        f'<rect class="mi-touched" x="{positions[start] * cell - 1:g}" y="-3" width="{(stop - start) * cell + 2:g}" '
        f'height="{LANE + 6}" fill="none" stroke="{INK}" stroke-width="2.5" rx="2"/>'
        for start, stop in stretches
    )


def _counter(computed: int, most: int, left: float) -> str:
    """The tokens computed so far, as a bar and a number."""
    return (
        f'<rect x="{left:g}" y="-20" width="{BAR}" height="10" fill="none" stroke="{FAINT}" stroke-width=".8"/>'
        f'<rect x="{left:g}" y="-20" width="{BAR * computed / most:g}" height="10" fill="{INK}"/>'
        + svg.text(f"{computed} computed", left + BAR + 10, -10, size=13)
    )


def token_axis(dialogue: TokenizedDialogue, cell: float) -> str:
    """The tokens above the lanes (as many as there is room for) and a bar in the colour of each role."""
    step = 1 if cell >= STEP else math.ceil(STEP / cell)
    texts = "".join(token_label(dialogue, position, cell) for position in range(0, len(dialogue), step))
    return texts + role_bars(dialogue.roles, cell)


def token_label(dialogue: TokenizedDialogue, position: int, cell: float) -> str:
    """A token above its cell."""
    return (
        f'<text transform="translate({(position + 0.5) * cell:g} -9) rotate(-90)" dominant-baseline="central" '
        f'font-size="12" fill="{svg.colour(dialogue.roles[position])}">'
        f"{escape(short_label(dialogue.labels[position]))}</text>"
    )


def role_bars(roles: Sequence[str], cell: float) -> str:
    """A bar above the lanes in the colour of each role."""
    return "".join(
        f'<rect x="{start * cell:g}" y="-4" width="{(stop - start) * cell:g}" height="4" '
        f'fill="{svg.colour(roles[start])}"/>'
        for start, stop in svg.stretches(roles)
    )
