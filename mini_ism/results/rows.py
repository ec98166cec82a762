"""The rows of finished runs: one line of JSON per run, one file per sweep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mini_ism.paths import data_dir
from mini_ism.strict_json import from_json

SWEPT = ("causal", "ism", "prefix")
"""The three masks of the course, in the order in which tables list them."""

Config = dict[str, Any]
"""Everything that determines a run, flat: names and numbers, strings, bools or ``None``."""

Result = dict[str, Any]
"""What a run measured, as JSON can hold it; ``None`` for a number that is not finite."""


@dataclass(frozen=True)
class Row:
    """One finished run.

    Args:
        config: what was run.
        result: what it measured.
        seconds: how long it took; runs that were computed together share their time evenly.
        versions: of Python and the packages that computed it.
        threads: how many it used.
    """

    config: Config
    result: Result
    seconds: float
    versions: dict[str, str]
    threads: int = 1


def results_dir() -> Path:
    """The folder of the committed rows."""
    return data_dir() / "results"


def load_rows(name: str) -> list[Row]:
    """The committed rows of a sweep.

    Args:
        name: ``"words"``, ``"skills"``, ``"costs"``, ...: a file in :func:`results_dir` without its ending.

    Raises:
        ValueError: there are no such rows; the message lists the names.
    """
    path = results_dir() / f"{name}.jsonl"
    if not path.is_file():
        names = ", ".join(sorted(path.stem for path in results_dir().glob("*.jsonl")))
        raise ValueError(f"there are no rows of {name!r}; choose one of {names}")
    if not (rows := read_rows(path)):
        raise ValueError(f"{path} holds no rows; restore it, or make them with `python -m research run {name}`")
    return rows


def read_rows(path: Path) -> list[Row]:
    """The rows of a file; none if there is no file.

    A last line without a newline was being written when its run was killed, and is left out.

    Raises:
        ValueError: another line is not a row.
    """
    return [_parse(line, path, number) for number, line in enumerate(whole_lines(path), start=1)]


def whole_lines(path: Path) -> list[bytes]:
    """The lines of a file as they are, without a last one that has no newline."""
    return [line + b"\n" for line in path.read_bytes().split(b"\n")[:-1]] if path.exists() else []


def _parse(line: bytes, path: Path, number: int) -> Row:
    try:
        about: Any = from_json(line)
        return Row(**about)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path}, line {number} is damaged ({error}); delete that line, and the same command runs it again"
        ) from None
