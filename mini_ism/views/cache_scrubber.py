"""The cache film's timeline: a box for each step, to click on or drag over, like the bar under a video."""

from __future__ import annotations

from collections.abc import Sequence

from mini_ism.views import svg
from mini_ism.views.picture import Picture
from mini_ism.views.svg import FAINT, FONT, INK, PAPER, STYLE, escape
from mini_ism.views.timeline import Frame

INKS = {"start": PAPER, "keep": svg.colour("reused"), "read": svg.colour("computed"), "write": svg.colour("decoded")}
"""The colour of each action: that of the cells it produces."""


def cache_scrubber(film: Sequence[Frame], now: int) -> Picture:
    """All steps of a film in a line as wide as the page, grouped by turn, with the current one marked.

    On a :class:`~mini_ism.widgets.surface.Surface` each box can be chosen: ``{"pick": "step", "step": 3}``.

    Args:
        film: from :func:`~mini_ism.views.timeline.frames`.
        now: the current step, from 0.

    Raises:
        ValueError: the film has no such step.
    """
    if not 0 <= now < len(film):
        raise ValueError(f"step {now} is none of the film's {len(film)} steps")
    turns = []
    for start, stop in svg.stretches([frame.turn for frame in film]):
        name = f"turn {film[start].turn}" if film[start].turn else "&nbsp;"
        boxes = "".join(_box(film[step], step, step == now) for step in range(start, stop))
        turns.append(
            f'<div style="flex:{stop - start} 1 0;min-width:0">'
            f'<div style="color:{FAINT};overflow:hidden;white-space:nowrap">{name}</div>'
            f'<div style="display:flex">{boxes}</div></div>'
        )
    alt = f"Step {now} of {len(film) - 1}: {film[now].headline}"
    html = (
        f'<div class="mi" role="img" aria-label="{escape(alt)}" style="{FONT};font-size:12px;line-height:1.4">{STYLE}'
        f'<div data-drag="film" style="display:flex">{"".join(turns)}</div></div>'
    )
    return Picture(html, alt)


def _box(frame: Frame, step: int, current: bool) -> str:
    marked = ' aria-current="true"' if current else ""
    edge = f"box-shadow:inset 0 0 0 3px {INK}" if current else f"box-shadow:inset -1px 0 {PAPER}"
    return (
        f'<span data-pick="step" data-step="{step}"{marked} title="{escape(f"Step {step}. {frame.headline}")}" '
        f'style="flex:1;height:20px;background:{INKS[frame.action]};{edge}"></span>'
    )


def first_read(film: Sequence[Frame]) -> list[int]:
    """For each position ``[T]``, the first step at which some lane has it in its cache."""
    total = len(next(iter(film[-1].lanes.values())).states)
    return [
        next(
            (n for n, frame in enumerate(film) if any(lane.states[at] != "waiting" for lane in frame.lanes.values())),
            len(film) - 1,
        )
        for at in range(total)
    ]
