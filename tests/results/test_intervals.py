"""Statistics over seeds match published values and SciPy."""

import math

import numpy as np
import pytest
from scipy.stats import t

from mini_ism.results import mean_interval, paired_difference
from mini_ism.results.intervals import STUDENT_T, student_t


def test_quantiles_are_those_of_scipy() -> None:
    assert len(STUDENT_T) == 30
    for freedom, quantile in enumerate(STUDENT_T, start=1):
        assert quantile == pytest.approx(float(t.ppf(0.975, freedom)), rel=2e-9)  # as right as SciPy 1.11 is


def test_student_against_published_values() -> None:
    published = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764, 5: 2.5706, 9: 2.2622, 10: 2.2281, 30: 2.0423}
    for freedom, quantile in published.items():
        assert student_t(freedom) == pytest.approx(quantile, abs=5e-5)
    with pytest.raises(ValueError, match="1 to 30 degrees of freedom, got 0"):
        student_t(0)


def test_many_values_need_a_quantile() -> None:
    with pytest.raises(ValueError, match=r"got 31; for more than 31 values, pass mean_interval\(values, t=scipy"):
        mean_interval(range(32))
    quantile = float(t.ppf(0.975, 31))
    assert mean_interval(range(32), t=quantile).high == pytest.approx(
        15.5 + quantile * np.std(range(32), ddof=1) / 32**0.5
    )


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    generator = np.random.default_rng(0)
    inside = sum(i.low <= 3 <= i.high for i in (mean_interval(generator.normal(3, 2, 5)) for _ in range(4000)))
    assert inside / 4000 == pytest.approx(0.95, abs=0.01)


def test_intervals_in_words() -> None:
    assert mean_interval([1.0, 2.0, 3.0]).text() == "2.00 (-0.48 to 4.48)"
    assert mean_interval([2.0]).text(1) == "2.0"
    assert mean_interval([0.5, 0.5]).percent(0) == mean_interval([0.5, 0.5]).share(0) == "50% (50% to 50%)"
    assert mean_interval([0.5, 1.0]).share(0) == "75% (0% to 100%)"  # no share is -243% or 393%
    assert mean_interval([0.5]).share(0) == "50%"
    assert [mean_interval(v).verdict for v in ([1.0, 1.1], [-1.0, -1.1], [-1.0, 1.0], [5.0])] == [
        "more",
        "less",
        "tie",
        "tie",
    ]
    assert mean_interval([1.0, 1.01]).apart(mean_interval([3.0, 3.01]))
    assert not mean_interval([1.0, 1.01]).apart(mean_interval([3.0]))
    for diverged in ([math.inf, 1.0], [math.inf, -math.inf, 1.0], [math.nan]):
        assert mean_interval(diverged).text() == mean_interval(diverged).verdict == "diverged"
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])


def test_pairs_share_their_seed() -> None:
    noise = [0.0, 5.0, -3.0, 2.0]
    a = {seed: 1.1 + n + seed / 100 for seed, n in enumerate(noise)}
    b = {seed: 1.0 + n for seed, n in enumerate([*noise, 7.0])}
    assert paired_difference(a, b).verdict == "more"
    assert paired_difference(a, b).count == 4
    assert not mean_interval(a.values()).apart(mean_interval(b.values()))
