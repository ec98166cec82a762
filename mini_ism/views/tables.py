"""A small table: aligned text in a terminal, HTML in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape


@dataclass(frozen=True)
class Table:
    """Cells as text, each row as long as the header.

    Args:
        header: the columns' names.
        rows: the cells.
        words: the columns that hold words, which stand on the left; numbers stand on the right.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: frozenset[int] = field(default=frozenset({0}))

    def __str__(self) -> str:
        table = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if column in self.words else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in table
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        sides = ["left" if column in self.words else "right" for column in range(len(self.header))]

        def line(cells: Sequence[str], tag: str, scope: str = "") -> str:
            return "".join(
                f'<{tag}{scope} style="text-align:{side}">{escape(cell)}</{tag}>'
                for cell, side in zip(cells, sides, strict=True)
            )

        head = line(self.header, "th", ' scope="col"')
        body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in self.rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
