"""Rules as text: a switched direction, and the options of ISM."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_ism import get_mask
from mini_ism.widgets.rule_text import directions, ism_options, turned, with_ism_options
from tests.strategies import layouts, segments_of

RULES = [
    *("causal", "ism", "prefix", "ism(sink=True)", "causal | same_segment", "mas & (causal | ~inside(1))"),
    *("kv <= q", "(kv <= q) | (s.is_query[q] & (s.id[q] == s.id[kv]))"),
]


@pytest.mark.slow
@settings(max_examples=40)
@given(layouts(), st.sampled_from(RULES), st.data())
def test_turned_changes_one_square_and_nothing_else(layout: Any, rule: str, data: st.DataObject) -> None:
    s = segments_of(layout)
    longer = segments_of([*layout, ("user", 3), ("assistant", 2)])
    number = data.draw(st.integers(0, len(layout) - 1))
    both = data.draw(st.booleans())
    text = turned(rule, number, both, [s, longer])
    for segments in (s, longer):
        before, after = get_mask(rule).dense(segments).tolist(), get_mask(text).dense(segments).tolist()
        ids = segments.id.tolist()
        for i in range(len(ids)):
            for j in range(len(ids)):
                if not ids[i] == ids[j] == number:
                    assert after[i][j] == before[i][j]
                elif segments is s:
                    assert after[i][j] == (both or j <= i)
    assert turned(text, number, both, [s, longer]) == text


def test_directions_by_hand() -> None:
    s = segments_of([("user", 2), ("assistant", 3), ("user", 1)])
    assert directions(get_mask("ism").dense(s), s) == ["both ways", "backwards", "both ways"]
    assert directions(get_mask("causal | (sliding_window(2) & ~inside(0))").dense(s), s)[:2] == ["backwards", "partly"]


def test_options_of_ism_in_a_text() -> None:
    assert ism_options("causal & sink") == {}
    assert ism_options("causal & ism(sink=True)") == {"sink": True, "system_as_query": True}
    changed = with_ism_options("ism & sliding_window(4) | ism(sink=True)", sink=False, system_as_query=False)
    assert changed == "ism(system_as_query=False) & sliding_window(4) | ism(system_as_query=False)"
    assert "prefix" in with_ism_options("prefix", sink=True, system_as_query=True)
