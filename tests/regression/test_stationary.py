"""Closed forms: where the layers come to rest, figures measured apart from this code, and the traps."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mini_ism import Mask, get_mask
from mini_ism.regression import (
    Task,
    block_sizes,
    causal_weights,
    draw_tasks,
    example_segments,
    kaczmarz_weights,
    least_squares_weights,
    lsa_weights,
    split_evenly,
    stationary_weights,
)
from tests.regression.measured import ETA, LAYERS, ONE_SEED, ONE_SEED_NOISY, SETTINGS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("rule", "sizes"),
    [
        ("causal", [1] * 12),
        ("causal", [4, 4, 4]),
        ("ism", [1] * 12),
        ("ism", [2, 3, 1, 2, 4]),
        ("ism", [9, 3]),  # 9 > d: that block's own least squares
        ("prefix", [4, 4, 4]),
        ("bidirectional", [12]),
    ],
)
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_layers_come_to_rest_where_the_closed_form_says(rule: str, sizes: list[int], noise: float) -> None:
    task, s = draw_tasks(8, examples=12, width=5, noise=noise, seed=3), example_segments(sizes)
    rest = lsa_weights(task, s, rule, eta=0.15, layers=20_000)[-1]
    assert (rest - stationary_weights(task, s, rule)).abs().max() < 1e-6


def test_the_ends_of_block_kaczmarz() -> None:
    for noise in (0.0, 0.5):
        task = draw_tasks(16, examples=24, width=6, noise=noise)
        assert (kaczmarz_weights(task, [1] * 24)[-1] - causal_weights(task)).abs().max() < 1e-9
        assert (kaczmarz_weights(task, [24])[-1] - least_squares_weights(task)).abs().max() < 1e-9
        pinv = (torch.linalg.pinv(task.x) @ task.y[:, :, None])[..., 0]
        assert (least_squares_weights(task) - pinv).abs().max() < 1e-9


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(0, 99))
def test_kaczmarz_against_the_pseudo_inverse(sizes: list[int], seed: int) -> None:
    task = draw_tasks(2, examples=sum(sizes), width=4, noise=0.2, seed=seed)
    for b in range(2):
        w, start = np.zeros(4), 0
        for step, size in zip(kaczmarz_weights(task, sizes), sizes, strict=True):
            x, y = task.x[b, start : start + size].numpy(), task.y[b, start : start + size].numpy()
            w = w + np.linalg.pinv(x) @ (y - x @ w)
            assert np.allclose(step[b].numpy(), w)
            start += size


def test_blocks_are_read_off_the_rule() -> None:
    s = example_segments([3, 1, 2])
    assert block_sizes(get_mask("causal").dense(s)) == [1] * 6
    assert block_sizes(get_mask("ism").dense(s)) == [3, 1, 2]
    assert block_sizes(get_mask("prefix").dense(s)) == [6]
    assert block_sizes(get_mask("ism", sink=True).dense(example_segments([1, 4]))) == [1, 4]
    with pytest.raises(ValueError, match="example 4 does not see example 0"):
        block_sizes(get_mask("ism & sliding_window(4)").dense(s))
    with pytest.raises(ValueError, match="iterate the layers"):
        stationary_weights(draw_tasks(1, examples=6), s, Mask(lambda q, kv, s: q == kv))


# -- the figures ---------------------------------------------------------------------------------------------


@cache
def draws(noise: float = 0.0) -> Task:
    """64 draws of 64 sequences."""
    return draw_tasks(64 * 64, noise=noise, seed=0)


def band(errors: Tensor) -> tuple[float, float]:
    """Where 95% of the 64 draws' means lie: ``[4096]`` -> (low, high)."""
    low, high = errors.view(64, 64).mean(1).quantile(torch.tensor([0.025, 0.975], dtype=errors.dtype)).tolist()
    return low, high


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_the_one_seed_figures_lie_inside_the_bands(name: str) -> None:
    rule, segments = SETTINGS[name]
    s = example_segments(split_evenly(40, segments))
    layers = lsa_weights(draws(), s, rule, eta=ETA, layers=LAYERS)
    ends = (layers[10], layers[50], stationary_weights(draws(), s, rule))
    for weights, figure in zip(ends, ONE_SEED[name], strict=True):
        low, high = band(draws().risk(weights))
        assert low - 1e-12 <= figure <= high


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_SEED_NOISY)
def test_the_one_seed_figures_with_noise_lie_inside_the_bands(name: str) -> None:
    """With one query a sequence; over all queries the band is narrower, and causal's figure lies on its edge."""
    rule, segments = SETTINGS[name]
    s = example_segments(split_evenly(40, segments))
    low, high = band(draws(0.3).query_error(stationary_weights(draws(0.3), s, rule)))
    assert low <= ONE_SEED_NOISY[name] <= high


def mean_risk(task: Task, segments: int) -> float:
    return float(task.risk(stationary_weights(task, example_segments(split_evenly(40, segments)), "ism")).mean())


def test_a_segment_must_hold_as_many_examples_as_there_are_directions() -> None:
    task = draw_tasks(256)
    assert mean_risk(task, 2) < 1e-20  # 20 >= 16
    assert mean_risk(task, 3) > 1e-3  # 14 < 16
    first, last = example_segments([16, *[1] * 24]), example_segments([*[1] * 24, 16])
    for s in (first, last):  # wherever it stands
        assert float(task.risk(stationary_weights(task, s, "ism")).max()) < 1e-12


def test_with_noise_the_last_segment_decides() -> None:
    task = draw_tasks(256, noise=0.3)
    s = example_segments([20, 20])
    last = Task(task.x[:, 20:], task.y[:, 20:], task.w, task.query)
    assert (stationary_weights(task, s, "ism") - least_squares_weights(last)).abs().max() < 1e-9
    assert float(task.risk(least_squares_weights(task)).mean()) < mean_risk(task, 2) / 4


def test_a_shifted_mean_hurts_causal_and_not_prefix() -> None:
    """In shares of what one errs who knows nothing, which the shift raises, too."""

    def share(shift: float, segments: int) -> float:
        task = draw_tasks(512, shift=shift)
        return mean_risk(task, segments) / float(task.risk(torch.zeros_like(task.w)).mean())

    assert share(1.0, 40) > 1.3 * share(0.0, 40)
    assert share(1.0, 5) < share(0.0, 5)
    assert share(1.0, 1) < 1e-20
