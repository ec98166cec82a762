"""What a conversation computed: a trace of events, and what they add up to by turn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mini_ism.checks import items_of

Phase = Literal["reuse", "discard", "prefill", "decode"]


@dataclass(frozen=True)
class Event:
    """Something that happened to positions ``start`` to ``stop`` (exclusive) of the conversation.

    Args:
        turn: from 1.
        phase: ``reuse``: cached and still right. ``discard``: cached but no longer right, thrown away. ``prefill``:
            read before the reply's first token. ``decode``: read after it, in order to write the next.
        start, stop: positions.
        seconds: wall-clock time, planning included.
        flops: floating-point operations (:meth:`GPT.flops`).
        kv_bytes: bytes that the cache holds afterwards.
    """

    turn: int
    phase: Phase
    start: int
    stop: int
    seconds: float
    flops: int
    kv_bytes: int

    @property
    def positions(self) -> int:
        """How many positions it covers."""
        return self.stop - self.start


@dataclass(frozen=True)
class TurnCost:
    """What was done in one turn.

    Args:
        turn: from 1.
        reused: cached positions that were still right when the question came.
        discarded: cached positions that were thrown away.
        prefilled: positions computed before the reply's first token.
        decoded: positions computed after it.
        first_token: seconds of the prefill: how long the reader waits for the first word. 0 in a plan.
        seconds: of the whole turn. 0 in a plan.
        flops: floating-point operations (:meth:`GPT.flops`).
        kv_bytes: bytes in the cache when the turn is over.
    """

    turn: int
    reused: int
    discarded: int
    prefilled: int
    decoded: int
    first_token: float
    seconds: float
    flops: int
    kv_bytes: int

    @property
    def computed(self) -> int:
        """Positions computed, before and after the first token."""
        return self.prefilled + self.decoded


def turn_costs(trace: Iterable[Event]) -> list[TurnCost]:
    """A trace summed by turn. What-if turns under the same number (``truncate``, then ``send`` again) add up."""
    turns: dict[int, list[Event]] = {}
    for event in items_of("the trace", trace, Event, "a session has it as session.trace"):
        turns.setdefault(event.turn, []).append(event)

    def positions(events: list[Event], phase: Phase) -> int:
        return sum(event.positions for event in events if event.phase == phase)

    return [
        TurnCost(
            turn=turn,
            reused=positions(events, "reuse"),
            discarded=positions(events, "discard"),
            prefilled=positions(events, "prefill"),
            decoded=positions(events, "decode"),
            first_token=sum(event.seconds for event in events if event.phase == "prefill"),
            seconds=sum(event.seconds for event in events),
            flops=sum(event.flops for event in events),
            kv_bytes=events[-1].kv_bytes,
        )
        for turn, events in sorted(turns.items())
    ]
