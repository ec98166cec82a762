"""What each turn cost, as bars."""

from dataclasses import replace

from mini_ism.cost import plan
from mini_ism.trace import turn_costs
from mini_ism.views import turn_bars
from tests.strategies import segments_of
from tests.views.drawn import LAYOUT


def test_bars_count_and_show_seconds_only_where_there_are_some() -> None:
    costs = turn_costs(plan("prefix", segments_of(LAYOUT)))
    drawn = turn_bars({"prefix": costs, "<b>": costs}, now=2)
    assert "1st token" not in drawn
    assert "<b>" not in drawn
    assert "turn 2, prefix: 0 kept, 14 computed" in drawn.alt
    assert drawn.count('class="mi-now"') == 1
    timed = [replace(event, seconds=0.002) for event in plan("ism", segments_of(LAYOUT))]
    drawn = turn_bars({"ism": turn_costs(timed), "plan": costs})
    assert "1st token ms" in drawn
    assert ">2.0</text>" in drawn
    assert ">–</text>" in drawn  # nobody ran the plan
    assert turn_bars({}).alt == "What each turn cost. nothing yet."
