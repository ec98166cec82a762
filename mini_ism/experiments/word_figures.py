"""Pictures of the words sweep: the target by task, depth and mask, and how it is come to."""

from __future__ import annotations

from mini_ism.experiments.rows import Row
from mini_ism.experiments.statistics import mean_interval
from mini_ism.experiments.word_tables import SETTING, best
from mini_ism.views import Figure, interval_figure, seeds_figure
from mini_ism.views.sweep_figures import Quality


def figures(rows: list[Row]) -> dict[str, Figure]:
    """The target of every setting, a picture each for chains and code book; and how the first setting is learned."""
    first = tuple(rows[0].config[name] for name in SETTING[:-1])
    kinds: dict[str, dict[str, dict[str, Quality]]] = {}
    curves = {}
    for (task, layers, heads, steps, mask), runs in best(rows).items():
        label = f"{task},\n{_count(layers, 'layer')}, {_count(heads, 'head')}, {steps:,} steps"
        groups = kinds.setdefault(task.split()[0].rstrip(","), {})
        groups.setdefault(label, {})[mask] = mean_interval(row.result["first"]["target"] for row in runs).drawn
        if (task, layers, heads, steps) == first:
            curves[mask] = [[(point["step"], point["target"]) for point in row.result["curve"]] for row in runs]
    label, guess = "target on first questions, exactly right", (1 / 3, "a guess")
    return {
        **{name: interval_figure(groups, x_label=label, reference=guess) for name, groups in kinds.items()},
        "learning": seeds_figure(curves, x_label="steps of training", y_label="target on validation, exactly right"),
    }


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number > 1)}"
