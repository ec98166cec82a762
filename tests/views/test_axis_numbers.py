"""Numbers along an axis."""

from mini_ism.views.axis_numbers import short, ticks


def test_ticks_are_round() -> None:
    assert ticks(7.0, 5) == [0, 2, 4, 6]
    assert ticks(1.0, 5) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(50, 4) == [0, 20, 40]
    assert ticks(3500, 4) == [0, 1000, 2000, 3000]


def test_large_numbers_are_written_short() -> None:
    assert [short(value) for value in (0.5, 20, 1500, 2e6)] == ["0.5", "20", "1.5k", "2M"]
