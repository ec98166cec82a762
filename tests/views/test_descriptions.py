"""Masks and attention in words."""

from hypothesis import given
from hypothesis import strategies as st

from mini_ism.views.descriptions import describe_attention, describe_difference, describe_row, ranges
from tests.views.drawn import one_query


@given(st.sets(st.integers(0, 40)))
def test_ranges_can_be_read_back(positions: set[int]) -> None:
    text = ranges(sorted(positions))
    back: set[int] = set()
    for part in [] if text == "nothing" else text.split(", "):
        first, _, last = part.partition("..")
        back |= set(range(int(first), int(last or first) + 1))
    assert back == positions


def test_a_row_in_words() -> None:
    assert describe_row([True] * 13 + [False] * 7, one_query(["Bob"] * 20), 7) == "Bob (7) sees 0..12 (13 of 20)"
    assert describe_row([True, False, True], one_query(["x"] * 3), 1) == "x (1) sees 0, 2 (2 of 3)"
    assert describe_row([False], one_query(["x"]), 0) == "x (0) sees nothing (0 of 1)"


def test_attention_in_words() -> None:
    dialogue = one_query(["a", "b", "c"])
    assert describe_attention([0.5, 0.1, 0.4], dialogue, 1) == (
        "b (1) looks at a (0) 50%, c (2) 40%, b (1) 10%; 40% of it lies ahead"
    )
    assert (
        describe_difference([-0.3, 0.3, 0.0], dialogue, 0) == "a (0) moves 30% of its attention: a (0) −30%, b (1) +30%"
    )
    assert describe_difference([0.0, 0.0, 0.0], dialogue, 0) == "a (0) looks where it looked before"
