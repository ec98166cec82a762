"""Statistics over a few seeds: means with Student's t intervals, paired differences, the best learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mini_ism.checks import real_number

Drawn = tuple[float, float, float]
"""A mean and the two ends of its interval, as :func:`~mini_ism.views.interval_figure` takes them."""


@dataclass(frozen=True)
class Interval:
    """A mean and its 95% interval.

    Args:
        mean: of the values.
        low, high: where the true mean lies, by Student's t; infinite for a single value.
        count: how many values.
    """

    mean: float
    low: float
    high: float
    count: int

    @property
    def verdict(self) -> str:
        """What a difference shows: ``"more"`` or ``"less"`` if the interval leaves out 0, else ``"tie"``.

        ``"diverged"`` if one of the values is not finite.
        """
        if not math.isfinite(self.mean):
            return "diverged"
        return "more" if self.low > 0 else "less" if self.high < 0 else "tie"

    @property
    def drawn(self) -> Drawn:
        """Mean, low and high."""
        return self.mean, self.low, self.high

    def apart(self, other: Interval) -> bool:
        """Whether the two intervals do not overlap."""
        return self.high < other.low or other.high < self.low

    def text(self, digits: int = 2) -> str:
        """``"1.64 (1.60 to 1.68)"``; the mean alone where there are no bounds; ``"diverged"`` if it is not finite."""
        if not math.isfinite(self.mean):
            return "diverged"
        if not math.isfinite(self.high - self.low):
            return f"{self.mean:.{digits}f}"
        return f"{self.mean:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"

    def share(self, digits: int = 1) -> str:
        """An interval of shares, clipped to between 0 and 1: ``"98.0% (95.2% to 100.0%)"``."""
        if not math.isfinite(self.high - self.low):
            return self.percent(digits)
        return Interval(self.mean, max(self.low, 0.0), min(self.high, 1.0), self.count).percent(digits)

    def percent(self, digits: int = 1) -> str:
        """An interval of differences of shares: ``"-1.5% (-3.6% to 0.6%)"``."""
        if not math.isfinite(self.high - self.low):
            return f"{self.mean:.{digits}%}"
        return f"{self.mean:.{digits}%} ({self.low:.{digits}%} to {self.high:.{digits}%})"


@dataclass(frozen=True)
class Claim:
    """A comparison that was planned before its result was known.

    Args:
        text: what is compared, ``"error, causal - ISM, 2 layers"``: the same for the full sweep and the cut-down one.
        difference: what was found.
        least: the smallest difference that two seeds can show. Where the full sweep finds a smaller one, the cut-down
            sweep may also find a tie.
    """

    text: str
    difference: Interval
    least: float = 0.0


STUDENT_T = (
    12.706204736174694, 4.302652729749462, 3.1824463052837078, 2.7764451051977934, 2.5705818356363146,
    2.4469118511449786, 2.364624251592784, 2.306004135204166, 2.262157162798205, 2.228138851986274,
    2.200985160091639, 2.1788128296672284, 2.1603686564627913, 2.144786687917804, 2.131449545559776,
    2.1199052992212546, 2.1098155778333156, 2.1009220402410382, 2.0930240544083087, 2.085963447265864,
    2.0796138447276795, 2.0738730679040254, 2.0686576104190486, 2.0638985616280245, 2.0595385527532972,
    2.0555294386428735, 2.0518305164802846, 2.0484071417952454, 2.045229642132703, 2.0422724563012378,
)  # fmt: skip
"""Two-sided 95% quantiles of Student's t distribution for 1 to 30 degrees of freedom (``scipy.stats.t.ppf(0.975)``)."""


def student_t(freedom: int) -> float:
    """The 95% quantile of Student's t distribution, two-sided.

    Raises:
        ValueError: the degrees of freedom are not between 1 and 30.
    """
    if not 1 <= freedom <= len(STUDENT_T):
        raise ValueError(
            f"Student's t is tabled for 1 to {len(STUDENT_T)} degrees of freedom, got {freedom}; for more than "
            f"{len(STUDENT_T) + 1} values, pass mean_interval(values, t=scipy.stats.t.ppf(0.975, len(values) - 1))"
        )
    return STUDENT_T[freedom - 1]


def mean_interval(values: Iterable[float], *, t: float | None = None) -> Interval:
    """The mean of independent values, one per seed for example, with its 95% interval.

    Args:
        values: up to 31, or more if ``t`` is given.
        t: the quantile of Student's t distribution; by default :func:`student_t` of ``count - 1``.

    Raises:
        ValueError: there are no values, or too many for the table of quantiles.
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
    reach = (student_t(count - 1) if t is None else real_number("t", t, 0)) * spread / math.sqrt(count)
    return Interval(mean, mean - reach, mean + reach, count)


def paired_difference(a: Mapping[Any, float], b: Mapping[Any, float]) -> Interval:
    """The interval of ``a - b``, taken seed by seed, so that what a seed does to both cancels.

    Args:
        a: a value for each seed.
        b: another value for each seed; seeds that only one of the two has are left out.
    """
    return mean_interval(a[seed] - b[seed] for seed in a if seed in b)
