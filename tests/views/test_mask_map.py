"""Masks on a dialogue: well-formed, escaped, and drawn from the cells they claim to show."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import StepPatch

from mini_ism import get_mask
from mini_ism.cost import plan
from mini_ism.views import TokenizedDialogue, mask_figure, mask_map, row_strip, svg
from mini_ism.views.axes import GUTTER, STRIP
from mini_ism.views.cache_strip import cache_strip
from mini_ism.views.dialogue_view import token_roles
from mini_ism.views.timeline import frames
from tests.strategies import segments_of
from tests.views.drawn import elements, one_query, segmented

NASTY = st.text(max_size=12) | st.sampled_from(["<script>alert(1)</script>", "a & b", "\x00\x0b", "]]>", "$x_1$", "🦊"])


@pytest.mark.slow
@settings(max_examples=25)
@given(st.lists(NASTY, min_size=1, max_size=5), st.sampled_from(["causal", "prefix", "ism"]), st.data())
def test_pictures_are_well_formed_whatever_is_said(texts: list[str], rule: str, data: st.DataObject) -> None:
    s, dialogue = segmented(texts)
    row = data.draw(st.none() | st.integers(0, len(s) - 1))
    drawn = mask_map(get_mask(rule).dense(s), dialogue, title=texts[0], row=row, staircase=True)
    assert elements(drawn, "script") == []
    assert ET.fromstring(drawn).get("role") == "img"
    assert ET.fromstring(drawn).get("aria-label")
    for frame in frames({rule: plan(rule, s), "<b>": plan("causal", s)}):
        assert elements(cache_strip(frame, dialogue), "script") == []


def painted(path: str, cell: float, total: int) -> np.ndarray:
    """The cells that an SVG path of boxes covers."""
    grid = np.zeros((total, total), dtype=bool)
    for x, y, wide in re.findall(r"M([\d.e-]+) ([\d.e-]+)h([\d.e-]+)", path):
        row, start = round(float(y) / cell), round(float(x) / cell)
        grid[row, start : start + round(float(wide) / cell)] = True
    return grid


@settings(max_examples=20)
@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_the_map_paints_exactly_the_visible_cells(total: int, seed: int) -> None:
    matrix = np.random.default_rng(seed).random((total, total)) < 0.5
    drawn = mask_map(matrix, one_query(["x"] * total))
    cell = round(min(420 / total, 22.0), 2)
    back, ahead = (
        next(p.get("d", "") for p in elements(drawn, "path") if p.get("fill") == fill) for fill in (svg.BACK, svg.AHEAD)
    )
    assert (painted(back, cell, total) == np.tril(matrix)).all()
    assert (painted(ahead, cell, total) == np.triu(matrix, 1)).all()


@pytest.mark.parametrize("size", [3, 40])
def test_the_legend_fits(size: int) -> None:
    s = segments_of([("system", size), ("user", size), ("assistant", size)])
    dialogue = TokenizedDialogue(["a"] * len(s), token_roles(s), s.id.tolist())
    drawn = mask_map(get_mask("ism").dense(s), dialogue, title="ism", staircase=True)
    width = float(ET.fromstring(drawn).get("width", "0"))
    legend = [text for text in elements(drawn, "text") if text.text in ("line: f(j)", "hidden", "assistant")]
    assert len(legend) == 3
    ends = [GUTTER + STRIP + float(text.get("x", "0")) + 7 * len(text.text or "") for text in legend]
    assert max(ends) <= width


def test_the_staircase_ends_where_each_row_ends() -> None:
    s, dialogue = segmented(["the cup", "yes"])
    dense = get_mask("ism").dense(s)
    drawn = mask_map(dense, dialogue, title="ism", staircase=True, size=22 * len(s))
    path = elements(drawn, "path", "mi-staircase")[0].get("d", "")
    reach = [max(j for j in range(len(s)) if dense[i, j]) + 1 for i in range(len(s))]
    assert [round(float(x) / 22) for x in re.findall(r"[ML]([\d.]+) ", path)] == reach


HOLES = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [1, 1, 1, 0]], dtype=bool)


def test_a_row_with_holes_has_no_stair() -> None:
    """It has no f(j), as the mask explorer says in words."""
    path = elements(mask_map(HOLES, one_query(["a"] * 4), staircase=True, size=88), "path", "mi-staircase")[0]
    assert path.get("d", "") == "M22 0V22L44 22V44M66 66V88"
    (axes,) = mask_figure(HOLES, one_query(["a"] * 4), staircase=True).axes
    stairs = next(patch for patch in axes.patches if isinstance(patch, StepPatch))
    np.testing.assert_array_equal(stairs.get_data()[0], [0.5, 1.5, np.nan, 2.5])


def test_without_a_stair_there_is_no_legend_for_one() -> None:
    drawn = mask_map([[False, True], [False, True]], one_query(["a", "b"]), staircase=True)
    assert "mi-staircase" not in str(drawn)
    assert "f(j)" not in str(drawn)
    (axes,) = mask_figure(HOLES[2:3, 2:3] * False, one_query(["a"]), staircase=True).axes
    assert not any(isinstance(patch, StepPatch) for patch in axes.patches)


@pytest.mark.parametrize("row", [-1, 3])
def test_a_row_outside_the_map_is_refused(row: int) -> None:
    with pytest.raises(ValueError, match=f"row {row} is not a position"):
        mask_map(np.eye(3), one_query(["a"] * 3), row=row)
    with pytest.raises(ValueError, match=f"row {row} is not a position"):
        row_strip([True] * 3, one_query(["a"] * 3), row)


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="matrix \\[T, T\\]"):
        mask_map(np.eye(3), one_query(["a"] * 2))
    with pytest.raises(ValueError, match="got 3 and 2"):
        row_strip([True] * 3, one_query(["a"] * 2), 0)
