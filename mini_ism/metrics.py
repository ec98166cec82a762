"""What a training run measures, one line of JSON per measurement."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict, cast

from mini_ism.files import read_whole, write_atomically
from mini_ism.strict_json import from_json, json_lines, to_json


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

    ``exact`` holds, by skill, how many answers of the validation split were right, out of how many.
    """

    lr: float
    exact: dict[str, list[int]]


def metrics_bytes(lines: Iterable[Measurement]) -> bytes:
    """Measurements as JSON, one per line.

    Raises:
        ValueError: one is not finite.
    """
    return "".join(to_json(line) + "\n" for line in lines).encode()


def write_metrics(file: Path, lines: Iterable[Measurement]) -> None:
    """Write measurements to a file, one per line.

    Raises:
        OSError: see :func:`~mini_ism.files.write_atomically`.
        ValueError: a measurement is not finite.
    """
    write_atomically(file, metrics_bytes(lines))


def read_metrics(file: Path) -> list[Measurement]:
    """The measurements in a file, in order.

    Raises:
        OSError: it cannot be read.
        ValueError: a line is not a measurement; the message names it.
    """
    return parse_metrics(read_whole(file), str(file))


def parse_metrics(content: bytes, name: str) -> list[Measurement]:
    """The measurements in a file's content, in order.

    Raises:
        ValueError: a line is not a measurement; the message names it, after the file's name.
    """
    try:
        lines = [from_json(text) for text in json_lines(content)]
    except ValueError as error:
        raise ValueError(f"{name} is not readable JSON, line by line ({error})") from None
    for number, line in enumerate(lines, start=1):
        if mistake := _mistake(line):
            raise ValueError(f"{name}, line {number}: {mistake}")
    return cast(list[Measurement], lines)


def _mistake(line: object) -> str:
    """What is wrong with a line of metrics, ``""`` if nothing."""
    if not isinstance(line, dict):
        return "not a JSON object"
    for key in Counts.__annotations__:
        if type(line.get(key)) not in (int, float):
            return f"{key!r} is not a number"
    exact = line.get("exact", {})
    pairs = list(exact.values()) if isinstance(exact, dict) else [None]
    for pair in pairs:
        if not (isinstance(pair, list) and [type(count) for count in pair] == [int, int] and 0 <= pair[0] <= pair[1]):
            return "'exact' does not hold [right, total] by skill"
    return ""
