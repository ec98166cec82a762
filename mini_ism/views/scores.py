"""Scores of several models with their intervals: as a table, and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mini_ism.evaluation import Score
from mini_ism.views.figures import Figure, label_rows, own_style
from mini_ism.views.styles import BARS
from mini_ism.views.tables import Table

MARKERS = ("o", "s", "^", "D", "v")
"""One for each model, so that none relies on colour alone."""

Scores = Mapping[str, Mapping[str, Score]]
"""A model's name, and its scores by skill."""


def _skills(scores: Scores) -> list[str]:
    return sorted({skill for of_model in scores.values() for skill in of_model})


def score_table(scores: Scores) -> Table:
    """Shares and 95% intervals by skill, a column for each model.

    Args:
        scores: of models that answered the same questions.
    """
    rows = []
    for skill in _skills(scores):
        here = [of_model[skill] for of_model in scores.values() if skill in of_model]
        cells = [_cell(of_model[skill]) if skill in of_model else "" for of_model in scores.values()]
        rows.append([skill, str(here[0].total), *cells])
    return Table(["skill", "answers", *scores], rows)


def _cell(score: Score) -> str:
    low, high = score.interval
    return f"{score.share:.0%} ({low:.0%} to {high:.0%})"


@own_style
def score_figure(scores: Scores, skills: Sequence[str] | None = None) -> Figure:
    """The same as a picture: a dot for each share, a bar for each interval.

    Args:
        scores: see :func:`score_table`.
        skills: which to show, from top to bottom. Default: all, by name.
    """
    skills = list(skills or _skills(scores))
    figure = Figure(figsize=(6.8, 0.36 * len(skills) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    step = 0.7 / max(len(scores), 1)
    facts = []
    for number, (name, of_model) in enumerate(scores.items()):
        known = [(y, skill) for y, skill in enumerate(skills) if skill in of_model]
        for y, skill in known:
            low, high = of_model[skill].interval
            height = y + (number - (len(scores) - 1) / 2) * step
            colour = BARS[number % len(BARS)][0]
            axes.plot([low, high], [height, height], color=colour, linewidth=2)
            axes.plot(
                of_model[skill].share,
                height,
                MARKERS[number % len(MARKERS)],
                color=colour,
                markersize=5,
                label=name if y == known[0][0] else None,
            )
        shares = [f"{skill} {of_model[skill].share:.0%}" for _, skill in known]
        facts.append(f"{name}: {', '.join(shares)}")
    label_rows(axes, skills)
    axes.set_xlim(-0.02, 1.02)
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.set_xlabel("answers exactly right, 95% interval", fontsize=10)
    figure.legend(loc="outside upper center", ncols=len(scores), frameon=False, fontsize=10)
    figure.alt = "Share of answers exactly right. " + "; ".join(facts) + "."
    return figure
