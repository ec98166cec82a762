"""Reading the rows of ``costs``: an epoch of training by the number of turns, and a chat turn by turn.

Masks were timed side by side, so that the two times in a repeat's ratio saw the same load on the machine.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mini_ism.results.intervals import Claim, Interval, mean_interval
from mini_ism.results.rows import Row

EPOCH, CHAT = "epoch", "chat"
"""The two parts of the sweep."""


def part(rows: Iterable[Row], name: str, **keys: Any) -> dict[str, Row]:
    """The rows of a part whose configs also have these values, by mask."""
    wanted = {"part": name, **keys}
    return {row.config["mask"]: row for row in rows if wanted.items() <= row.config.items()}


def epoch_turns(rows: Iterable[Row]) -> list[int]:
    """The numbers of turns that an epoch was measured with."""
    return sorted({row.config["turns"] for row in rows if row.config["part"] == EPOCH})


def medians(repeats: Sequence[Sequence[float]]) -> list[float]:
    """The median over repeats, turn by turn."""
    return [statistics.median(turn) for turn in zip(*repeats, strict=True)]


def first_tokens(rows: Iterable[Row]) -> dict[str, list[float]]:
    """Seconds to the first token of each turn of the chat, the median of the repeats, by mask."""
    return {mask: medians(row.result["first_token"]) for mask, row in part(rows, CHAT).items()}


def of_turn(name: str, turn: int) -> Callable[[Row], list[float]]:
    """A reader of a turn's value in each repeat."""
    return lambda row: [repeat[turn - 1] for repeat in row.result[name]]


def of_all_turns(name: str) -> Callable[[Row], list[float]]:
    """A reader of the sum over all turns in each repeat."""
    return lambda row: [math.fsum(repeat) for repeat in row.result[name]]


def epoch_seconds(row: Row) -> list[float]:
    """The seconds of an epoch in each repeat."""
    return [float(value) for value in row.result["seconds"]]


def ratios(a: Row, b: Row, value: Callable[[Row], Sequence[float]]) -> Interval:
    """The interval of ``a / b``, repeat by repeat: each pair was measured side by side."""
    return mean_interval(x / y for x, y in zip(value(a), value(b), strict=True))


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Ratios of seconds between masks, minus 1: 0 where they cost the same."""
    made = []

    def compare(text: str, found: dict[str, Row], value: Callable[[Row], Sequence[float]]) -> None:
        for a, b in (("prefix", "ism"), ("ism", "causal")):
            if a in found and b in found:
                ratio = ratios(found[a], found[b], value)
                less = Interval(ratio.mean - 1, ratio.low - 1, ratio.high - 1, ratio.count)
                made.append(Claim(f"{text}, {a} / {b} - 1", less))

    for turns in epoch_turns(rows):
        compare(f"seconds of an epoch, {turns} turns", part(rows, EPOCH, turns=turns), epoch_seconds)
    talk = part(rows, CHAT)
    if talk:
        turns = len(next(iter(talk.values())).result["flops"])
        for turn in (1, turns):
            compare(f"time to first token, turn {turn}", talk, of_turn("first_token", turn))
        compare(f"time to first token, sum of {turns} turns", talk, of_all_turns("first_token"))
        compare(f"seconds of {turns} turns", talk, of_all_turns("seconds"))
    return made
