"""The pieces of SVG pictures: runs of cells against a loop."""

from hypothesis import given
from hypothesis import strategies as st

from mini_ism.views import svg


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=5))
def test_spans_against_a_loop(matrix: list[list[bool]]) -> None:
    expected = []
    for y, row in enumerate(matrix):
        for x, value in enumerate(row):
            if value and (x == 0 or not row[x - 1]):
                stop = next((e for e in range(x, len(row)) if not row[e]), len(row))
                expected.append((y, x, stop))
    assert svg.spans(matrix) == expected
