"""Planning that asks the rule only about what can have changed equals asking it about everything."""

from collections.abc import Callable
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.random_cases import AWKWARD, reads_positions
from mini_ism import Mask, Segments, get_mask
from mini_ism.planner import Planner
from mini_ism.reuse import unchanged_prefix
from tests.strategies import Layout, any_rule, layouts, segments_of

SIZE = 40


class Whole:
    """A planner that asks about everything each time: the slow, obvious way."""

    def __init__(self, mask: Mask) -> None:
        self.mask, self.held = mask, torch.zeros(0, 0, dtype=torch.bool)

    def plan(self, segments: Segments) -> tuple[int, Tensor]:
        dense = self.mask.dense(segments)
        return unchanged_prefix(self.held, dense), dense


def grow(mask: Mask, layout: Layout, random: Random) -> None:
    """A dialogue that grows, a message or a token at a time, is cut now and then, and is planned both ways."""
    whole, planner = Whole(mask), Planner(mask, SIZE + 1)
    segments = segments_of(layout)
    stop = 0
    while stop < len(segments):
        if stop and random.random() < 0.15:  # back to somewhere, which need not be where a message ends
            back = random.randrange(1, stop + 1)
            planner.keep_right(back)
            whole.held = whole.held[: planner.length, : planner.length]
            stop = back - 1
        answering = stop > 0 and not bool(segments.is_query[stop])
        step = 1 if answering else random.choice([1, 2, 5])
        stop = min(stop + step, len(segments))
        kept, dense = whole.plan(segments[:stop])
        plan = None
        if answering and step == 1 and planner.length == stop - 1:
            plan = planner.step()
            if plan is None and random.random() < 0.7:
                end = stop
                while end < len(segments) and not bool(segments.is_query[end]) and end < stop + 6:
                    end += 1
                planner.foresee(segments[:end])
                plan = planner.step()
        plan = plan or planner.plan(segments[:stop])
        assert (plan.kept, plan.stop) == (kept, stop)
        assert torch.equal(planner.rows(kept, stop), dense[kept:])
        assert plan.sees_all == bool(dense[kept:].all())
        planner.computed(stop)
        whole.held = dense
        assert torch.equal(planner.rows(0, stop), dense)


@settings(max_examples=150)
@given(any_rule(SIZE), layouts(), st.integers(0, 2**32))
def test_incremental_is_whole(mask: Mask, layout: Layout, seed: int) -> None:
    grow(mask, layout, Random(seed))


LONG: Layout = [
    *(("system", 3), ("user", 4), ("assistant", 5), ("user", 3), ("assistant", 6)),
    *(("user", 5), ("assistant", 4)),
]


@pytest.mark.slow
@pytest.mark.parametrize("rule", AWKWARD)
def test_each_kind_of_rule(rule: Callable[[Tensor, Tensor, Segments], Tensor]) -> None:
    for seed in range(8):
        grow(Mask(rule, rule.__name__), LONG, Random(seed))


@pytest.mark.parametrize(
    "name", ["causal", "ism", "prefix", "ism(sink=True)", "causal & (sliding_window(6) | sink(2))"]
)
def test_an_answer_is_foreseen_without_asking_again(name: str) -> None:
    """So planning costs what a slice costs, however long the dialogue is."""
    asked = [0]
    mask = get_mask(name)
    rule = mask.rule

    planner = Planner(mask, 200)
    segments = segments_of([("system", 3), ("user", 9), ("assistant", 60)])
    planner.computed(planner.plan(segments[:12]).stop)
    planner.foresee(segments)

    def counted(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
        asked[0] += 1
        return rule(q, kv, s)

    for stop in range(13, 73):
        plan = planner.step()
        assert plan is not None
        assert plan.stop == stop
        assert torch.equal(planner.rows(stop - 1, stop), mask.dense(segments[:stop])[-1:])
        planner.computed(stop)
    assert planner.step() is None  # it reaches no further
    assert asked == [0]


def test_a_number_that_the_rule_was_written_with_may_change() -> None:
    reach = 2

    def near(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
        return (kv <= q) & (q - kv < reach)

    planner, segments = Planner(Mask(near), 40), segments_of([("user", 4), ("assistant", 20)])
    planner.computed(planner.plan(segments[:4]).stop)
    planner.foresee(segments)
    assert planner.step() is not None
    planner.computed(5)
    reach = 4
    assert planner.step() is None
    plan = planner.plan(segments[:6])
    assert (plan.kept, plan.stop) == (2, 6)
    assert torch.equal(planner.rows(0, 6), Mask(near).dense(segments[:6]))


def test_a_global_that_changes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    planner, segments = Planner(Mask(reads_positions), 40), segments_of([("user", 6), ("assistant", 6)])
    planner.computed(planner.plan(segments[:6]).stop)
    monkeypatch.setattr("benchmarks.random_cases.WINDOW", 5)
    plan = planner.plan(segments[:7])
    assert plan.kept == 0  # the first already sees further
    assert torch.equal(planner.rows(0, 7), Mask(reads_positions).dense(segments[:7]))


def test_a_rule_that_fails_changes_nothing() -> None:
    table = torch.ones(SIZE, SIZE, dtype=torch.bool)
    small = Mask(lambda q, kv, s: table[q, kv])
    planner, segments = Planner(small, SIZE + 9), segments_of([("user", SIZE + 5)])
    planner.computed(planner.plan(segments[:9]).stop)
    with pytest.raises(ValueError, match="raised IndexError"):
        planner.plan(segments)
    assert planner.length == 9
    assert torch.equal(planner.rows(0, 9), small.dense(segments[:9]))


def test_a_copy_goes_its_own_way() -> None:
    planner, segments = Planner(get_mask("ism"), SIZE), segments_of([("user", 4), ("assistant", 3), ("user", 4)])
    planner.computed(planner.plan(segments[:7]).stop)
    twin = planner.clone()
    twin.computed(twin.plan(segments).stop)
    assert planner.length == 7
    assert torch.equal(planner.rows(0, 7), get_mask("ism").dense(segments[:7]))
