"""What stands along the sides: labels that thin out, and the outline of a mask."""

import re
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_ism.views.axes import FONT_SIZE, LINE, SMALLEST, cell_side, fit_labels, map_size, outline


def test_every_token_is_labelled_where_there_is_room() -> None:
    assert fit_labels(12, 20, None) == (list(range(12)), FONT_SIZE)
    shown, size = fit_labels(44, 420 / 44, None)  # smaller, and all there
    assert shown == list(range(44))
    assert FONT_SIZE * SMALLEST <= size < FONT_SIZE


@given(st.integers(1, 512), st.floats(0.5, 22), st.data())
def test_labels_do_not_touch_and_the_selected_row_has_one(total: int, cell: float, data: st.DataObject) -> None:
    row = data.draw(st.none() | st.integers(0, total - 1))
    shown, size = fit_labels(total, cell, row)
    assert row is None or row in shown
    assert size >= FONT_SIZE * SMALLEST - 0.01
    assert all((b - a) * cell >= size * LINE - 0.01 for a, b in pairwise(shown))
    assert len(shown) >= total * cell / (FONT_SIZE * LINE) / 2 - 2  # no more are left out than must be


def test_a_map_grows_until_every_row_has_its_label() -> None:
    for total in (1, 37, 66):
        assert len(fit_labels(total, cell_side(map_size(total), total), None)[0]) == total
    assert map_size(20) == 420
    assert map_size(512) == 640


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
