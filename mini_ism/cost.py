"""What a turn costs: from a conversation's trace, or from the mask's rule alone, before any model has run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import torch

from mini_ism.config import GPTConfig
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.model import GPT
from mini_ism.reuse import unchanged_prefix
from mini_ism.segments import Segments
from mini_ism.trace import Event, Phase, TurnCost, turn_costs


def plan(mask: str | Mask, segments: Segments, model: GPT | GPTConfig | None = None) -> list[Event]:
    """The trace that a :class:`~mini_ism.chat.ChatSession` would leave after this dialogue, from the rule alone.

    No model runs, so ``seconds`` are 0; everything else is what the engine would do: each question is
    read at once, each token of an answer (its end included) on its own, and before each step the
    cache keeps what the rule says is still right.

    Args:
        mask: a name, an expression or a :class:`~mini_ism.masks.Mask`.
        segments: of one dialogue, ``[T]``.
        model: whose FLOPs and bytes to count, a model or its shape. Default: ``GPTConfig()``.

    Raises:
        ValueError: ``segments`` is a batch or empty, or the mask is unknown or leaves a row empty.
    """
    if segments.id.ndim != 1 or len(segments) == 0:
        raise ValueError(
            f"a plan needs the segments [T] of one dialogue, got shape {tuple(segments.id.shape)}; "
            "take one row of a batch with segments.row(0)"
        )
    rule, shape = get_mask(mask), as_model(model)
    events: list[Event] = []
    held = torch.zeros(0, 0, dtype=torch.bool)  # the mask under which the cache was computed
    for turn, phase, stop in _steps(segments):
        dense = rule.dense(segments[:stop])
        kept = unchanged_prefix(held, dense)
        kv_bytes = shape.kv_bytes(kept)
        if kept < len(held):
            events.append(Event(turn, "discard", kept, len(held), 0.0, 0, kv_bytes))
        if phase == "prefill" and kept:
            events.append(Event(turn, "reuse", 0, kept, 0.0, 0, kv_bytes))
        flops = shape.flops(stop - kept, (stop - kept) * stop)
        events.append(Event(turn, phase, kept, stop, 0.0, flops, shape.kv_bytes(stop)))
        held = dense
    return events


def as_model(model: GPT | GPTConfig | None) -> GPT:
    """A model that can be asked what it costs; on the meta device it has a shape but no numbers."""
    if isinstance(model, GPT):
        return model
    with torch.device("meta"):
        return GPT(model or GPTConfig())


def _steps(segments: Segments) -> Iterator[tuple[int, Phase, int]]:
    """The forwards of a chat: (turn, phase, where the dialogue ends by then)."""
    query = segments.is_query.tolist()
    turn = 0
    for stop, is_query in enumerate(query, start=1):
        if not is_query:
            yield turn, "decode", stop
        elif stop == len(query) or not query[stop]:
            turn += 1
            yield turn, "prefill", stop


def visible_pairs(mask: str | Mask, segments: Segments) -> int:
    """How many (reader, read) pairs of positions a mask allows in a dialogue ``[T]``."""
    return int(get_mask(mask).dense(segments).sum())


@dataclass(frozen=True)
class CostTable:
    """Turns of several conversations, one row a turn and conversation: text in a terminal, HTML in a notebook.

    Args:
        lanes: each conversation's name (the mask's, say) and its turns.
        seconds: show the measured times, too. They differ from run to run.
    """

    lanes: Mapping[str, Sequence[TurnCost]]
    seconds: bool = False

    @property
    def header(self) -> tuple[str, ...]:
        """The columns' names."""
        names = (
            "turn",
            "mask",
            "reused",
            "thrown away",
            "read",
            "written",
            "computed",
            "MFLOP",
            "KV kB",
        )
        return (*names, "first token, ms", "turn, ms") if self.seconds else names

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The cells, turn by turn."""
        numbers = sorted({cost.turn for costs in self.lanes.values() for cost in costs})
        return [
            self._row(name, cost)
            for number in numbers
            for name, costs in self.lanes.items()
            for cost in costs
            if cost.turn == number
        ]

    def _row(self, name: str, cost: TurnCost) -> tuple[str, ...]:
        counts = (cost.reused, cost.discarded, cost.prefilled, cost.decoded, cost.computed)
        sizes = [cost.flops / 1e6, cost.kv_bytes / 1e3]
        if self.seconds:
            sizes += [cost.first_token * 1e3, cost.seconds * 1e3]
        return (str(cost.turn), name, *map(str, counts), *(f"{size:.1f}" for size in sizes))

    def __str__(self) -> str:
        """The table as text; columns of numbers are aligned on the right."""
        table = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if column == 1 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in table
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col" style="text-align:right">{escape(cell)}</th>' for cell in self.header)
        lines = []
        previous = ""
        for row in self.rows:
            # a line above each new turn
            rule = "border-top:1px solid var(--jp-border-color1,#bbb)" if row[0] != previous else ""
            previous = row[0]
            body = "".join(f'<td style="text-align:right">{escape(cell)}</td>' for cell in row)
            lines.append(f'<tr style="{rule}">{body}</tr>')
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def cost_table(turns: Mapping[str, Iterable[Event]] | Iterable[Event], *, seconds: bool = False) -> CostTable:
    """A table of what each turn cost: of one trace or plan, or of several by name."""
    lanes = turns if isinstance(turns, Mapping) else {"": turns}
    return CostTable({name: turn_costs(events) for name, events in lanes.items()}, seconds)
