"""Groups of rows: by seed, by the keys of their configs, and at the best learning rate of each group."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from mini_ism.results.rows import Row

Value = bool | int | float | str | None
"""What a config holds under a key."""
Group = tuple[Value, ...]
"""What the rows of a group have in common, key by key."""


def by_seed(rows: Iterable[Row], value: Callable[[Row], float], seed: str = "seed") -> dict[Value, float]:
    """A value for each seed, for :func:`~mini_ism.results.intervals.paired_difference`.

    Raises:
        ValueError: two rows have the same seed, so they differ in some other key that was not fixed.
    """
    values: dict[Value, float] = {}
    for row in rows:
        if row.config[seed] in values:
            raise ValueError(
                f"two rows have {seed}={row.config[seed]!r}; choose by their other keys first: {row.config}"
            )
        values[row.config[seed]] = value(row)
    return values


def grouped(rows: Iterable[Row], keys: Sequence[str]) -> dict[Group, list[Row]]:
    """Rows by the values that their configs have under these keys, in order of first appearance."""
    groups: dict[Group, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.config[key] for key in keys), []).append(row)
    return groups


def at_best_rate(
    rows: Iterable[Row], keys: Sequence[str], score: Callable[[Row], float | None], *, lowest: bool, rate: str = "lr"
) -> dict[Group, list[Row]]:
    """The rows of each group at the learning rate that is best for this group.

    Rates are compared by their mean score over the seeds that all of them have. If the best rate has more seeds than
    these, it is compared again, on their common seeds, with all other rates that have more seeds. So a few seeds can
    try every rate, and further seeds only the best one or two.

    The score must come from validation data, and what is reported from test data, or the choice biases the result.

    Args:
        rows: of a sweep.
        keys: what makes a group: the mask, and everything else except rate and seed.
        score: of a row; ``None`` or not finite if the run diverged. Such a rate is chosen only if there is no other.
        lowest: whether the lowest score is the best (an error) or the highest (a share of right answers).
        rate: the key of the learning rate.

    Returns:
        All rows at the chosen rate, by group. A rate with one seed is chosen only if no rate has two.
    """
    best = {}
    for group, members in grouped(rows, keys).items():
        rates = grouped(members, [rate])
        tried = [runs for runs in rates.values() if len(runs) > 1] or list(rates.values())
        best[group] = _best(tried, score, 1 if lowest else -1)
    return best


def _best(rates: list[list[Row]], score: Callable[[Row], float | None], sign: int) -> list[Row]:
    """The runs, out of one list per rate, whose signed mean score is the lowest."""
    common = set.intersection(*({run.config["seed"] for run in runs} for runs in rates))

    def mean(runs: list[Row]) -> float:
        scores = [score(run) for run in runs if run.config["seed"] in common]
        finite = [s for s in scores if s is not None and math.isfinite(s)]
        return sign * math.fsum(finite) / len(finite) if finite and len(finite) == len(scores) else math.inf

    found = min(rates, key=mean)
    further = [runs for runs in rates if len(runs) > len(common)]
    return _best(further, score, sign) if found in further and len(further) < len(rates) else found
