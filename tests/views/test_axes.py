"""What stands along the sides: labels that thin out, and the outline of a mask."""

import re
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_ism.views.axes import outline, shown_labels


def test_labels_thin_out_but_keep_the_selected_row() -> None:
    assert shown_labels(12, 20, None) == list(range(12))
    shown = shown_labels(128, 3.3, 77)
    assert 77 in shown
    assert 10 <= len(shown) <= 18
    assert all(b - a >= 3 for a, b in pairwise(shown))


@settings(max_examples=30)
@given(st.integers(1, 12), st.integers(0, 2**31))
def test_the_outline_separates_seen_from_hidden(total: int, seed: int) -> None:
    allowed = np.random.default_rng(seed).random((total, total)) < 0.5
    across, down = set(), set()
    for x, y, kind, end in re.findall(r"M([\d.]+) ([\d.]+)([HV])([\d.]+)", outline(allowed, 1)):
        if kind == "H":
            across |= {(int(y), column) for column in range(int(x), int(end))}
        else:
            down |= {(row, int(x)) for row in range(int(y), int(end))}
    padded = np.pad(allowed, 1)
    for i in range(total + 1):
        for j in range(total):
            assert ((i, j) in across) == (padded[i, j + 1] != padded[i + 1, j + 1])
            assert ((j, i) in down) == (padded[j + 1, i] != padded[j + 1, i + 1])
