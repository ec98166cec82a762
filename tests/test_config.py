"""The configuration: presets of a known size, and shapes that cannot be."""

from dataclasses import asdict
from typing import Any

import pytest
import torch

from mini_ism import GPT, GPTConfig
from mini_ism.config import PRESETS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers must be a whole number from 1 up, got 0"),
        ({"vocab_size": -3}, "vocab_size must be a whole number from 1 up, got -3"),
        ({"context": 2.5}, "context must be a whole number from 1 up, got 2.5"),
        ({"token_shift": -1}, "token_shift must be a whole number from 0 up, got -1"),
        ({"width": 90, "heads": 4}, "width 90 does not divide into 4 heads .*use a multiple of 8"),
    ],
)
def test_bad_shapes(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GPTConfig(**changes)


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
