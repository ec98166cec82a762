"""What was learned when in a long training: exact match by groups of skills, against what it cost and what was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mini_ism.evaluation import CONTROL_SKILLS
from mini_ism.views.curves import AGAINST, Metrics, curves, draw_exact, short
from mini_ism.views.figures import Figure


def progress_figure(
    metrics: Metrics,
    groups: Mapping[str, Sequence[str]] | None = None,
    *,
    against: Sequence[str] = ("tokens", "seen"),
) -> Figure:
    """Exact match of runs side by side: a row for each group of skills, a column for each way to count their effort.

    Whiskers are Wilson's 95% intervals over the answers scored; they say nothing about how another seed would have
    fared.

    Args:
        metrics: of each run, by its name, from :func:`~mini_ism.checkpoints.load_metrics`.
        groups: skills by a title; default, the control skills, and all others that were scored.
        against: what runs along the axes, of ``"step"``, ``"tokens"``, ``"seen"`` and ``"seconds"``.

    Raises:
        ValueError: ``against`` is unknown.
    """
    if groups is None:
        scored = {skill for lines in metrics.values() for line in lines for skill in line.get("exact", {})}
        groups = {"control skills": CONTROL_SKILLS, "all other skills": sorted(scored - set(CONTROL_SKILLS))}
    figure = Figure(figsize=(4.3 * len(against), 2.4 * len(groups) + 0.7), layout="constrained")
    panels = figure.subplots(len(groups), len(against), squeeze=False, sharex="col", sharey=True)
    said = []
    for row, (title, skills) in zip(panels, groups.items(), strict=True):
        drawn = []
        for axes, effort in zip(row, against, strict=True):
            drawn = curves(metrics, effort, skills)
            draw_exact(axes, drawn)
            axes.set_xlim(left=0)
            for side in ("top", "right"):
                axes.spines[side].set_visible(False)
        row[0].set_ylabel(f"{title},\nexactly right")
        ends = (f"{curve.name} {score.share:.0%} of {score.total}" for curve in drawn for _, score in curve.exact[-1:])
        said.append(f"{title}, at the end: {', '.join(ends) or 'nothing measured yet'}")
    for axes, effort in zip(panels[-1], against, strict=True):
        axes.set_xlabel(AGAINST[effort])
        axes.xaxis.set_major_formatter(lambda value, _: short(value))
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=5, frameon=False, fontsize=10)
    efforts = " and against ".join(AGAINST[effort] for effort in against)
    figure.alt = f"Answers exactly right in the course of training, against {efforts}. {'; '.join(said)}."
    return figure
