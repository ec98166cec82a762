"""What a page needs for a tooltip on each cell of a matrix, without asking Python: names, phrases, runs of cells."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from mini_ism.views.svg import escape


def run_lengths(codes: np.ndarray) -> list[int]:
    """Run-length encoding of whole numbers ``[N]``, flat: ``[5, 5, 5, 2]`` -> ``[5, 3, 2, 1]``."""
    if not len(codes):
        return []
    starts = np.flatnonzero(np.diff(codes, prepend=codes[0] - 1))
    lengths = np.diff(starts, append=len(codes))
    return [int(number) for run in zip(codes[starts], lengths, strict=True) for number in run]


def grid_data(
    names: Sequence[str],
    codes: np.ndarray,
    phrases: Sequence[str],
    cell: float,
    row: int | None = None,
) -> str:
    """The ``data-grid`` attribute of a group whose origin is the corner of a square matrix of cells.

    Args:
        names: of the rows, and of the columns, ``[T]``.
        codes: the index of each cell's phrase, whole numbers ``[T, T]``.
        phrases: the texts of the tooltips; ``{row}`` and ``{column}`` stand for the names.
        cell: side of a cell in the picture's pixels.
        row: the chosen row, where keyboard navigation begins.
    """
    data = {
        "cell": cell,
        "names": list(names),
        "phrases": list(phrases),
        "runs": run_lengths(np.asarray(codes).reshape(-1)),
        "row": row,
    }
    return f'data-grid="{escape(json.dumps(data, separators=(",", ":")))}"'
