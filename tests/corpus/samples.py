"""What the tests of the corpus ask of dialogues."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from mini_ism.corpus import Dialogue

LABELS = {
    *(
        "ack",
        "recall",
        "reverse",
        "neighbour",
        "number",
        "unknown",
        "update",
        "queue",
        "compare",
        "count",
        "persona",
        "hops",
    ),
    *("codebook_before", "codebook_after", "codebook_later", "revision", "smalltalk"),
    *("about_me", "people", "whereabouts", "wish", "yes_no"),
}


def texts(dialogue: Dialogue, role: str) -> list[str]:
    return [m["content"] for m in dialogue.messages if m["role"] == role]


def take(stream: Iterator[Dialogue], number: int = 40) -> list[Dialogue]:
    return list(islice(stream, number))
