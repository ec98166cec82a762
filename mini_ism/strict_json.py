"""JSON as the standard defines it: no NaN, no infinity, no duplicate keys; only a line feed ends a line."""

from __future__ import annotations

import json
from typing import NoReturn


def to_json(value: object, *, indent: int | None = None) -> str:
    """A value as JSON.

    Raises:
        ValueError: it holds a number that is not finite, which JSON cannot express, or itself.
        TypeError: it holds something that JSON cannot hold.
    """
    try:
        return json.dumps(value, indent=indent, allow_nan=False)
    except ValueError as error:
        if "Circular" in str(error):
            raise ValueError("JSON cannot hold a value that holds itself") from None
        raise ValueError(f"JSON has no word for a number that is not finite ({error}): {value!r:.200}") from None


def from_json(text: str | bytes) -> object:
    """The value of a JSON text.

    Raises:
        ValueError: it is not JSON, not UTF-8, or nested more deeply than can be read; or an object has a duplicate key.
    """

    def refuse(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    def build(pairs: list[tuple[str, object]]) -> dict[str, object]:
        built = dict(pairs)
        if len(built) < len(pairs):
            repeated = next(key for number, (key, _) in enumerate(pairs) if key in dict(pairs[:number]))
            raise ValueError(f"{repeated!r} is given twice in one object; leave out one of them")
        return built

    try:
        return json.loads(text, parse_constant=refuse, object_pairs_hook=build)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_object(text: str | bytes) -> dict[str, object]:
    """The JSON object in a text, as a dict.

    Raises:
        ValueError: see :func:`from_json`; or it is not an object.
    """
    found = from_json(text)
    if not isinstance(found, dict):
        raise ValueError(f"{text[:40]!r} is no JSON object")
    return found


def json_lines(content: bytes) -> list[str]:
    """The lines of a file of JSON lines, which only a line feed ends.

    ``str.splitlines`` would also split at U+2028 and others, which may occur inside a string.

    Raises:
        ValueError: it is not UTF-8.
    """
    lines = content.decode("utf-8").split("\n")
    return lines[:-1] if lines[-1] == "" else lines
