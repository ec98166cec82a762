"""Reading the rows of ``smollm2``: a pretrained chat model, fine-tuned to read conversations under each rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from mini_ism.results.grouping import at_best_rate, by_seed
from mini_ism.results.intervals import Claim, paired_difference
from mini_ism.results.rows import Row

ARMS = ("causal", "causal, told twice", "ism", "prefix")
"""The ways of reading that are compared, in the order in which tables list them."""

FIRST, LATER = "turn 1", "turns 2 to 4"
TURNS = (FIRST, "turn 2", "turn 3", "turn 4")
LINKS = ("1 link", "2 links", "3 links")
TOLD = ("told now", "told earlier")
"""For turns 2 to 4: the question needs facts of its own turn only, or at least one of an earlier turn."""
ALL = "all"
CHANCE = 1 / 3
"""The score of a reader who knows which three chains a question is about, and guesses among their rooms."""

CONTRASTS = (("ism", "causal", FIRST), ("ism", "causal", LATER), ("prefix", "ism", LATER))
"""What is compared, and at which turns: written down before the first run."""


def exact(row: Row, label: str = ALL, held_out: str = "test") -> float:
    """The share of answers that are exactly right.

    Args:
        row: of the sweep.
        label: of the questions: :data:`ALL`, :data:`LATER`, or one of :data:`TURNS`, :data:`LINKS` and :data:`TOLD`.
        held_out: ``"test"``, or ``"validation"``, on which rates are chosen.
    """
    return float(row.result[held_out][label])


def untrained(rows: Iterable[Row]) -> dict[str, Row]:
    """The rows of the model before fine-tuning, by arm."""
    return {row.config["arm"]: row for row in rows if not row.config["steps"]}


def best(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The trained rows of each arm at the rate that is best for it on validation conversations."""
    trained = [row for row in rows if row.config["steps"]]
    chosen = at_best_rate(trained, ["arm"], lambda row: exact(row, held_out="validation"), lowest=False)
    return {arm: chosen[arm,] for arm in ARMS if (arm,) in chosen}


def contrast_name(contrast: tuple[str, str, str]) -> str:
    """One of :data:`CONTRASTS` as tables call it."""
    arm, other, label = contrast
    return f"{label}: {arm} - {other}"


def claims(rows: Iterable[Row]) -> list[Claim]:
    """The contrasts, seed by seed, where both arms have two seeds or more."""
    chosen = best(rows)
    found = []
    for contrast in CONTRASTS:
        arm, other, label = contrast
        value = partial(exact, label=label)
        mine, theirs = by_seed(chosen.get(arm, []), value), by_seed(chosen.get(other, []), value)
        if len(mine.keys() & theirs.keys()) > 1:
            found.append(Claim(contrast_name(contrast), paired_difference(mine, theirs)))
    return found


def curves(rows: Iterable[Row], label: str = LATER) -> dict[str, list[list[tuple[float, float]]]]:
    """How each arm learns: for every run, (steps of equally many tokens, share right on validation)."""
    return {
        arm: [[(point["step"], point[label]) for point in row.result["curve"]] for row in runs]
        for arm, runs in best(rows).items()
    }


def seed_shares(rows: Iterable[Row], labels: Sequence[str] = (FIRST, LATER)) -> dict[str, dict[str, list[float]]]:
    """The share that each seed answers, by label and arm: for a picture with a dot per seed."""
    chosen = best(rows)
    return {label: {arm: [exact(row, label) for row in runs] for arm, runs in chosen.items()} for label in labels}
