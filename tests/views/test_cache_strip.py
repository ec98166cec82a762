"""The strip draws each state where it is."""

import re

from mini_ism.views.cache_strip import cache_strip
from tests.views.drawn import elements, film


def test_the_strip_draws_each_state_where_it_is() -> None:
    steps, dialogue = film()
    for step in steps:
        drawn = cache_strip(step, dialogue)
        cell = float(elements(drawn, "pattern")[0].get("width", "0"))
        boxes = [
            r for r in elements(drawn, "rect") if (r.get("class") or "").startswith("mi-") and r.get("fill") != "none"
        ]
        read = [(r.get("class", "")[3:]) for r in boxes for _ in range(round(float(r.get("width", "0")) / cell))]
        assert read == [state for lane in step.lanes.values() for state in lane.states]


def test_each_position_leads_to_its_step_and_says_what_it_is() -> None:
    steps, dialogue = film()
    drawn = cache_strip(steps[-1], dialogue, steps=range(len(dialogue)))
    assert re.findall(r'data-step="(\d+)" data-token="\1"', drawn) == [str(n) for n in range(len(dialogue))]
    assert drawn.count("prefix: read in this turn") + drawn.count("prefix: written") == len(dialogue)
    assert "data-pick" not in cache_strip(steps[-1], dialogue)
    assert "data-pick" not in cache_strip(steps[-1], dialogue, steps=range(len(dialogue)), width=60)  # too narrow
