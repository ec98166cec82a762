"""One file a skill; importing them registers them."""

from __future__ import annotations

from mini_ism.corpus.skills import (
    about_me,
    codebook,
    compare,
    count,
    hops,
    people,
    persona,
    queue,
    recall,
    revision,
    smalltalk,
    unknown,
    update,
    whereabouts,
    wishes,
)

__all__ = [
    "about_me",
    "codebook",
    "compare",
    "count",
    "hops",
    "people",
    "persona",
    "queue",
    "recall",
    "revision",
    "smalltalk",
    "unknown",
    "update",
    "whereabouts",
    "wishes",
]
