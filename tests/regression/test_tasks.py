"""Regression tasks: drawn by seed, in segments of the sizes asked for, with clear errors."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mini_ism.regression import draw_tasks, example_segments, kaczmarz_weights, lsa_weights, split_evenly


def test_the_risk_is_the_mean_over_queries() -> None:
    task = draw_tasks(2, width=3, shift=0.5)
    weights = task.w + torch.tensor([0.3, -0.2, 0.6], dtype=torch.float64)
    many = draw_tasks(200_000, examples=1, width=3, shift=0.5, seed=9).query
    sampled = ((weights - task.w)[0] @ many.T).square().mean()
    assert float(task.risk(weights)[0]) == pytest.approx(float(sampled), rel=0.02)


def test_the_same_seed_draws_the_same_tasks() -> None:
    one, two = draw_tasks(3, seed=5), draw_tasks(3, seed=5)
    assert torch.equal(one.x, two.x)
    assert torch.equal(one.y, two.y)
    assert not torch.equal(one.w, draw_tasks(3, seed=6).w)


def test_bad_values_are_refused() -> None:
    with pytest.raises(ValueError, match="width must be at least 1, got 0"):
        draw_tasks(width=0)
    with pytest.raises(ValueError, match="noise must be at least 0, and finite, got -1"):
        draw_tasks(noise=-1)
    for sizes in ([], [3, 0]):
        with pytest.raises(ValueError, match=r"no examples: give|examples of a segment must be at least 1, got 0"):
            example_segments(sizes)
    with pytest.raises(ValueError, match="segments must be from 1 to 4, got 5"):
        split_evenly(4, 5)
    task = draw_tasks(1, examples=4)
    with pytest.raises(ValueError, match="3 positions, but there are 4 examples"):
        lsa_weights(task, example_segments([3]), "ism", eta=0.1, layers=1)
    with pytest.raises(ValueError, match="eta must be above 0"):
        lsa_weights(task, example_segments([4]), "ism", eta=0, layers=1)
    with pytest.raises(ValueError, match="are not 4 examples"):
        kaczmarz_weights(task, [2, 1])


@given(st.integers(1, 50), st.data())
def test_an_even_split(examples: int, data: st.DataObject) -> None:
    segments = data.draw(st.integers(1, examples))
    sizes = split_evenly(examples, segments)
    assert (len(sizes), sum(sizes)) == (segments, examples)
    assert max(sizes) - min(sizes) <= 1
