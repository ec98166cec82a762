"""The one small table: aligned text in a terminal, HTML in a notebook, Markdown on a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from mini_ism.terminal import visible
from mini_ism.trace import Event, TurnCost, turn_costs


@dataclass(frozen=True)
class Table:
    """Cells as text, each row as long as the header.

    Args:
        header: the columns' names.
        rows: the cells.
        words: the columns that hold words, which are left-aligned; numbers are right-aligned.
        groups: a column; in HTML there is a line above each row whose cell there differs from the one above.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: frozenset[int] = field(default=frozenset({0}))
    groups: int | None = None

    def __str__(self) -> str:
        table = [[visible(cell) for cell in line] for line in (self.header, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if column in self.words else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in table
        )

    __repr__ = __str__

    def markdown(self) -> str:
        """The table in Markdown: words left-aligned, numbers right-aligned."""
        sides = ["---" if column in self.words else "---:" for column in range(len(self.header))]
        escaped = ([cell.replace("|", "\\|") for cell in line] for line in (self.header, sides, *self.rows))
        return "".join(f"| {' | '.join(line)} |\n" for line in escaped)

    def _repr_html_(self) -> str:
        sides = ["left" if column in self.words else "right" for column in range(len(self.header))]

        def line(cells: Sequence[str], tag: str, scope: str = "") -> str:
            return "".join(
                f'<{tag}{scope} style="text-align:{side}">{escape(cell)}</{tag}>'
                for cell, side in zip(cells, sides, strict=True)
            )

        head = line(self.header, "th", ' scope="col"')
        body, above = [], None
        for row in self.rows:
            group = None if self.groups is None else row[self.groups]
            border = ' style="border-top:1px solid #9e9e9e"' if group != above else ""
            body.append(f"<tr{border}>{line(row, 'td')}</tr>")
            above = group
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def cost_table(turns: Mapping[str, Iterable[Event]] | Iterable[Event], *, seconds: bool = False) -> Table:
    """What each turn cost: of one trace or plan, or of several by name; a row for each turn and conversation.

    Args:
        turns: a trace (``ChatSession.trace``) or a plan (:func:`~mini_ism.cost.plan`), or several by name.
        seconds: show the measured times, too. They differ from run to run.

    Raises:
        TypeError: it is no trace; :func:`~mini_ism.trace.turn_costs` has summed one up already.
    """
    lanes = turns if isinstance(turns, Mapping) else {"": turns}
    costs = [(cost, name) for name, events in lanes.items() for cost in turn_costs(events)]
    header = ["turn", "mask", "reused", "thrown away", "read", "written", "computed", "MFLOP", "KV kB"]
    rows = [_cost_row(cost, name, seconds) for cost, name in sorted(costs, key=lambda pair: pair[0].turn)]
    return Table([*header, *(["first token, ms", "turn, ms"] if seconds else [])], rows, frozenset({1}), groups=0)


def _cost_row(cost: TurnCost, name: str, seconds: bool) -> list[str]:
    counts = (cost.reused, cost.discarded, cost.prefilled, cost.decoded, cost.computed)
    sizes = [cost.flops / 1e6, cost.kv_bytes / 1e3]
    if seconds:
        sizes += [cost.first_token * 1e3, cost.seconds * 1e3]
    return [str(cost.turn), name, *map(str, counts), *(f"{size:.1f}" for size in sizes)]
