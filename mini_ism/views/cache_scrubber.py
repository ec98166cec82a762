"""The cache film's time line: a box for each step, to be clicked on or dragged over, like the bar under a video."""

from __future__ import annotations

from collections.abc import Sequence

from mini_ism.views import svg
from mini_ism.views.picture import Picture
from mini_ism.views.svg import FAINT, INK, PAPER, escape
from mini_ism.views.timeline import Frame

HEAD, BAR = 20, 18  # heights: of the turns' names, and of the boxes
INKS = {"start": PAPER, "keep": svg.colour("reused"), "read": svg.colour("computed"), "write": svg.colour("decoded")}
"""The colour of each action, as of the cells that it makes."""


def cache_scrubber(film: Sequence[Frame], now: int, *, width: float = 736) -> Picture:
    """All steps of a film in a line, turn by turn, the current one marked.

    On a :class:`~mini_ism.widgets.surface.Surface` each box can be chosen: ``{"pick": "step", "step": 3}``.

    Args:
        film: from :func:`~mini_ism.views.timeline.frames`.
        now: the current step, from 0.
        width: in pixels.

    Raises:
        ValueError: the film has no such step.
    """
    if not 0 <= now < len(film):
        raise ValueError(f"step {now} is none of the film's {len(film)} steps")
    wide = width / len(film)
    names = "".join(
        svg.text(f"turn {film[start].turn}", start * wide + 2, HEAD - 6, fill=FAINT)
        for start, _ in svg.stretches([frame.turn for frame in film])
        if film[start].turn
    )
    boxes = "".join(_box(frame, step, wide, step == now) for step, frame in enumerate(film))
    mark = (
        f'<path d="M{(now + 0.5) * wide - 5:g} {HEAD - 7}h10l-5 6z" fill="{INK}"/>'
        f'<rect x="{now * wide:g}" y="{HEAD}" width="{wide:g}" height="{BAR}" fill="none" stroke="{INK}" '
        'stroke-width="2.5" pointer-events="none"/>'
    )
    alt = f"Step {now} of {len(film) - 1}: {film[now].headline}"
    body = f'{names}<g data-drag="film">{boxes}</g>{mark}'
    return Picture(svg.document(body, alt, width, HEAD + BAR + 4), alt)


def _box(frame: Frame, step: int, wide: float, current: bool) -> str:
    marked = ' aria-current="true"' if current else ""
    return (
        f'<rect data-pick="step" data-step="{step}"{marked} x="{step * wide:g}" y="{HEAD}" width="{wide:g}" '
        f'height="{BAR}" fill="{INKS[frame.action]}" stroke="{PAPER}" stroke-width=".6">'
        f"<title>{escape(f'Step {step}. {frame.headline}')}</title></rect>"
    )


def first_read(film: Sequence[Frame]) -> list[int]:
    """For each position ``[T]`` the first step at which a lane has it in its cache."""
    total = len(next(iter(film[-1].lanes.values())).states)
    return [
        next(
            (n for n, frame in enumerate(film) if any(lane.states[at] != "waiting" for lane in frame.lanes.values())),
            len(film) - 1,
        )
        for at in range(total)
    ]
