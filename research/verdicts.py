"""All comparisons of all sweeps as one CSV file, with p values corrected for the number of comparisons."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence

from scipy import stats

from mini_ism.results import Claim, Interval


def verdicts(found: Mapping[str, list[Claim]], planned: Mapping[str, int]) -> str:
    """All comparisons as CSV, with two-sided p values of paired t tests, as they are and by Holm's method.

    Args:
        found: the comparisons by sweep; each sweep is corrected by itself (Holm, 1979).
        planned: by sweep, how many were written down beforehand, if not all of them have been run yet.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("sweep", "comparison", "pairs", "mean", "low", "high", "shown", "p", "p by Holm", "shown by Holm"))
    for sweep, claims in found.items():
        corrected = holm([p_value(claim.difference) for claim in claims], planned.get(sweep, 0))
        for claim, p in zip(claims, corrected, strict=True):
            d = claim.difference
            numbers = (f"{value:.4g}" for value in (d.mean, d.low, d.high))
            before = p_value(d)
            writer.writerow(
                (sweep, claim.text, d.count, *numbers, before < 0.05, f"{before:.3g}", f"{p:.3g}", p < 0.05)
            )
    return file.getvalue()


def p_value(difference: Interval) -> float:
    """The two-sided p value of a mean that has an interval by Student's t; 1 where it has none, or is exactly 0."""
    if difference.mean == 0 or not math.isfinite(difference.high - difference.low):
        return 1.0
    freedom, reach = difference.count - 1, (difference.high - difference.low) / 2
    if reach == 0:
        return 0.0
    return float(2 * stats.t.sf(abs(difference.mean) / reach * stats.t.ppf(0.975, freedom), freedom))


def holm(values: Sequence[float], planned: int = 0) -> list[float]:
    """P values corrected for their number, or a larger one that was planned, by Holm's step-down method (1979)."""
    corrected, highest, count = [0.0] * len(values), 0.0, max(len(values), planned)
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (count - rank) * values[place]))
        corrected[place] = highest
    return corrected
