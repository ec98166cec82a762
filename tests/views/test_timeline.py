"""The film keeps the books."""

from dataclasses import replace

import pytest

from mini_ism.cost import plan
from mini_ism.trace import turn_costs
from mini_ism.views.timeline import frames
from tests.strategies import segments_of
from tests.views.drawn import LAYOUT, film, segmented


def test_the_film_keeps_the_books() -> None:
    steps, dialogue = film()
    total = len(dialogue)
    assert steps[0].action == "start"
    assert {lane.computed for lane in steps[0].lanes.values()} == {0}
    ends = {name: lane.computed for name, lane in steps[-1].lanes.items()}
    assert ends["causal"] == ends["ism"] == total
    s = segmented(["Where is the cup?", "In the oven.", "Why?", "I do not know."])[0]
    assert ends["prefix"] == sum(cost.computed for cost in turn_costs(plan("prefix", s)))
    assert all("waiting" not in lane.states for lane in steps[-1].lanes.values())
    keep = next(step for step in steps if step.turn == 2 and step.action == "keep")
    seen = int((s.id < 2).sum())
    assert set(keep.lanes["prefix"].states[:seen]) == {"discarded"}
    assert set(keep.lanes["ism"].states[:seen]) == {"reused"}
    assert f"prefix throws away {seen}" in keep.describe()
    assert f"ism keeps {seen}" in keep.describe()


def test_a_shorter_lane_waits() -> None:
    long = segmented(["Where?", "In the oven.", "Why?", "I do not know."])[0]
    short = segmented(["Where?", "In.", "Why?", "I do."])[0]
    steps = frames({"long": plan("causal", long), "short": plan("causal", short)})
    starts = [step for step in steps if step.turn == 2 and step.action == "keep"]
    assert len(starts) == 1
    assert starts[0].lanes["long"].touched
    assert starts[0].lanes["short"].touched
    assert "short has nothing to do" in " ".join(step.describe() for step in steps)


def test_a_conversation_that_went_back_is_refused() -> None:
    trace = plan("causal", segmented(["Where?", "In.", "Why?", "So."])[0])
    with pytest.raises(ValueError, match="went back to turn 1"):
        frames({"a": [*trace, *trace]})
    with pytest.raises(ValueError, match=r"went back to turn 1, by truncate\(\)"):
        frames({"a": [*trace, replace(trace[-1], turn=1, phase="discard")]})
    with pytest.raises(ValueError, match="no conversation"):
        frames({})


@pytest.mark.parametrize("at_once", [1, 3, 50])
def test_more_to_read_takes_more_steps(at_once: int) -> None:
    segments = segments_of(LAYOUT)
    traces = {rule: plan(rule, segments) for rule in ("causal", "prefix")}
    film, whole = frames(traces, at_once=at_once), frames(traces)
    for name, trace in traces.items():
        for cost in turn_costs(trace):
            reads = [step.lanes[name] for step in film if (step.turn, step.action) == (cost.turn, "read")]
            assert sum(bool(lane.touched) for lane in reads) == -(-cost.prefilled // at_once)
            assert sum(len(lane.touched) for lane in reads) == cost.prefilled
    assert film[-1].lanes["prefix"].spent == whole[-1].lanes["prefix"].spent
    assert film[-1].lanes["prefix"].states == whole[-1].lanes["prefix"].states
    written = [[step.lanes for step in each if step.action == "write"] for each in (film, whole)]
    assert written[0] == written[1]
    with pytest.raises(ValueError, match="at_once must be at least 1 token in a step, or None for all, got 0"):
        frames(traces, at_once=0)


def test_frames_say_what_each_turn_has_cost_so_far() -> None:
    segments = segments_of(LAYOUT)
    traces = {rule: plan(rule, segments) for rule in ("causal", "prefix")}
    film = frames(traces)
    for name, trace in traces.items():
        assert list(film[-1].lanes[name].spent) == turn_costs(trace)
        computed = [frame.lanes[name].computed for frame in film]
        assert computed == sorted(computed)
        assert all(frame.lanes[name].computed == sum(c.computed for c in frame.lanes[name].spent) for frame in film)
