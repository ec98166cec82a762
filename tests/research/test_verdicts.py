"""P values of intervals, and Holm's correction, against numbers worked out elsewhere."""

import math

import pytest
from scipy import stats

from mini_ism.results import Claim, Interval, mean_interval
from research.verdicts import holm, p_value, verdicts


def test_a_p_value_is_that_of_a_t_test() -> None:
    values = [0.1, 0.3, -0.05, 0.2, 0.25]
    assert p_value(mean_interval(values)) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-6)


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        (Interval(0.0, 0.0, 0.0, 5), 1.0),  # all seeds agree that there is none
        (Interval(0.1, 0.1, 0.1, 5), 0.0),  # all seeds agree on it
        (Interval(0.1, -math.inf, math.inf, 1), 1.0),  # one seed shows nothing
    ],
)
def test_intervals_without_width_or_ends(difference: Interval, expected: float) -> None:
    assert p_value(difference) == expected


def test_holm_steps_down() -> None:
    # Three tests: 3 x 0.01, then 2 x 0.02 and 1 x 0.03, neither below the one before.
    assert holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    assert holm([0.03, 0.01], planned=3) == pytest.approx([0.06, 0.03])  # one is still to be run


def test_each_sweep_is_corrected_by_itself() -> None:
    alone = Claim("a, b", mean_interval([0.1, 0.2, 0.15]))
    lines = verdicts({"one": [alone], "two": [alone, alone]}, {"one": 3}).splitlines()
    assert lines[0].split(",")[0] == "sweep"
    assert [line.split(",")[0] for line in lines[1:]] == ["one", "two", "two"]
    for line, count in ((lines[1], 3), (lines[2], 2)):
        p, corrected = (float(cell) for cell in line.rsplit(",", 3)[1:3])
        assert corrected == pytest.approx(count * p, rel=0.01)
