"""GGUF files written from the format's description, for the tests of what reads them."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
F32, F16, Q4_1, Q8_0 = 0, 1, 3, 8


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def fact(value: Any) -> bytes:
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + text(value)
        case _:
            items = [fact(item) for item in value]
            return struct.pack("<I", 9) + items[0][:4] + struct.pack("<Q", len(items)) + b"".join(i[4:] for i in items)


def packed(numbers: Array, kind: int) -> bytes:
    """A tensor's bytes; quantised, each number is the nearest that its block can hold."""
    if kind in (F32, F16):
        return numbers.astype("<f4" if kind == F32 else "<f2").tobytes()
    raw = b""
    for block in numbers.reshape(-1, 32):
        if kind == Q8_0:
            scale = np.float16(np.abs(block).max() / 127)
            raw += scale.tobytes() + np.round(block / np.float32(scale)).astype("i1").tobytes()
        else:
            least = np.float16(block.min())
            scale = np.float16((block.max() - block.min()) / 15)
            codes = np.clip(np.round((block - np.float32(least)) / np.float32(scale)), 0, 15).astype("u1")
            raw += scale.tobytes() + least.tobytes() + (codes[:16] | codes[16:] << 4).tobytes()
    return raw


def gguf(facts: dict[str, Any], tensors: dict[str, tuple[Array, int]]) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(facts))
    head += b"".join(text(key) + fact(value) for key, value in facts.items())
    body = b""
    for name, (numbers, kind) in tensors.items():
        shape = numbers.shape[::-1]
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, len(body))
        body += packed(numbers, kind)
        body += b"\0" * (-len(body) % 32)
    return head + b"\0" * (-len(head) % 32) + body
