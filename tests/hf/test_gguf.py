"""GGUF files are read as their format says, and damaged ones are refused."""

import numpy as np
import pytest

from mini_ism.hf.gguf import GGUF, GGUFError
from tests.hf.gguf_files import F16, F32, Q4_1, Q8_0, gguf

FACTS = {"name": "Ada", "count": 7, "rate": 0.5, "flag": True, "words": ["a", "ë"], "numbers": [1, 2, 3]}
NUMBERS = np.random.default_rng(0).normal(size=(4, 64)).astype("f4")


def test_facts() -> None:
    assert GGUF(gguf(FACTS, {})).facts == FACTS


@pytest.mark.parametrize(("kind", "step"), [(F32, 0.0), (F16, 2e-3), (Q8_0, 0.02), (Q4_1, 0.2)])
def test_numbers(kind: int, step: float) -> None:
    read = GGUF(gguf(FACTS, {"first": (NUMBERS[:1], F32), "weights": (NUMBERS, kind)}))
    weights = read.tensor("weights")
    assert weights.shape == (4, 64)
    assert weights.dtype == np.float32
    assert float(np.abs(weights - NUMBERS).max()) <= step
    assert np.array_equal(read.tensor("first"), NUMBERS[:1])


def test_halves_of_a_block_are_in_order() -> None:
    rising = np.arange(32, dtype="f4")[None] / 2
    assert np.abs(GGUF(gguf({}, {"w": (rising, Q4_1)})).tensor("w") - rising).max() < 0.6


@pytest.mark.parametrize("kept", [0, 3, 10, 30, 100, -40])
def test_a_file_cut_short_is_refused(kept: int) -> None:
    whole = gguf(FACTS, {"weights": (NUMBERS, Q8_0)})
    with pytest.raises(GGUFError, match=r"cut short|no GGUF file"):
        GGUF(whole[:kept]).tensor("weights")


def test_what_cannot_be_read_is_named() -> None:
    whole = gguf({"a": 1}, {"weights": (NUMBERS, Q8_0)})
    with pytest.raises(GGUFError, match="begins with b'PK"):
        GGUF(b"PK\3\4" + whole)
    with pytest.raises(GGUFError, match="version 9"):
        GGUF(whole[:4] + b"\x09" + whole[5:])
    with pytest.raises(GGUFError, match="value of type 77"):
        GGUF(whole.replace(b"a\x04\0\0\0", b"a\x4d\0\0\0"))
    place = whole.index(b"weights") + len(b"weights") + 4 + 16
    with pytest.raises(GGUFError, match="type 12; only F32, F16, Q4_1, Q8_0"):
        GGUF(whole[:place] + b"\x0c" + whole[place + 1 :]).tensor("weights")
