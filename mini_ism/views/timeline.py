"""Several conversations' traces as one film: the state of every position of every lane at each step."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mini_ism.trace import Event, Phase, TurnCost, turn_costs

State = Literal["waiting", "reused", "computed", "decoded", "discarded", "stale"]
BECOMES: dict[Phase, State] = {
    "reuse": "reused",
    "prefill": "computed",
    "decode": "decoded",
    "discard": "discarded",
}
Stale = Mapping[str, Mapping[int, Collection[int]]]
"""By lane and turn, the positions that are kept although they are stale (:mod:`mini_ism.blind_cache`)."""


@dataclass(frozen=True)
class Lane:
    """One conversation at one step.

    Args:
        states: of each position.
        touched: the positions that changed in this step.
        computed: positions computed so far, over all turns; one that was computed twice counts twice.
        spent: what each turn has cost so far.
    """

    states: tuple[State, ...]
    touched: frozenset[int]
    computed: int
    spent: tuple[TurnCost, ...] = ()


@dataclass(frozen=True)
class Frame:
    """All lanes at one step: the turn, the action, and each lane by its name."""

    turn: int
    action: Literal["start", "keep", "read", "write"]
    lanes: Mapping[str, Lane]

    @property
    def headline(self) -> str:
        """What happens in this step, the same in each lane."""
        if self.action == "start":
            return "Nothing has been read yet."
        doing = {
            "keep": "the question arrives: what is still right in the cache?",
            "read": "the question is read.",
            "write": "the answer is written, a token at a time.",
        }
        return f"Turn {self.turn}, {doing[self.action]}"

    @property
    def deeds(self) -> str:
        """What each lane does in this step."""
        return "; ".join(f"{name} {_did(lane)}" for name, lane in self.lanes.items())

    @property
    def counts(self) -> str:
        """The tokens that each lane has computed so far."""
        return ", ".join(f"{name} {lane.computed}" for name, lane in self.lanes.items())

    def describe(self) -> str:
        """The step in words, for a status line."""
        if self.action == "start":
            return f"{self.headline} Step forward, or press play."
        return f"{self.headline} {self.deeds}. Tokens computed so far: {self.counts}."


def _did(lane: Lane) -> str:
    verbs: dict[State, str] = {
        "reused": "keeps",
        "stale": "blindly keeps",
        "computed": "reads",
        "decoded": "writes",
        "discarded": "throws away",
    }
    counts = {verb: sum(lane.states[position] == state for position in lane.touched) for state, verb in verbs.items()}
    parts = (f"{verb} {count}{' stale' if verb == 'blindly keeps' else ''}" for verb, count in counts.items() if count)
    return " and ".join(parts) or "has nothing to do"


def frames(
    traces: Mapping[str, Sequence[Event]], stale: Stale | None = None, *, at_once: int | None = None
) -> list[Frame]:
    """The steps of several conversations in lockstep: what is kept, what is read, then a token at a time.

    A lane with less to read or to write waits for the others. Conversations that went back (``truncate``) cannot be
    aligned like this, whether or not they went on afterwards.

    Args:
        traces: by name, from :func:`~mini_ism.cost.plan` or ``ChatSession.trace``.
        stale: the reused positions of a lane that should not have been reused.
        at_once: how many tokens a lane reads per step, so that longer prefills take more steps; ``None`` = all.

    Returns:
        The frames, the first with nothing read yet.

    Raises:
        ValueError: no trace, or one in which a turn is not later than the one before it; ``at_once`` is less than 1.
    """
    if not traces:
        raise ValueError("no conversation to show: give at least one trace")
    if at_once is not None and at_once < 1:
        raise ValueError(f"at_once must be at least 1 token in a step, or None for all, got {at_once}")
    scripts = {name: _script(name, trace, at_once) for name, trace in traces.items()}
    moments = sorted({moment for script in scripts.values() for moment in script})
    total = max((event.stop for trace in traces.values() for event in trace), default=0)
    states: dict[str, list[State]] = {name: ["waiting"] * total for name in traces}
    done: dict[str, list[Event]] = {name: [] for name in traces}
    film = [Frame(0, "start", {name: Lane(tuple(states[name]), frozenset(), 0) for name in traces})]
    actions: tuple[Literal["keep", "read", "write"], ...] = ("keep", "read", "write")
    for turn, action, number in moments:
        lanes = {}
        for name, script in scripts.items():
            now = script.get((turn, action, number), [])
            done[name] += now
            wrong = (stale or {}).get(name, {}).get(turn, ())
            touched = _play(now, states[name], wrong)
            spent = tuple(turn_costs(done[name]))
            lanes[name] = Lane(tuple(states[name]), touched, sum(cost.computed for cost in spent), spent)
        film.append(Frame(turn, actions[action], lanes))
    return film


def _play(events: Sequence[Event], states: list[State], wrong: Collection[int]) -> frozenset[int]:
    """Apply events to the states of a lane; returns the positions they touched."""
    touched: set[int] = set()
    for event in events:
        for position in range(event.start, event.stop):
            is_stale = event.phase == "reuse" and position in wrong
            states[position] = "stale" if is_stale else BECOMES[event.phase]
            touched.add(position)
    return frozenset(touched)


Moment = tuple[int, int, int]
"""(turn, 0 keep / 1 read / 2 write, which part of the question or token of the answer)"""


def _parts(event: Event, at_once: int) -> Iterator[Event]:
    """A prefill split into pieces of ``at_once`` tokens; the last piece carries its time and FLOPs."""
    for start in range(event.start, event.stop, at_once):
        stop = min(start + at_once, event.stop)
        held = event.kv_bytes * stop // event.stop
        if stop < event.stop:
            yield replace(event, start=start, stop=stop, seconds=0.0, flops=0, kv_bytes=held)
        else:
            yield replace(event, start=start)


def _script(name: str, trace: Sequence[Event], at_once: int | None) -> dict[Moment, list[Event]]:
    """The events of one trace by the moment they belong to."""
    script: dict[Moment, list[Event]] = {}
    waiting: list[Event] = []  # held for the next forward pass, whichever that is
    last: Moment = (0, 0, 0)
    for event in trace:
        if event.turn < last[0]:
            raise _went_back(name, event.turn)
        if event.phase in ("reuse", "discard"):
            waiting.append(event)
            continue
        if event.phase == "prefill":
            if waiting:
                script[event.turn, 0, 0] = waiting
            moment = (event.turn, 1, last[2] + 1 if at_once and last[:2] == (event.turn, 1) else 0)
            *parts, event = _parts(event, at_once) if at_once else [event]
            for part in parts:
                script[moment] = [part]
                moment = (event.turn, 1, moment[2] + 1)
            events = [*script.get(moment, []), event]
        else:
            moment = (event.turn, 2, last[2] + 1 if last[:2] == (event.turn, 2) else 0)
            events = [*waiting, event]
        if moment < last:
            raise _went_back(name, event.turn)
        script[moment] = events
        last, waiting = moment, []
    return script


def _went_back(name: str, turn: int) -> ValueError:
    return ValueError(
        f"conversation {name!r} went back to turn {turn}, by truncate() or an interruption; show one that only went "
        "forward"
    )
