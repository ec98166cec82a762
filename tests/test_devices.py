"""Devices by name, and clear errors for those that are not there."""

from typing import Any

import pytest
import torch

from mini_ism.devices import get_device


def test_devices() -> None:
    assert get_device("cpu") == torch.device("cpu") == get_device(torch.device("cpu"))
    assert get_device("auto").type in ("cpu", "cuda", "mps")
    assert get_device("cpu:0").type == "cpu"


@pytest.mark.parametrize("name", ["tpu", "", "cpu:", "cpu:x", "cuda:-1", 3])
def test_an_unknown_device(name: Any) -> None:
    with pytest.raises(ValueError, match=f"unknown device '{name}'; devices are auto, cpu, cuda, mps"):
        get_device(name)


@pytest.mark.parametrize("name", ["cpu:1", "cuda:99"])
def test_a_device_number_that_is_not_there(name: str) -> None:
    with pytest.raises(ValueError, match=f"device '{name}' is not available here; use 'cpu', or 'auto'"):
        get_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="device 'cuda' is not available here; use 'cpu', or 'auto'"):
        get_device("cuda")
