"""Reading the rows of ``words``: small GPTs on chains and code books, each mask at its own best learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

from mini_ism.results.grouping import at_best_rate, by_seed
from mini_ism.results.intervals import Claim, Drawn, mean_interval, paired_difference
from mini_ism.results.rows import SWEPT, Row

TASKS = (
    "chains, any",
    "chains, told twice",
    "chains, asked first",
    "chains, outer later",
    "chains, outer later, told twice",
    "chains, asked back",
    "codebook before",
    "codebook after",
    "codebook later",
)
"""The tasks, in the order in which tables list them."""

SETTING = ("task", "layers", "heads", "steps", "mask")
Group = tuple[str, int, int, int, str]
"""Task, layers, heads, steps and mask."""

TARGET = "target"
"""All questions that the task is about: those that need three look-ups in a row."""

COMPARED = ("3 links, ahead", "3 links, behind", "2 links", "1 link", "told", "one code word")
"""Labels that are reported alongside the target."""


def exact(row: Row, label: str = TARGET, held_out: str = "first") -> float:
    """The share of answers that are exactly right.

    Args:
        row: of the sweep.
        label: of the questions.
        held_out: ``"first"``: the first questions of the test dialogues, which no earlier answer can give away;
            ``"test"``: all their questions; ``"validation"``: all questions of other dialogues.
    """
    return float(row.result[held_out][label])


def attention(row: Row, way: str) -> float:
    """How much of a line's attention in the first layer goes one way.

    Args:
        row: of the sweep.
        way: ``"onward, behind"`` and so on for chains, ``"fact to place"`` and so on for code books.
    """
    return float(row.result["maps"][way])


def best(rows: Iterable[Row]) -> dict[Group, list[Row]]:
    """Rows by task, layers, heads, steps and mask, each group at the rate that is best on validation dialogues."""
    chosen = cast(
        dict[Group, list[Row]], at_best_rate(rows, SETTING, lambda row: exact(row, held_out="validation"), lowest=False)
    )
    return dict(
        sorted(chosen.items(), key=lambda item: (TASKS.index(item[0][0]), *item[0][1:4], SWEPT.index(item[0][4])))
    )


def asked(rows: Iterable[Row]) -> set[str]:
    """The labels of the questions that all runs have been asked."""
    return set.intersection(*(set(row.result["first"]) for row in rows))


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Differences between masks in first questions, seed by seed, for each setting with two seeds or more."""
    chosen = best(rows)
    found = []
    for task, layers, heads, steps in dict.fromkeys(group[:4] for group in chosen):
        setting = f"{task}, {layers} layers, heads {heads}, {steps} steps"
        for a, b in (("ism", "causal"), ("prefix", "ism")):
            one, other = (chosen.get((task, layers, heads, steps, mask), []) for mask in (a, b))
            if len({row.config["seed"] for row in one} & {row.config["seed"] for row in other}) < 2:
                continue
            labels = asked([*one, *other])
            for label in (label for label in (TARGET, *COMPARED) if label in labels):
                value = _exact(label)
                difference = paired_difference(by_seed(one, value), by_seed(other, value))
                found.append(Claim(f"{setting}, {label}: {a} - {b}", difference))
    return found


def _exact(label: str) -> Callable[[Row], float]:
    return lambda row: exact(row, label)


def by_setting(rows: Sequence[Row], kind: str) -> dict[str, dict[str, Drawn]]:
    """The target on first questions by setting and mask, for :func:`~mini_ism.views.interval_figure`.

    Args:
        rows: of the sweep.
        kind: ``"chains"`` or ``"codebook"``.
    """
    groups: dict[str, dict[str, Drawn]] = {}
    for (task, layers, heads, steps, mask), runs in best(rows).items():
        if task.startswith(kind):
            label = f"{task},\n{_count(layers, 'layer')}, {_count(heads, 'head')}, {steps:,} steps"
            groups.setdefault(label, {})[mask] = mean_interval(map(exact, runs)).drawn
    return groups


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number > 1)}"


def learning_curves(rows: Sequence[Row]) -> dict[str, list[list[tuple[float, float]]]]:
    """How the setting of the first row is learned, for :func:`~mini_ism.views.seeds_figure`.

    Returns:
        For each mask and run, points (step, target on validation).
    """
    first = tuple(rows[0].config[name] for name in SETTING[:-1])
    return {
        group[-1]: [[(point["step"], point[TARGET]) for point in row.result["curve"]] for row in runs]
        for group, runs in best(rows).items()
        if group[:-1] == first
    }
