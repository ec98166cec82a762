"""What a page is told about a matrix: every cell's phrase, in few bytes, and text that stays text."""

import json
import xml.etree.ElementTree as ET

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mini_ism.views.grid import grid_data, run_lengths


@given(st.lists(st.integers(0, 3), max_size=40))
def test_runs_give_the_cells_back(codes: list[int]) -> None:
    runs = run_lengths(np.array(codes, dtype=np.int64))
    assert [code for code, count in zip(runs[::2], runs[1::2], strict=True) for _ in range(count)] == codes
    assert all(before != after for before, after in zip(runs[:-2:2], runs[2::2], strict=True))


@given(st.text(max_size=8) | st.sampled_from(["<b>", 'a "quoted" & b', "{column}", "\x00"]))
def test_names_survive_their_way_through_the_attribute(name: str) -> None:
    group = ET.fromstring(f"<g {grid_data([name, 'x'], np.eye(2, dtype=int), ['no', '{row}'], 9.5, row=1)}/>")
    data = json.loads(str(group.get("data-grid")))
    assert data["names"] == [name, "x"]
    assert (data["phrases"], data["cell"], data["row"]) == (["no", "{row}"], 9.5, 1)
    assert data["runs"] == [1, 1, 0, 2, 1, 1]
