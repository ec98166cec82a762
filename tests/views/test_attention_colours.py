"""Attention as colours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_ism.views.attention_colours import RootScale, coloured, thumbnail


@given(st.floats(-1, 1))
def test_the_scale_and_its_inverse(value: float) -> None:
    for signed in (False, True):
        number = value if signed else abs(value)
        place = float(RootScale(signed)(number))
        assert 0 <= place <= 1
        assert float(RootScale(signed).inverse(place)) == pytest.approx(number, abs=1e-9)


def test_hidden_cells_are_transparent_and_thumbnails_keep_thin_lines() -> None:
    pixels = coloured([[0.0, 1.0], [0.5, 0.2]], [[True, False], [True, True]], signed=False)
    assert pixels[..., 3].tolist() == [[255, 0], [255, 255]]
    assert (coloured([[0.0]], [[True]], signed=True)[0, 0, :3] > 240).all()  # no change is nearly white
    thin = np.zeros((100, 100))
    thin[37, 61], thin[80, 3] = 0.9, -0.7
    small = thumbnail(thin, 40)
    assert small.shape == (34, 34)
    assert (small.max(), small.min()) == (0.9, -0.7)
    assert thumbnail(thin, 100) is thin
