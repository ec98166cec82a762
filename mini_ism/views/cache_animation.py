"""The cache film as one animated SVG: it plays wherever a picture is shown, without a kernel and without a script.

The same frames and cells as the cache player's (:mod:`mini_ism.views.cache_strip`). The tokens
that a turn reads appear one by one at a steady pace, so that a lane with more to read visibly takes longer. The motion
is SMIL, which browsers run inside an ``<img>``, too; without SMIL, or with reduced motion, the end is shown as a still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mini_ism.views import svg
from mini_ism.views.axes import cell_side
from mini_ism.views.cache_strip import (
    LANE,
    TOP,
    cell_box,
    cell_lines,
    role_bars,
    token_axis,
    token_label,
    touched_outline,
)
from mini_ism.views.cache_styles import legend, patterns, scope_of, shown_styles
from mini_ism.views.dialogue_view import TokenizedDialogue
from mini_ism.views.picture import Picture
from mini_ism.views.svg import FAINT, INK, escape
from mini_ism.views.timeline import Frame, Lane, State

TOKEN = 0.07  # seconds for each token that is read
HOLD = {"start": 1.5, "keep": 2.5, "read": 0.7, "write": 0.4}  # seconds that a frame stays once it is complete
BREATH = 1.0  # pause at the end of a turn
END = 5.0  # for the still frame at the end
LEFT, RIGHT = 78, 140  # room for a lane's name and for its counter
GAP = 20  # below a lane
HEAD = 52  # room for the words above
DIGITS = 26  # height of a number in a counter
FADED = 0.25  # opacity of a token that has not been said yet

STYLE = (
    "<style>.mi-still{display:none}"
    "@media(prefers-reduced-motion:reduce){.mi-moving{display:none}.mi-still{display:inline}}</style>"
)


Changes = Sequence[tuple[float, object]]
"""(second, value from then on), in order; the first value applies from the beginning."""


@dataclass(frozen=True)
class Loop:
    """The clock of an SVG animation (SMIL), which loops after ``seconds``.

    Each method returns an element to place inside the element that it animates. Give that element its final value,
    which is what readers see where animations do not play.
    """

    seconds: float

    def steps(self, attribute: str, changes: Changes) -> str:
        """Let an attribute jump from value to value; ``""`` if it never changes."""
        if len(changes) < 2:
            return ""
        return f'<animate attributeName="{attribute}" {self._timing(changes)} calcMode="discrete"/>'

    def shifts(self, changes: Changes) -> str:
        """The same for a translation, ``"x y"``."""
        if len(changes) < 2:
            return ""
        return (
            f'<animateTransform attributeName="transform" type="translate" {self._timing(changes)} '
            'calcMode="discrete"/>'
        )

    def between(self, start: float, stop: float) -> str:
        """Show something from one second to another."""
        changes: list[tuple[float, object]] = [(0.0, "hidden"), (start, "visible"), (stop, "hidden")]
        if stop >= self.seconds:
            changes.pop()
        return self.steps("visibility", changes[1:] if start <= 0 else changes)

    def fade_in(self, at: float, faded: float, seconds: float = 0.4) -> str:
        """Fade something in, from ``faded`` to full opacity."""
        changes: Changes = [(0.0, faded), (at, faded), (min(at + seconds, self.seconds), 1), (self.seconds, 1)]
        return f'<animate attributeName="opacity" {self._timing(changes)}/>'

    def _timing(self, changes: Changes) -> str:
        values = ";".join(f"{value:g}" if isinstance(value, float) else str(value) for _, value in changes)
        times = ";".join(f"{round(max(at, 0.0) / self.seconds, 5):g}" for at, _ in changes)
        return f'values="{values}" keyTimes="{times}" dur="{self.seconds:g}s" repeatCount="indefinite"'


@dataclass(frozen=True)
class Shot:
    """A frame of the film, and when it begins and ends, in seconds."""

    frame: Frame
    start: float
    stop: float

    def moment(self, nth: int) -> float:
        """When the nth position that a lane touches in this shot changes."""
        return self.start + nth * TOKEN if self.frame.action == "read" else self.start


Part = Sequence[tuple[Shot, Lane]]
"""What one lane does, shot by shot."""


def shots(film: Sequence[Frame]) -> list[Shot]:
    """When each frame of a film is shown."""
    cut: list[Shot] = []
    now = 0.0
    for number, frame in enumerate(film):
        seconds = HOLD[frame.action]
        if frame.action == "read":
            seconds += TOKEN * max(len(lane.touched) for lane in frame.lanes.values())
        if number + 1 < len(film) and film[number + 1].turn > frame.turn > 0:
            seconds += BREATH
        cut.append(Shot(frame, now, now + seconds))
        now += seconds
    return cut


def cache_animation(film: Sequence[Frame], dialogue: TokenizedDialogue, *, width: int = 830) -> Picture:
    """A whole film (:func:`~mini_ism.views.timeline.frames`) as one picture that plays in a loop.

    Args:
        film: the frames, the first with nothing read yet.
        dialogue: its tokens.
        width: in pixels. At 830, the width of a README, labels do not touch up to 56 tokens.

    Raises:
        ValueError: there is nothing to show, or the dialogue has more or fewer tokens than the film has positions.
    """
    total = max((len(lane.states) for frame in film for lane in frame.lanes.values()), default=0)
    if not total or len(dialogue) != total:
        raise ValueError(
            f"a film needs frames, and a token for each position, got {len(film)} frames of {total} positions, and "
            f"{len(dialogue)} tokens"
        )
    cut, end = shots(film), film[-1]
    loop = Loop(round(cut[-1].stop + END, 3))
    cell = cell_side(width - LEFT - RIGHT, total, least=0)
    alt = f"Cache lanes over {total} tokens, step by step. Tokens computed by the end: {end.counts}."
    scope = scope_of(f"film {cell:g} {alt}")
    most = max(lane.computed for lane in end.lanes.values()) or 1
    top = HEAD + TOP + 10
    window = f"mi-window-{scope}"  # the clip path through which a counter shows one number
    names, moving, still = [], [_words(cut, loop)], [_last_words(end)]
    for number, (name, lane) in enumerate(end.lanes.items()):
        place = f'<g transform="translate({LEFT} {top + number * (LANE + GAP)})">'
        part = [(shot, shot.frame.lanes[name]) for shot in cut]
        lines = cell_lines(total, cell)
        names.append(
            f'{place}<text x="-12" y="{LANE / 2:g}" text-anchor="end" dominant-baseline="central" font-size="16" '
            f'font-weight="600" fill="{INK}">{escape(name)}</text></g>'
        )
        moving.append(
            f'{place}<g class="mi-lane">{_cells(part, cell, scope, loop)}</g>{lines}{_outlines(part, cell, loop)}'
            f"{_counter(_counts(part), most, total * cell, loop, window)}</g>"
        )
        boxes = "".join(cell_box(lane.states[a], a, b, cell, scope) for a, b in svg.stretches(lane.states))
        still.append(f"{place}{boxes}{lines}{_counter([(0.0, lane.computed)], most, total * cell, loop, window)}</g>")
    below = top + len(end.lanes) * (LANE + GAP)
    meaning, high = legend(shown_styles(*film), width)
    axis = f'<g transform="translate({LEFT} {HEAD + TOP})">'
    moving.append(f"{axis}{_tokens(cut, dialogue, cell, loop)}{role_bars(dialogue.roles, cell)}</g>")
    still.append(f"{axis}{token_axis(dialogue, cell)}</g>")
    body = (
        f"{STYLE}{patterns(cell, LANE, scope)}"
        f'<clipPath id="{window}"><rect width="46" height="{DIGITS}"/></clipPath>'
        f'{"".join(names)}<g class="mi-moving">{"".join(moving)}</g><g class="mi-still">{"".join(still)}</g>'
        f'<g transform="translate(0 {below})">{meaning}</g>'
    )
    return Picture(svg.document(body, alt, width, below + high + 8, "mi-film"), alt)


# -- what happens in a lane ------------------------------------------------------------------------


def _cells(part: Part, cell: float, scope: str, loop: Loop) -> str:
    """Layered boxes: each run of cells that changes is painted over what was there, and grows cell by cell."""
    total = len(part[-1][1].states)
    boxes = [cell_box("waiting", 0, total, cell, scope)]
    for shot, lane in part:
        touched = sorted(lane.touched)
        states: list[tuple[State, int]] = [(lane.states[p], p - n) for n, p in enumerate(touched)]  # equal if adjacent
        for first, last in svg.stretches(states):
            start, count = touched[first], last - first
            growing: dict[float, float] = {0.0: 0.0}
            growing |= {shot.moment(first + n): (n + 1) * cell for n in range(count)}
            grows = loop.steps("width", list(growing.items()))
            boxes.append(cell_box(lane.states[start], start, start + count, cell, scope, grows))
    return "".join(boxes)


def _outlines(part: Part, cell: float, loop: Loop) -> str:
    """Outlines round what changes in a shot, for as long as the shot lasts."""
    return "".join(
        f'<g visibility="hidden">{touched_outline(sorted(lane.touched), cell)}{loop.between(shot.start, shot.stop)}</g>'
        for shot, lane in part
        if lane.touched
    )


def _counts(part: Part) -> Changes:
    """How many tokens a lane has computed, over time."""
    counts, so_far = [(0.0, 0)], 0
    for shot, lane in part:
        counts += [(shot.moment(n), so_far + n + 1) for n in range(lane.computed - so_far)]
        so_far = lane.computed
    return counts


def _counter(counts: Changes, most: int, left: float, loop: Loop, window: str) -> str:
    """A counter like an odometer, a column of numbers behind a window, and a bar."""
    wide = RIGHT - 36
    column = "".join(
        f'<text x="44" y="{n * DIGITS + 19}" text-anchor="end" font-size="20" font-weight="700">{count}</text>'
        for n, (_, count) in enumerate(counts)
    )
    shifts: Changes = [(at, f"0 {-n * DIGITS}") for n, (at, _) in enumerate(counts)]
    bars: Changes = [(at, round(wide * int(str(count)) / most, 1)) for at, count in counts]
    return (
        f'<g transform="translate({left + 10:g} -5)" fill="{INK}"><text x="52" y="19" font-size="13">computed</text>'
        f'<g clip-path="url(#{window})"><g transform="translate({shifts[-1][1]})">{column}{loop.shifts(shifts)}</g></g>'
        f'</g><rect x="{left + 14:g}" y="24" width="{wide}" height="10" fill="none" stroke="{FAINT}" '
        'stroke-width=".8"/>'
        f'<rect x="{left + 14:g}" y="24" width="{bars[-1][1]}" height="10" fill="{INK}">'
        f"{loop.steps('width', bars)}</rect>"
    )


# -- labels and captions ---------------------------------------------------------------------------


def _tokens(cut: Sequence[Shot], dialogue: TokenizedDialogue, cell: float, loop: Loop) -> str:
    """The dialogue: a question's tokens appear when it arrives, an answer's as they are written."""
    appears: dict[int, float] = {}  # by position
    arrives: dict[int, float] = {}  # by turn
    for shot in cut:
        at = arrives.setdefault(shot.frame.turn, shot.start) if shot.frame.action != "write" else shot.start
        for lane in shot.frame.lanes.values():
            for position in lane.touched:
                appears.setdefault(position, at)
    texts = [token_label(dialogue, position, cell) for position in range(len(dialogue))]
    moments = [appears.get(position, 0.0) for position in range(len(dialogue))]
    return "".join(f"<g>{''.join(texts[a:b])}{loop.fade_in(moments[a], FADED)}</g>" for a, b in svg.stretches(moments))


def _lines(first: str, second: str) -> str:
    return (
        f'<text x="14" y="28" font-size="17" font-weight="600" fill="{INK}">{escape(first)}</text>'
        f'<text x="14" y="51" font-size="14" fill="{INK}">{escape(second)}</text>'
    )


def _words(cut: Sequence[Shot], loop: Loop) -> str:
    """The headline of each shot, and what each lane does in it; the totals at the end."""
    stretches = svg.stretches([shot.frame.headline for shot in cut])
    texts = []
    for first, last in stretches:
        frame = cut[first].frame
        below = {"start": "One dialogue, read through different masks. A cell is a token in the KV cache.", "write": ""}
        words = _lines(frame.headline, below.get(frame.action, frame.deeds))
        texts.append(f'<g visibility="hidden">{words}{loop.between(cut[first].start, cut[last - 1].stop)}</g>')
    return f"{''.join(texts)}<g>{_last_words(cut[-1].frame)}{loop.between(cut[-1].stop, loop.seconds)}</g>"


def _last_words(end: Frame) -> str:
    thrown = {name: sum(cost.discarded for cost in lane.spent) for name, lane in end.lanes.items()}
    parts = [f"{name} threw away {count} and read them again" for name, count in thrown.items() if count]
    kept = " and ".join(name for name, count in thrown.items() if not count)
    if kept:
        parts.append(f"{kept} kept everything")
    return _lines(f"After {end.turn} turns, tokens computed: {end.counts}.", "; ".join(parts) + ".")
