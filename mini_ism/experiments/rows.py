"""One finished run, and the files of such rows: a line of JSON each."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

MASKS = ("causal", "ism", "prefix")
"""What sweeps compare, in the order in which tables tell of it."""

Config = dict[str, Any]
"""All that decides a run, flat: names and numbers, strings, bools or ``None``."""

Result = dict[str, Any]
"""What a run measured, as JSON can hold it; ``None`` for what is not finite."""


@dataclass(frozen=True)
class Row:
    """One finished run.

    Args:
        config: what was run.
        result: what it measured.
        seconds: how long it took; of runs made together, each its share.
        versions: of Python and the packages that computed it.
        threads: that it used.
    """

    config: Config
    result: Result
    seconds: float
    versions: dict[str, str]
    threads: int = 1

    @property
    def line(self) -> str:
        """The row as a line of JSON."""
        return json.dumps(asdict(self), allow_nan=False) + "\n"


def key(config: Config) -> str:
    """A config as a string, the same whatever the order of its keys."""
    return json.dumps(config, sort_keys=True)


def versions() -> dict[str, str]:
    """What computes here."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "mini_ism": metadata.version("mini-ism"),
    }


def read_rows(path: Path) -> list[Row]:
    """The rows of a file; none if there is no file.

    A last line without an end was being written when its run was killed, and is left out.

    Raises:
        ValueError: some other line is not a row.
    """
    return [_parse(line, path, number) for number, line in enumerate(whole_lines(path), start=1)]


def whole_lines(path: Path) -> list[bytes]:
    """A file's lines as they are, without a last one that has no end."""
    return [line for line in path.read_bytes().splitlines(keepends=True) if line[-1:] == b"\n"] if path.exists() else []


def _parse(line: bytes, path: Path, number: int) -> Row:
    try:
        return Row(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path}, line {number} is damaged ({error}); delete that line, and the same command runs it again"
        ) from None
