"""What the rows of the words sweep say: by task, depth and mask, each at its own best learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import itemgetter

from mini_ism.experiments.curves import CURVE_HEADER, CURVE_LEGEND, curve_cells, total_tokens
from mini_ism.experiments.report import claims_table, markdown_table, rates_table, setting_cells
from mini_ism.experiments.rows import MASKS, Row
from mini_ism.experiments.statistics import (
    Claim,
    Interval,
    at_best_rate,
    by_seed,
    mean_interval,
    paired_difference,
)
from mini_ism.experiments.word_tasks import TASKS

SETTING = ("task", "layers", "heads", "steps", "mask")
MAPS = {
    "chains": (
        "Of a link's attention in the first layer, from the token and the head that give the most, what goes to the "
        "link that continues it (*onward*) and to the one that it continues (*back*)",
        ("onward, ahead", "onward, behind", "back, ahead", "back, behind"),
    ),
    "codebook": (
        "Of a line's attention, likewise, what goes from a fact to the book's line on its *thing*, its *place*, and "
        "from these to the fact (runs of before this was measured are left out)",
        ("fact to thing", "thing to fact", "fact to place", "place to fact"),
    ),
}
"""Of each kind of task, what is told of attention, and what it is called in the rows."""
COMPARED = ("3 links, ahead", "3 links, behind", "2 links", "1 link", "told", "one code word")
"""Labels that are reported beside the target."""


def tables(rows: list[Row]) -> str:
    """The section: exact match and steps to 90% by task, depth and mask, each at its own best rate; what differs."""
    about = (
        "Small GPTs, trained from scratch on one task each (`mini_ism/experiments/word_tasks.py` has examples). Three "
        "links, or code words on both sides of a fact, need three look-ups in a row; two layers make two, unless facts "
        "have met before they are asked for. The *target* is the share of such questions answered exactly right, on "
        "held-out dialogues: of *first* questions, where a guess is right one time in three, and of *all*, where the "
        "answers before may give something away. Each mask has the learning rate that was best on others "
        f"(validation); which were tried, on two seeds where not on all, stands below. {CURVE_LEGEND}\n\n"
    )
    chosen = best(rows)
    return "\n".join(
        [
            about + _scores(chosen),
            _labels(chosen),
            _maps(chosen),
            rates_table(
                rows, SETTING, chosen, _share("validation"), what="The target on validation", tell="{:.1%}".format
            ),
            claims_table(claims(rows), Interval.percent),
        ]
    )


Group = tuple[str, int, int, int, str]
"""Task, layers, heads, steps and mask."""


def best(rows: Iterable[Row]) -> dict[Group, list[Row]]:
    """Rows by task, layers, heads, steps and mask, at each one's best rate."""
    chosen = at_best_rate(rows, SETTING, _share("validation"), lowest=False)
    order = list(TASKS)
    return dict(
        sorted(chosen.items(), key=lambda item: (order.index(item[0][0]), *item[0][1:4], MASKS.index(item[0][4])))
    )


def _share(held_out: str, label: str = "target") -> Callable[[Row], float]:
    return lambda row: float(row.result[held_out][label])


def _scores(chosen: dict[Group, list[Row]]) -> str:
    lines = []
    for group, runs in chosen.items():
        cheapest = min(total_tokens(runs) for other, runs in chosen.items() if other[:4] == group[:4])
        lines.append(
            (
                *setting_cells(group),
                f"{runs[0].config['lr']:g}",
                str(len(runs)),
                mean_interval(map(_share("first"), runs)).share(),
                mean_interval(map(_share("test"), runs)).share(),
                *curve_cells(runs, itemgetter("target"), cheapest),
            )
        )
    header = ("best rate", "seeds", "target, first", "target, all", *CURVE_HEADER)
    return markdown_table((*SETTING, *header), lines)


def _labels(chosen: dict[Group, list[Row]]) -> str:
    asked = {group: _asked(runs) for group, runs in chosen.items()}
    told = [label for label in COMPARED if any(label in labels for labels in asked.values())]
    lines = [
        (
            *setting_cells(group),
            *(
                mean_interval(map(_share("first", label), chosen[group])).share() if label in labels else ""
                for label in told
            ),
        )
        for group, labels in asked.items()
    ]
    return f"Label by label, first questions:\n\n{markdown_table((*SETTING, *told), lines)}"


def _asked(runs: Iterable[Row]) -> set[str]:
    """The labels that all runs have been asked for."""
    return set.intersection(*(set(row.result["first"]) for row in runs))


def _maps(chosen: dict[Group, list[Row]]) -> str:
    parts = []
    for kind, (about, ways) in MAPS.items():
        lines = [
            (*setting_cells(group), *(mean_interval(row.result["maps"][way] for row in runs).share() for way in ways))
            for group, runs in chosen.items()
            if group[0].startswith(kind) and all("maps" in row.result for row in runs)
        ]
        if lines:
            parts.append(f"{about}:\n\n{markdown_table((*SETTING, *ways), lines)}")
    return "\n".join(parts)


def claims(rows: list[Row]) -> list[Claim]:
    """Each pair of masks, by seed, where two seeds or more have been run: first questions, the target's and others."""
    chosen = best(rows)
    found = []
    for task, layers, heads, steps in dict.fromkeys(group[:4] for group in chosen):
        setting = f"{task}, {layers} layers, heads {heads}, {steps} steps"
        for a, b in (("ism", "causal"), ("prefix", "ism")):
            one, other = (chosen.get((task, layers, heads, steps, mask), []) for mask in (a, b))
            if len({row.config["seed"] for row in one} & {row.config["seed"] for row in other}) < 2:
                continue
            asked = _asked([*one, *other])
            for label in (label for label in ("target", *COMPARED) if label in asked):
                value = _share("first", label)
                difference = paired_difference(by_seed(one, value), by_seed(other, value))
                found.append(Claim(f"{setting}, {label}: {a} - {b}", difference))
    return found
