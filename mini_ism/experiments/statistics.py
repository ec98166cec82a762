"""What may be said of a few seeds: means with Student's intervals, differences in pairs, the best learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from mini_ism.experiments.rows import Row


@dataclass(frozen=True)
class Interval:
    """A mean and its 95% interval.

    Args:
        mean: of the values.
        low, high: where the true mean lies, by Student's t; without bounds for a single value.
        count: values.
    """

    mean: float
    low: float
    high: float
    count: int

    @property
    def verdict(self) -> str:
        """Of a difference, what may be said: ``"more"``, ``"less"``, or ``"tie"`` if it may as well be 0.

        ``"diverged"`` if one of the values is no number.
        """
        if not math.isfinite(self.mean):
            return "diverged"
        return "more" if self.low > 0 else "less" if self.high < 0 else "tie"

    @property
    def drawn(self) -> tuple[float, float, float]:
        """Mean, low and high, as the pictures take them."""
        return self.mean, self.low, self.high

    def apart(self, other: Interval) -> bool:
        """Whether the two intervals have nothing in common."""
        return self.high < other.low or other.high < self.low

    def text(self, digits: int = 2) -> str:
        """``"1.64 (1.60 to 1.68)"``; the mean alone where there are no bounds; ``"diverged"`` where there is none."""
        if not math.isfinite(self.mean):
            return "diverged"
        if not math.isfinite(self.high - self.low):
            return f"{self.mean:.{digits}f}"
        return f"{self.mean:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"

    def share(self, digits: int = 1) -> str:
        """Of a share: ``"98.0% (95.2% to 100.0%)"``, cut off where no share can be."""
        if not math.isfinite(self.high - self.low):
            return self.percent(digits)
        return Interval(self.mean, max(self.low, 0.0), min(self.high, 1.0), self.count).percent(digits)

    def percent(self, digits: int = 1) -> str:
        """Of a difference of shares: ``"-1.5% (-3.6% to 0.6%)"``."""
        if not math.isfinite(self.high - self.low):
            return f"{self.mean:.{digits}%}"
        return f"{self.mean:.{digits}%} ({self.low:.{digits}%} to {self.high:.{digits}%})"


@dataclass(frozen=True)
class Claim:
    """A comparison that a sweep makes, whatever comes of it.

    Args:
        text: what is compared, ``"error, causal - ISM, 2 layers"``: the same for the full sweep and the cut-down one.
        difference: what was found.
        least: the smallest difference that two seeds can show. The cut-down sweep is held to no smaller one: a tie
            will do there.
    """

    text: str
    difference: Interval
    least: float = 0.0


@cache
def student(freedom: int) -> float:
    """The t beyond which, on both sides together, 5% of Student's distribution lie.

    For whole degrees of freedom the distribution is a finite sum (Abramowitz and Stegun, 26.7.3 and 26.7.4), so that it
    can be searched to the last digit and no table or library is needed.

    Raises:
        ValueError: less than 1 degree of freedom.
    """
    if freedom < 1:
        raise ValueError(f"Student's t needs at least 1 degree of freedom, got {freedom}")

    def inside(angle: float) -> float:
        odd = freedom % 2
        term = math.cos(angle) if odd else 1.0
        total = 0.0
        for k in range(2 + odd, freedom + 1, 2):  # the sum's exponents, up to freedom - 2
            total += term
            term *= math.cos(angle) ** 2 * (k - 1) / k
        return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total

    low, high = 0.0, math.pi / 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) < 0.95 else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def mean_interval(values: Iterable[float]) -> Interval:
    """The mean of independent values, seeds say, with its 95% interval.

    Raises:
        ValueError: no values.
    """
    numbers = [float(value) for value in values]
    if not numbers:
        raise ValueError("no values to average; has the sweep been run?")
    count = len(numbers)
    finite = all(map(math.isfinite, numbers))
    mean = (math.fsum(numbers) if finite else sum(numbers)) / count  # fsum raises on inf - inf
    if count == 1 or not finite:
        return Interval(mean, -math.inf, math.inf, count)
    spread = math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / (count - 1))
    reach = student(count - 1) * spread / math.sqrt(count)
    return Interval(mean, mean - reach, mean + reach, count)


def paired_difference(a: Mapping[Any, float], b: Mapping[Any, float]) -> Interval:
    """``a - b``, seed by seed: what the seeds share falls out of it.

    Args:
        a: a value for each seed.
        b: another; seeds that only one of the two has are left out.
    """
    return mean_interval(a[seed] - b[seed] for seed in a if seed in b)


def by_seed(rows: Iterable[Row], value: Callable[[Row], float], seed: str = "seed") -> dict[Any, float]:
    """A value for each seed, for :func:`paired_difference`.

    Raises:
        ValueError: two rows have the same seed, so they differ in something that was not chosen.
    """
    values: dict[Any, float] = {}
    for row in rows:
        if row.config[seed] in values:
            raise ValueError(
                f"two rows have {seed}={row.config[seed]!r}; choose by their other keys first: {row.config}"
            )
        values[row.config[seed]] = value(row)
    return values


def grouped(rows: Iterable[Row], keys: Sequence[str]) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by the values of some of their configs' keys, in the order in which they are met."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.config[key] for key in keys), []).append(row)
    return groups


def at_best_rate(
    rows: Iterable[Row], keys: Sequence[str], score: Callable[[Row], float | None], *, lowest: bool, rate: str = "lr"
) -> dict[tuple[Any, ...], list[Row]]:
    """Of each group, the rows at its own best learning rate.

    Rates are compared by their mean score over the seeds that all have. If the best has been run on more seeds, those
    that have, too, are compared again on theirs: a few seeds may try all rates, and the others follow at the best, or
    at the two best where a few seeds are too few to tell.

    The score must come from validation draws, and what is reported from test draws, or the choice flatters itself.

    Args:
        rows: of a sweep.
        keys: what makes a group: the mask, and all else but rate and seed.
        score: of a row, ``None`` or not finite if the run diverged: such a rate is chosen only if there is no other.
        lowest: the lowest score is the best (an error), not the highest (a share of right answers).
        rate: the key of the learning rate.

    Returns:
        All rows at that rate, by group. Rates that have not seen two seeds yet are passed over where others have.
    """
    best = {}
    for group, members in grouped(rows, keys).items():
        rates = grouped(members, [rate])
        tried = [runs for runs in rates.values() if len(runs) > 1] or list(rates.values())
        best[group] = _best(tried, score, 1 if lowest else -1)
    return best


def _best(rates: list[list[Row]], score: Callable[[Row], float | None], sign: int) -> list[Row]:
    """Of runs by rate those whose signed score is the lowest."""
    common = set.intersection(*({run.config["seed"] for run in runs} for runs in rates))

    def mean(runs: list[Row]) -> float:
        scores = [score(run) for run in runs if run.config["seed"] in common]
        finite = [s for s in scores if s is not None and math.isfinite(s)]
        return sign * math.fsum(finite) / len(finite) if finite and len(finite) == len(scores) else math.inf

    found = min(rates, key=mean)
    further = [runs for runs in rates if len(runs) > len(common)]
    return _best(further, score, sign) if found in further and len(further) < len(rates) else found
