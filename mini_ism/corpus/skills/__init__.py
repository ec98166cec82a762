"""One file a skill; importing them registers them."""

from __future__ import annotations

from mini_ism.corpus.skills import (
    codebook,
    compare,
    count,
    hops,
    persona,
    queue,
    recall,
    revision,
    smalltalk,
    unknown,
    update,
)

__all__ = [
    "codebook",
    "compare",
    "count",
    "hops",
    "persona",
    "queue",
    "recall",
    "revision",
    "smalltalk",
    "unknown",
    "update",
]
