"""Reading GGUF, llama.cpp's model file format: its facts (metadata), and its quantised weights, dequantised.

A file is a header, then facts (keys with typed values), then the tensors' names, shapes, types and offsets, then the
weights. Quantised weights come in blocks of 32, each with its own scale. The format is specified at
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

MAGIC = b"GGUF"
VERSIONS = (2, 3)
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""GGUF's value types as ``struct`` writes them; 8 is text and 9 an array."""
TEXT, ARRAY = 8, 9
BLOCK = 32
"""How many weights share a scale."""
Numbers = np.ndarray[Any, np.dtype[np.float32]]


class GGUFError(ValueError):
    """The file is not a GGUF file, is truncated, or holds something that cannot be read here."""


@dataclass(frozen=True)
class Place:
    """Where a tensor is in the file.

    Args:
        shape: outermost dimension first, as in PyTorch.
        kind: GGML's type number.
        start: offset of its first byte.
    """

    shape: tuple[int, ...]
    kind: int
    start: int


class GGUF:
    """A GGUF file in memory.

    Args:
        data: the whole file.

    Attributes:
        facts: the keys and their values.
        places: where each tensor is.

    Raises:
        GGUFError: the data cannot be read as GGUF.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0
        if data[:4] != MAGIC:
            raise GGUFError(f"this is no GGUF file: it begins with {data[:4]!r}, not with {MAGIC!r}")
        self._at = 4
        (version,) = self._take("I")
        if version not in VERSIONS:
            raise GGUFError(f"GGUF version {version} cannot be read, only {' and '.join(map(str, VERSIONS))}")
        tensors, facts = self._take("QQ")
        self.facts = {self._text(): self._value(self._take("I")[0]) for _ in range(facts)}
        found = [(self._text(), self._shape(), *self._take("IQ")) for _ in range(tensors)]
        alignment = self.facts.get("general.alignment", 32)
        first = math.ceil(self._at / alignment) * alignment
        self.places = {name: Place(shape, kind, first + start) for name, shape, kind, start in found}

    def _take(self, layout: str) -> tuple[Any, ...]:
        size = struct.calcsize(f"<{layout}")
        if self._at + size > len(self._data):
            raise GGUFError(f"the GGUF file is cut short: it ends at byte {len(self._data)}")
        values = struct.unpack_from(f"<{layout}", self._data, self._at)
        self._at += size
        return values

    def _text(self) -> str:
        (size,) = self._take("Q")
        (raw,) = self._take(f"{min(size, len(self._data) + 1)}s")
        return str(raw, "utf-8", "replace")

    def _value(self, kind: int) -> Any:
        if kind == TEXT:
            return self._text()
        if kind == ARRAY:
            inner, count = self._take("IQ")
            return [self._value(inner) for _ in range(count)]
        if kind not in SCALARS:
            raise GGUFError(f"the GGUF file holds a value of type {kind}, which is unknown")
        return self._take(SCALARS[kind])[0]

    def _shape(self) -> tuple[int, ...]:
        (dimensions,) = self._take("I")
        return tuple(reversed(self._take(f"{min(dimensions, 8)}Q")))

    def tensor(self, name: str) -> Numbers:
        """A tensor's numbers, float32.

        Raises:
            KeyError: there is no tensor of that name.
            GGUFError: its type cannot be read, or it is truncated.
        """
        place = self.places[name]
        if place.kind not in KINDS:
            known = ", ".join(kind for _, kind, _ in KINDS.values())
            raise GGUFError(f"tensor {name!r} is of GGML's type {place.kind}; only {known} can be read")
        size, _, read = KINDS[place.kind]
        count = math.prod(place.shape)
        stop = place.start + count // BLOCK * size
        if count % BLOCK or stop > len(self._data):
            raise GGUFError(f"tensor {name!r} is cut short or not made of blocks of {BLOCK}")
        raw = np.frombuffer(self._data, np.uint8, stop - place.start, place.start).reshape(-1, size)
        return read(raw).reshape(place.shape)


def _plain(dtype: str) -> Callable[[Any], Numbers]:
    return lambda raw: np.ascontiguousarray(raw).view(dtype).astype(np.float32)


def _halves(raw: Any) -> Numbers:
    """Two bytes of each block as a float16, ``[blocks, 1]``."""
    return np.ascontiguousarray(raw).view("<f2").astype(np.float32)


def _q4_1(raw: Any) -> Numbers:
    """A scale, a minimum, and 32 numbers of four bits: the low halves of 16 bytes, then the high ones."""
    scale, least, packed = _halves(raw[:, :2]), _halves(raw[:, 2:4]), raw[:, 4:]
    return scale * np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32) + least


def _q8_0(raw: Any) -> Numbers:
    """A scale, and 32 integers from -128 to 127."""
    return _halves(raw[:, :2]) * np.ascontiguousarray(raw[:, 2:]).view(np.int8).astype(np.float32)


KINDS: dict[int, tuple[int, str, Callable[[Any], Numbers]]] = {
    0: (4 * BLOCK, "F32", _plain("<f4")),
    1: (2 * BLOCK, "F16", _plain("<f2")),
    3: (4 + BLOCK // 2, "Q4_1", _q4_1),
    8: (2 + BLOCK, "Q8_0", _q8_0),
}
"""GGML's types: bytes per block of 32, name, and reader."""
