"""Layers as gradient steps: against loops over numbers, and turn by turn."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mini_ism import get_mask
from mini_ism.regression import (
    Task,
    draw_tasks,
    example_segments,
    kaczmarz_weights,
    least_squares_weights,
    lsa_scores,
    lsa_weights,
    turn_weights,
    weights_of,
)
from tests.regression.measured import ETA, LAYERS


def slow_layers(task: Task, seen: list[list[bool]], eta: float, layers: int) -> Tensor:
    """The layers of one prompt, by loops over numbers."""
    n, d = len(task), task.width
    x, y = task.x[0].tolist(), task.y[0].tolist()
    a = [0.0] * n
    for _ in range(layers):
        old = list(a)
        for j in range(n):
            explained = 0.0
            for k in range(n):
                if seen[j][k]:
                    explained += old[k] * sum(x[j][i] * x[k][i] for i in range(d))
            a[j] = old[j] + eta * (y[j] - explained)
    return torch.tensor([sum(a[k] * x[k][i] for k in range(n)) for i in range(d)], dtype=torch.float64)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.sampled_from(["causal", "ism", "prefix", "causal & sliding_window(2)"]),
    st.integers(0, 99),
)
def test_layers_against_loops(sizes: list[int], rule: str, seed: int) -> None:
    task, s = draw_tasks(1, examples=sum(sizes), width=3, seed=seed), example_segments(sizes)
    seen = get_mask(rule).dense(s).tolist()
    assert torch.allclose(lsa_weights(task, s, rule, eta=0.1, layers=4)[-1][0], slow_layers(task, seen, 0.1, 4))


# -- turns -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["causal", "ism"])
def test_earlier_turns_stand_when_the_rule_says_so(rule: str) -> None:
    """One prompt holds all turns: what its first examples hold is what they held when they were all there was."""
    task, s = draw_tasks(8, examples=12, width=4), example_segments([4, 4, 4])
    by_turn = turn_weights(task, s, rule, eta=0.1, layers=30)
    scores = lsa_scores(task, get_mask(rule).dense(s))
    a = torch.zeros_like(task.y)
    for _ in range(30):
        a = a + 0.1 * (task.y - (scores @ a[:, :, None])[..., 0])
    for turn, end in enumerate((4, 8, 12)):
        kept = torch.where(torch.arange(12) < end, a, torch.zeros_like(a))
        assert torch.allclose(by_turn[turn], weights_of(kept, task))


def test_turns_at_rest_are_the_blocks_one_by_one() -> None:
    task, s = draw_tasks(8, examples=12, width=4), example_segments([3, 4, 5])
    assert torch.allclose(turn_weights(task, s, "ism"), kaczmarz_weights(task, [3, 4, 5]))
    prefix = turn_weights(task, s, "prefix")
    assert torch.allclose(prefix[1], least_squares_weights(task.first(7)))
    with pytest.raises(ValueError, match="give eta and layers"):
        turn_weights(task, s, "ism", eta=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_error_by_turn(noise: float) -> None:
    """ISM gains inside a question, as prefix does, and joins up questions better than causal but not as prefix does."""
    task, s = draw_tasks(512, noise=noise), example_segments([8] * 5)
    causal, ism, prefix = (
        task.risk(turn_weights(task, s, rule, eta=ETA, layers=LAYERS)).mean(1) for rule in ("causal", "ism", "prefix")
    )
    assert bool((ism < 0.9 * causal).all())
    assert float(ism[0]) == pytest.approx(float(prefix[0]))
    assert bool((prefix[1:] < 0.7 * ism[1:]).all())
