"""Weights in a file: eight bits are within half a step of the row's scale, and what is no storage is refused."""

import pytest
import torch

from mini_ism.storage import restored, stored, stored_shapes


@pytest.mark.parametrize("shape", [(5, 7), (1, 3), (4, 1)])
def test_eight_bits_are_off_by_half_a_step_at_most(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    weight = torch.randn(shape) * torch.logspace(-3, 3, shape[0])[:, None]
    found = restored(stored({"w": weight, "gain": weight[0]}, 8))
    step = weight.abs().amax(1, keepdim=True) / 127
    assert bool(((found["w"] - weight).abs() <= step * 0.5001).all())
    assert torch.equal(found["gain"], weight[0])


def test_a_row_of_zeros_stays_one() -> None:
    assert torch.equal(restored(stored({"w": torch.zeros(2, 3)}, 8))["w"], torch.zeros(2, 3))


def test_an_unknown_storage_is_refused() -> None:
    with pytest.raises(ValueError, match=r"bits is one of 32, 16, 8, got 4"):
        stored({"w": torch.ones(2, 2)}, 4)


GOOD = {"w": ("I8", (4, 2)), "w.scale": ("F32", (4,)), "gain": ("F32", (2,))}


def test_shapes_are_told_without_the_scales() -> None:
    assert stored_shapes(GOOD) == {"w": (4, 2), "gain": (2,)}
    assert stored_shapes({"w": ("F16", (4, 2))}) == {"w": (4, 2)}


@pytest.mark.parametrize(
    "wrong",
    [
        {**GOOD, "w.scale": ("F32", (2,))},
        {**GOOD, "w.scale": ("F16", (4,))},
        {**GOOD, "gain.scale": ("F32", (2,))},
        {"w": ("I8", (4, 2)), "gain": ("F32", (2,))},
        {"w": ("F32", (4, 2)), "w.scale": ("F32", (4,))},
        {"w": ("F32", (4, 2)), "gain": ("F16", (2,))},
        {},
    ],
)
def test_what_is_no_storage_is_refused(wrong: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    with pytest.raises(ValueError, match=r"neither float32 nor float16 throughout, nor eight bits"):
        stored_shapes(wrong)
