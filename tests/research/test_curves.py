"""What is read off learning curves."""

import pytest

from research.curves import Point, at_tokens, steps_to


def test_steps_to_a_share_are_those_from_which_it_stays() -> None:
    def first(*shares: float) -> int | None:
        return steps_to([Point(step, 0, share) for step, share in zip((10, 20, 30), shares, strict=False)], 0.9)

    assert first(0.95, 0.95, 0.95) == 10
    assert first(0.95, 0.5, 0.9) == 30
    assert first(0.95, 0.95, 0.5) is None
    assert first() is None


def test_equal_tokens_are_those_of_the_last_measurement_before_them() -> None:
    curve = [Point(10, 2000, 0.3), Point(20, 4000, 0.6), Point(30, 6000, 0.9)]
    assert at_tokens(curve, 3000) == 0.3
    assert at_tokens(curve, 3970) == 0.6  # a hundredth more is allowed
    assert at_tokens(curve, 6000) == pytest.approx(0.9)
