"""Training curves: loss and exact match of runs side by side, as SVG for the page and as a figure for print."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.axes import Axes

from mini_ism.evaluation import CONTROL_SKILLS, Score
from mini_ism.views import svg
from mini_ism.views.axis_numbers import short, ticks
from mini_ism.views.curve_tips import curve_tips
from mini_ism.views.figures import Figure, hide_frame, own_style
from mini_ism.views.picture import Picture
from mini_ism.views.styles import RUN_STYLES, line_width, marker_size, plot_style, run_styles
from mini_ism.views.svg import FAINT, INK, PAPER, escape

Metrics = Mapping[str, Sequence[Mapping[str, Any]]]
"""Lines of metrics by the run's name; a line is what :meth:`mini_ism.training.Run.train` reports after a step, or it
summarises the steps since the previous line (:func:`mini_ism.checkpoints.load_metrics`)."""

AGAINST = {"step": "steps", "tokens": "tokens computed", "seen": "dialogues seen", "seconds": "seconds of training"}
"""The choices for the horizontal axis, by their name in the metrics."""

Series = tuple[Sequence[tuple[float, float]], Sequence[tuple[float, float, float]], int]
"""Points (x, y) of a line, its whiskers (x, low, high), and which of :data:`RUN_STYLES` it has."""

SMOOTH = 10
"""How many steps the loss is averaged over; a single step's loss depends on its few dialogues."""

MOST_POINTS, MOST_SCORES = 240, 40  # of a line; more would not be visible, and all are sent at each redraw
LEFT, TOP, WIDE, HIGH, BETWEEN = 52, 62, 330, 190, 76  # pixels of the SVG's panels


@dataclass(frozen=True)
class Curve:
    """One run, ready to be drawn.

    Args:
        name: the run's.
        loss: points (x, mean loss of the last ``SMOOTH`` steps).
        exact: points (x, score of the answers that were exactly right).
        last: the loss of the last step, NaN before the first.
        steps: how many steps were trained.
        style: which of :data:`~mini_ism.views.styles.RUN_STYLES` it has.
    """

    name: str
    loss: Sequence[tuple[float, float]]
    exact: Sequence[tuple[float, Score]]
    last: float
    steps: int
    style: int

    def describe(self) -> str:
        """The run's progress, in words."""
        if not self.steps:
            return f"{self.name} has not begun"
        progress = f"{self.name} after {self.steps} {'step' if self.steps == 1 else 'steps'}: loss {self.last:.2f}"
        if not self.exact:
            return progress
        score = self.exact[-1][1]
        return f"{progress}, {score.right} of {score.total} answers right"


def curves(metrics: Metrics, against: str = "step", skills: Sequence[str] | None = CONTROL_SKILLS) -> list[Curve]:
    """The curves of some runs.

    Args:
        metrics: of each run, by its name.
        against: what x is, a key of :data:`AGAINST`.
        skills: whose answers are counted; ``None`` = all.

    Raises:
        ValueError: ``against`` is unknown.
    """
    if against not in AGAINST:
        raise ValueError(f"curves cannot be drawn against {against!r}; choose one of {', '.join(AGAINST)}")
    wanted = None if skills is None else set(skills)
    return [
        _curve(name, list(lines), against, wanted, style)
        for (name, lines), style in zip(metrics.items(), run_styles(metrics), strict=True)
    ]


def _curve(name: str, lines: list[Mapping[str, Any]], against: str, wanted: set[str] | None, style: int) -> Curve:
    losses, steps = [float(line["loss"]) for line in lines], [int(line["step"]) for line in lines]
    kept = _thinned(len(lines), MOST_POINTS)
    since = [bisect_right(steps, steps[n] - SMOOTH, hi=n) for n in kept]  # a line may cover many steps
    points = [(float(lines[n][against]), _mean(losses[first : n + 1])) for first, n in zip(since, kept, strict=True)]
    exact = []
    for line in lines:
        pairs = [pair for skill, pair in line.get("exact", {}).items() if wanted is None or skill in wanted]
        if pairs:
            exact.append((float(line[against]), sum((Score(*pair) for pair in pairs), Score(0, 0))))
    return Curve(
        name,
        [point for point in points if math.isfinite(point[1])],
        [exact[n] for n in _thinned(len(exact), MOST_SCORES)],
        losses[-1] if losses else math.nan,
        len(lines) and int(lines[-1]["step"]),
        style,
    )


def _thinned(count: int, most: int) -> list[int]:
    """Evenly spaced indices of ``count`` things, about ``most`` of them, including the first and the last."""
    return sorted({*range(0, count, max(1, math.ceil(count / most))), *range(count)[-1:]})


def _exact_title(skills: Sequence[str] | None) -> str:
    """Whose answers the second panel counts."""
    if skills is None:
        return "answers exactly right, all skills"
    control = sorted(skills) == sorted(CONTROL_SKILLS)
    return f"answers exactly right, {'control skills' if control else ', '.join(skills)}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _alt(drawn: Sequence[Curve], against: str) -> str:
    summary = "; ".join(curve.describe() for curve in drawn) or "no run"
    return f"Training curves, loss and exact match against {AGAINST[against]}. {summary}."


def _ranges(drawn: Sequence[Curve]) -> tuple[float, float]:
    """Where the axes end: x, and the loss."""
    x = max((curve.loss[-1][0] for curve in drawn if curve.loss), default=0.0)
    loss = max((y for curve in drawn for _, y in curve.loss), default=7.0)
    return x or 1.0, max(loss, 1e-3)


# -- for print -------------------------------------------------------------------------------------


@own_style
def curve_figure(metrics: Metrics, *, against: str = "step", skills: Sequence[str] | None = CONTROL_SKILLS) -> Figure:
    """Loss, and exact match on some skills, of runs side by side.

    The loss is the mean of ``SMOOTH`` steps. Whiskers are Wilson's 95% intervals over the answers scored; they say
    nothing about how another seed would do.

    Args:
        metrics: lines of a :class:`~mini_ism.training.Run`'s ``metrics``, by the run's name.
        against: what runs along the axis: ``"step"``, ``"tokens"``, ``"seen"`` or ``"seconds"``.
        skills: whose answers are counted, the control skills by default; ``None`` = all.

    Raises:
        ValueError: ``against`` is unknown.
    """
    drawn = curves(metrics, against, skills)
    x_end, loss_end = _ranges(drawn)
    figure = Figure(figsize=(8.2, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, curve in enumerate(drawn):
        style = {**plot_style(curve.style), "marker": ""}
        left.plot(*_columns(curve.loss), **style, linewidth=line_width(number), label=curve.name)
    left.set(ylim=(0, 1.05 * loss_end), ylabel="loss per target token")
    draw_exact(right, drawn)
    right.set_ylabel(_exact_title(skills))
    for axes in (left, right):
        axes.set_xlim(0, x_end)
        _label_effort(axes, against)
        hide_frame(axes)
    if drawn:
        _legend_above(figure, left)
    figure.alt = _alt(drawn, against)
    return figure


def draw_exact(axes: Axes, drawn: Sequence[Curve]) -> None:
    """Draw each run's share of answers that were exactly right, with whiskers."""
    for number, curve in enumerate(drawn):
        style: dict[str, Any] = {**plot_style(curve.style)}
        x, share = _columns([(x, score.share) for x, score in curve.exact])
        low, high = _columns([score.interval for _, score in curve.exact])
        if x:  # an empty collection has no extent, and layout would fail
            axes.vlines(x, low, high, color=style["color"], linewidth=1, alpha=0.5)
        style |= {"linewidth": line_width(number), "markersize": marker_size(number)}
        axes.plot(x, share, **style, clip_on=not x, label=curve.name)
    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter("{x:.0%}")


@own_style
def progress_figure(
    metrics: Metrics,
    groups: Mapping[str, Sequence[str]] | None = None,
    *,
    against: Sequence[str] = ("tokens", "seen"),
) -> Figure:
    """Exact match of runs side by side: a row for each group of skills, a column for each measure of effort.

    Whiskers are Wilson's 95% intervals over the answers scored; they say nothing about how another seed
    would do.

    Args:
        metrics: of each run, by its name, from :func:`~mini_ism.checkpoints.load_metrics`.
        groups: skills by title; default, the control skills, and all others that were scored.
        against: what runs along the axes, of ``"step"``, ``"tokens"``, ``"seen"`` and ``"seconds"``.

    Raises:
        ValueError: ``against`` is unknown.
    """
    if groups is None:
        scored = {skill for lines in metrics.values() for line in lines for skill in line.get("exact", {})}
        groups = {"control skills": CONTROL_SKILLS, "all other skills": sorted(scored - set(CONTROL_SKILLS))}
    figure = Figure(figsize=(4.3 * len(against), 2.4 * len(groups) + 0.7), layout="constrained")
    panels = figure.subplots(len(groups), len(against), squeeze=False, sharex="col", sharey=True)
    facts = []
    for row, (title, skills) in zip(panels, groups.items(), strict=True):
        drawn = []
        for axes, effort in zip(row, against, strict=True):
            drawn = curves(metrics, effort, skills)
            draw_exact(axes, drawn)
            axes.set_xlim(left=0)
            hide_frame(axes)
        row[0].set_ylabel(f"{title},\nexactly right")
        ends = (f"{curve.name} {score.share:.0%} of {score.total}" for curve in drawn for _, score in curve.exact[-1:])
        facts.append(f"{title}, at the end: {', '.join(ends) or 'nothing measured yet'}")
    for axes, effort in zip(panels[-1], against, strict=True):
        _label_effort(axes, effort)
    _legend_above(figure, panels[0][0])
    efforts = " and against ".join(AGAINST[effort] for effort in against)
    figure.alt = f"Answers exactly right in the course of training, against {efforts}. {'; '.join(facts)}."
    return figure


def _label_effort(axes: Axes, against: str) -> None:
    axes.set_xlabel(AGAINST[against])
    axes.xaxis.set_major_formatter(lambda value, _: short(value))


def _legend_above(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=5, frameon=False, fontsize=10)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


# -- for the page ----------------------------------------------------------------------------------


def curve_picture(metrics: Metrics, *, against: str = "step", skills: Sequence[str] | None = CONTROL_SKILLS) -> Picture:
    """The same as :func:`curve_figure`, as an SVG that follows the page's theme and is quick to redraw."""
    drawn = curves(metrics, against, skills)
    x_end, loss_end = _ranges(drawn)
    alt = _alt(drawn, against)
    width, height = LEFT + 2 * WIDE + BETWEEN + 24, TOP + HIGH + 46
    loss: list[Series] = [(curve.loss, [], curve.style) for curve in drawn]
    exact: list[Series] = [
        ([(x, s.share) for x, s in c.exact], [(x, *s.interval) for x, s in c.exact], c.style) for c in drawn
    ]
    top = 1.05 * loss_end
    left = _panel("loss per target token", AGAINST[against], loss, x_end, top, ticks(top, 5), marked=False)
    right = _panel(_exact_title(skills), AGAINST[against], exact, x_end, 1.0, [0, 0.25, 0.5, 0.75, 1], marked=True)
    tips = partial(curve_tips, across=AGAINST[against], x_end=x_end, size=(WIDE, HIGH))
    left += tips({curve.name: curve.loss for curve in drawn}, "{:.2f}")
    right += tips({curve.name: points for curve, (points, *_) in zip(drawn, exact, strict=True)}, "{:.0%}")
    body = (
        f'{_legend(drawn)}<g transform="translate({LEFT} {TOP})">{left}</g>'
        f'<g transform="translate({LEFT + WIDE + BETWEEN} {TOP})">{right}</g>'
    )
    return Picture(svg.document(body, alt, width, height), alt)


def _legend(drawn: Sequence[Curve]) -> str:
    x, parts = LEFT, []
    for number, curve in enumerate(drawn):
        name, dashes, _ = RUN_STYLES[curve.style]
        parts.append(
            f'<path d="M{x} 16h34" stroke="{svg.colour(name)}" stroke-width="2.5" stroke-dasharray="{dashes}"/>'
            f"{_mark(curve.style, x + 17, 16, marker_size(number))}"
            f'<text x="{x + 42}" y="16" dominant-baseline="central" font-size="14" fill="{INK}">'
            f"{escape(curve.name)}</text>"
        )
        x += 66 + round(8.2 * len(curve.name))
    return "".join(parts)


def _panel(
    title: str, below: str, lines: Sequence[Series], x_end: float, y_end: float, marks: Sequence[float], *, marked: bool
) -> str:
    """One pair of axes with its lines; ``marks`` are the tick labels of the vertical axis."""

    def at(x: float, y: float) -> str:
        return f"{WIDE * x / x_end:.1f} {HIGH * (1 - y / y_end):.1f}"

    parts = [f'<text y="-14" font-size="13" font-weight="600" fill="{INK}">{escape(title)}</text>']
    for value in marks:
        label = f"{value:.0%}" if marked else short(value)
        parts.append(
            f'<path d="M{at(0, value)}h{WIDE}" stroke="{FAINT}" stroke-width=".6" opacity=".45"/>'
            f'<text x="-8" y="{HIGH * (1 - value / y_end):.1f}" text-anchor="end" dominant-baseline="central" '
            f'font-size="12" fill="{FAINT}">{label}</text>'
        )
    for value in ticks(x_end, 4):
        parts.append(
            f'<text x="{WIDE * value / x_end:.1f}" y="{HIGH + 17}" text-anchor="middle" font-size="12" '
            f'fill="{FAINT}">{short(value)}</text>'
        )
    parts.append(
        f'<path d="M0 {HIGH}h{WIDE}" stroke="{INK}"/><text x="{WIDE / 2}" y="{HIGH + 37}" text-anchor="middle" '
        f'font-size="12" fill="{FAINT}">{escape(below)}</text>'
    )
    for number, (points, whiskers, kind) in enumerate(lines):
        name, dashes, _ = RUN_STYLES[kind]
        stroke = f'stroke="{svg.colour(name)}" fill="none"'
        if whiskers:
            bars = "".join(f"M{at(x, low)}L{at(x, high)}" for x, low, high in whiskers)
            parts.append(f'<path d="{bars}" {stroke} stroke-width="1.2" opacity=".55"/>')
        if points:
            line = "M" + "L".join(at(x, y) for x, y in points)
            parts.append(
                f'<path class="mi-curve" d="{line}" {stroke} stroke-width="{line_width(number)}" '
                f'stroke-dasharray="{dashes}"/>'
            )
        if marked:
            parts += [_mark(kind, WIDE * x / x_end, HIGH * (1 - y / y_end), marker_size(number)) for x, y in points]
    if not any(points for points, _, _ in lines):
        parts.append(
            f'<text x="{WIDE / 2}" y="{HIGH * 0.62:.0f}" text-anchor="middle" font-size="13" fill="{FAINT}">'
            "nothing measured yet</text>"
        )
    return "".join(parts)


def _mark(number: int, x: float, y: float, size: float) -> str:
    """The marker of a run: a circle, a square, a diamond, a triangle up or down."""
    name, _, kind = RUN_STYLES[number]
    shapes = {
        "o": "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
        "s": "m-3.5 -3.5h7v7h-7z",
        "D": "m0 -5l5 5l-5 5l-5 -5z",
        "^": "m0 -5l4.5 8h-9z",
        "v": "m0 5l4.5 -8h-9z",
    }
    return (
        f'<path transform="translate({x:.1f} {y:.1f}) scale({size / 7:.2f})" d="M0 0{shapes[kind]}" '
        f'fill="{svg.colour(name)}" stroke="{PAPER}"/>'
    )
