"""In-context regression: layers, closed forms and figures measured apart from this code agree; the traps are there."""

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
    lsa_scores,
    lsa_weights,
    split_evenly,
    stationary_weights,
    turn_weights,
    weights_of,
)
from mini_ism.views import error_figure, path_figure

ETA, LAYERS = 0.04, 50  # as in 2308.06912
SETTINGS = {
    "causal": ("causal", 40),
    "ISM 10 x 4": ("ism", 10),
    "ISM 5 x 8": ("ism", 5),
    "ISM 2 x 20": ("ism", 2),
    "prefix": ("prefix", 1),
}
"""By name: the rule, and the number of segments that hold the examples."""

# One seed of 64 sequences, measured earlier and apart from this code: layer 10, layer 50, stationary.
ONE_SEED = {
    "causal": (0.454, 0.393, 0.393),
    "ISM 10 x 4": (0.394, 0.302, 0.301),
    "ISM 5 x 8": (0.325, 0.174, 0.162),
    "ISM 2 x 20": (0.156, 0.0129, 0.0),
    "prefix": (0.077, 1.2e-4, 0.0),
}
ONE_SEED_NOISY = {"causal": 0.427, "ISM 2 x 20": 0.450, "prefix": 0.066}  # stationary, noise 0.3


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


# -- small things ------------------------------------------------------------------------------------------------


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
    with pytest.raises(ValueError, match="noise is a standard deviation"):
        draw_tasks(noise=-1)
    for sizes in ([], [3, 0]):
        with pytest.raises(ValueError, match="at least one example"):
            example_segments(sizes)
    with pytest.raises(ValueError, match="1 to 4 segments, not 5"):
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


# -- pictures ----------------------------------------------------------------------------------------------------


def test_pictures_say_what_they_show() -> None:
    errors = np.array([[4.0, 6.0], [1.0, 3.0]])
    figure = error_figure({"ism": errors}, [0, 1], x_label="layers", ends={"ism": 0.5})
    assert "layers 0 to 1" in figure.alt
    assert "ism 5 to 2 (in the end 0.5)" in figure.alt
    with pytest.raises(ValueError, match="'ism' has shape"):
        error_figure({"ism": errors}, [0, 1, 2], x_label="layers")
    paths = {"prefix": [[0.0, 0.0], [1.0, 0.0]]}
    picture = path_figure(paths, [[1.0, 0.0], [1.0, 1.0]], [1.0, 2.0], [1.0, 1.0])
    assert "2 examples" in picture.alt
    assert "prefix: 1 step, ending 1.00 from the answer" in picture.alt
    for drawn in (figure, picture):
        assert set(drawn._repr_mimebundle_()) == {"text/plain", "image/png"}
