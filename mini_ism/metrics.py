"""What a training run measures, a line of JSON per measurement."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

from mini_ism.files import write_atomically


class Counts(TypedDict):
    """What every measurement has.

    ``step``, ``seconds``, ``tokens`` (positions computed) and ``seen`` (dialogues) are counted from the run's
    beginning; ``loss`` is the step's, or the mean since the last line kept.
    """

    step: int
    seconds: float
    tokens: int
    seen: int
    loss: float


class Measurement(Counts, total=False):
    """A line of metrics: the counts, the learning rate, and now and then the scores.

    ``exact`` has by skill how many answers of the validation split were right, of how many.
    """

    lr: float
    exact: dict[str, list[int]]


def write_metrics(file: Path, lines: Iterable[Measurement]) -> None:
    """Write measurements to a file, a line each.

    Raises:
        OSError: see :func:`~mini_ism.files.write_atomically`.
    """
    write_atomically(file, "".join(json.dumps(line) + "\n" for line in lines).encode())


def read_metrics(file: Path) -> list[Measurement]:
    """The measurements in a file, in order.

    Raises:
        OSError: it cannot be read.
        ValueError: a line is no measurement; the message names it.
    """
    try:
        lines = [json.loads(text) for text in file.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise ValueError(f"{file} is not readable JSON, line by line ({error})") from None
    for number, line in enumerate(lines, start=1):
        if mistake := _mistake(line):
            raise ValueError(f"{file}, line {number}: {mistake}")
    return lines


def _mistake(line: object) -> str:
    """What is wrong with a line of metrics, ``""`` if nothing."""
    if not isinstance(line, dict):
        return "not a JSON object"
    for key in Counts.__annotations__:
        if not isinstance(line.get(key), int | float):
            return f"{key!r} is not a number"
    exact = line.get("exact", {})
    pairs = list(exact.values()) if isinstance(exact, dict) else [None]
    for pair in pairs:
        if not (isinstance(pair, list) and [type(count) for count in pair] == [int, int] and 0 <= pair[0] <= pair[1]):
            return "'exact' does not hold [right, total] by skill"
    return ""
