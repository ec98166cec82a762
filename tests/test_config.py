"""The configuration: presets of a known size, and shapes that cannot be."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch

from mini_ism import GPT, GPTConfig
from mini_ism.config import PRESETS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers must be from 1 to 16777216, got 0"),
        ({"vocab_size": -3}, "vocab_size must be from 1 to 16777216, got -3"),
        ({"context": 10**12}, "context must be from 1 to 16777216, got 1000000000000"),
        ({"rotary_pct": float("nan")}, "rotary_pct must be from 0 to 1, got nan"),
        ({"rope_theta": 0}, "rope_theta must be above 0, and finite, got 0"),
        ({"rope_theta": float("inf")}, "rope_theta must be above 0, and finite, got inf"),
        ({"token_shift": -1}, "token_shift must be from 0 to 16777216, got -1"),
        ({"width": 90, "heads": 4}, "width 90 does not divide into 4 heads .*use a multiple of 8"),
    ],
)
def test_bad_shapes(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GPTConfig(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context": 2.5}, r"GPTConfig\.context must be a whole number, got 2.5"),
        ({"layers": True}, "layers must be a whole number, got True"),
        ({"width": "80"}, "width must be a whole number, got '80'"),
        ({"heads": None}, "heads must be a whole number, got None"),
        ({"rotary_pct": "0.25"}, "rotary_pct must be a number, got '0.25'"),
        ({"mask": None}, "mask must be a text, got None"),
    ],
)
def test_shapes_of_another_type(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        GPTConfig(**changes)


def test_numbers_of_numpy_become_python_s() -> None:
    sizes: dict[str, Any] = {"width": np.int64(16), "heads": np.uint8(2), "rotary_pct": np.float32(0.5)}
    config = GPTConfig(**sizes, rope_theta=500)
    assert json.dumps(asdict(config)) == json.dumps(
        asdict(GPTConfig(width=16, heads=2, rotary_pct=0.5, rope_theta=500.0))
    )


def test_presets() -> None:
    with torch.device("meta"):
        sizes = {name: GPT(GPTConfig.preset(name)).parameter_count() for name in PRESETS}
    assert 2e5 < sizes["tiny"] < 5e5
    assert 8e6 < sizes["small"] < 13e6
    assert sorted(sizes, key=sizes.__getitem__) == ["tiny", "mini", "small", "billion"]
    assert 0.9e9 < sizes["billion"] < 1.1e9
    assert GPTConfig.preset("tiny", context=64, mask="ism").context == 64
    with pytest.raises(ValueError, match="unknown preset 'huge'; presets are tiny, mini, small, billion"):
        GPTConfig.preset("huge")
    assert GPTConfig(**asdict(GPTConfig.preset("tiny", mask="prefix"))).mask == "prefix"
