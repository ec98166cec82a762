"""Tables and pictures of the words sweep: by task, depth and mask, each mask at its own best learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from operator import itemgetter

from mini_ism.results import Claim, Interval, Row, mean_interval
from mini_ism.results.price import price_claims
from mini_ism.results.words import (
    COMPARED,
    SETTING,
    TARGET,
    Group,
    asked,
    attention,
    best,
    by_setting,
    claims,
    exact,
    learning_curves,
)
from mini_ism.views import Figure, interval_figure, seeds_figure
from research.curves import CURVE_HEADER, CURVE_LEGEND, curve_cells, total_tokens
from research.markdown import claims_table, markdown_table, rates_table, setting_cells
from research.price import price_table

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
"""For each kind of task, what is reported about attention, and its names in the rows."""


PRICE = (
    "*The price of looking ahead*: what each way of reading answers, and what it takes to come to the first word of "
    "the answer, in multiples of causal's, counted from the rule.\n"
)


def tables(rows: list[Row]) -> str:
    """The section: exact match and steps to 90% by task, depth and mask, and the differences between masks."""
    about = (
        "Small GPTs, trained from scratch on one task each (`research/word_tasks.py` has examples). Three "
        "links, or code words on both sides of a fact, need three look-ups in a row; two layers make two, unless facts "
        "have met before they are asked for. The *target* is the share of such questions answered exactly right, on "
        "held-out dialogues: of *first* questions, where a guess is right one time in three, and of *all*, where the "
        "answers before may give something away. Each mask has the learning rate that was best on others "
        f"(validation); which were tried, on two seeds where not on all, stands below. {CURVE_LEGEND}\n\n"
    )
    chosen = best(rows)
    return "\n".join(
        [
            PRICE,
            price_table(chosen),
            about + _scores(chosen),
            _labels(chosen),
            _maps(chosen),
            rates_table(
                rows,
                SETTING,
                chosen,
                partial(exact, held_out="validation"),
                what="The target on validation",
                show="{:.1%}".format,
            ),
            claims_table(all_claims(rows), Interval.percent),
        ]
    )


def all_claims(rows: Sequence[Row]) -> list[Claim]:
    """Differences between masks, and between ISM and other ways to get the same answers."""
    return [*claims(rows), *price_claims(best(rows))]


def _scores(chosen: dict[Group, list[Row]]) -> str:
    lines = []
    for group, runs in chosen.items():
        cheapest = min(total_tokens(runs) for other, runs in chosen.items() if other[:4] == group[:4])
        lines.append(
            (
                *setting_cells(group),
                f"{runs[0].config['lr']:g}",
                str(len(runs)),
                mean_interval(map(exact, runs)).share(),
                mean_interval(exact(row, held_out="test") for row in runs).share(),
                *curve_cells(runs, itemgetter(TARGET), cheapest),
            )
        )
    header = ("best rate", "seeds", "target, first", "target, all", *CURVE_HEADER)
    return markdown_table((*SETTING, *header), lines)


def _labels(chosen: dict[Group, list[Row]]) -> str:
    by_group = {group: asked(runs) for group, runs in chosen.items()}
    columns = [label for label in COMPARED if any(label in labels for labels in by_group.values())]
    lines = [
        (
            *setting_cells(group),
            *(
                mean_interval(exact(row, label) for row in chosen[group]).share() if label in labels else ""
                for label in columns
            ),
        )
        for group, labels in by_group.items()
    ]
    return f"Label by label, first questions:\n\n{markdown_table((*SETTING, *columns), lines)}"


def _maps(chosen: dict[Group, list[Row]]) -> str:
    parts = []
    for kind, (about, ways) in MAPS.items():
        lines = [
            (*setting_cells(group), *(mean_interval(attention(row, way) for row in runs).share() for way in ways))
            for group, runs in chosen.items()
            if group[0].startswith(kind) and all("maps" in row.result for row in runs)
        ]
        if lines:
            parts.append(f"{about}:\n\n{markdown_table((*SETTING, *ways), lines)}")
    return "\n".join(parts)


def figures(rows: list[Row]) -> dict[str, Figure]:
    """The target of every setting, one picture each for chains and code books; and how the first setting is learned."""
    label, guess = "target on first questions, exactly right", (1 / 3, "a guess")
    groups = {kind: by_setting(rows, kind) for kind in MAPS}
    return {
        **{kind: interval_figure(found, x_label=label, reference=guess) for kind, found in groups.items() if found},
        "learning": seeds_figure(
            learning_curves(rows), x_label="steps of training", y_label="target on validation, exactly right"
        ),
    }
