"""The mask of a growing dialogue, evaluated only where it can have changed.

A conversation evaluates its rule again before every forward pass. Evaluating it on all T x T pairs each time would cost
more than the forward pass itself, so a :class:`Planner` first finds out what the rule reads. If all it does is compare
positions and fields of the segments *at* those positions, pair by pair, then a pair's value can only change with the
fields of its two tokens: earlier values stand, and only new rows and columns are evaluated. A rule that reads anything
else (the dialogue's length, a maximum, a field as a whole, a table of its own) is evaluated on everything each time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mini_ism.mask import Mask
from mini_ism.reuse import borders, unchanged_prefix
from mini_ism.rule_reads import Reads
from mini_ism.segments import Segments


@dataclass(frozen=True, eq=False)
class Plan:
    """What to compute next.

    Args:
        kept: how many of the positions computed so far are still right.
        stop: T, where the dialogue ends.
        sees_all: whether each row from ``kept`` on sees the whole dialogue, so that no mask is needed.
    """

    kept: int
    stop: int
    sees_all: bool


@dataclass(frozen=True)
class Foresight:
    """What is known about tokens that may follow.

    Args:
        constants: the rule's, which tell whether it is still the same.
        start: the first one's position.
        quiet: for each, whether no earlier position sees it, so that nothing has to be recomputed.
        sees_all: for each, whether it sees everything before it.
    """

    constants: object
    start: int
    quiet: list[bool]
    sees_all: list[bool]


NOTHING = Foresight(None, 0, [], [])

FORESIGHT = 64
"""Tokens of an answer that the rule is evaluated on in advance."""


class Planner:
    """Knows the mask of the positions computed so far, and plans what a longer or changed dialogue needs.

    Nothing that a plan finds out counts until :meth:`keep` and :meth:`computed` say so; a conversation that is
    interrupted in between keeps too little, never too much.

    Args:
        mask: the rule.
        capacity: the longest dialogue.

    Attributes:
        length: how many positions were computed under the mask held here.
    """

    def __init__(self, mask: Mask, capacity: int) -> None:
        self.mask, self.length = mask, 0
        self._allowed = torch.zeros(capacity, capacity, dtype=torch.bool, device="cpu")
        self._asked: tuple[object, dict[str, Tensor]] = (None, {})  # the rule's constants and fields when last asked
        self._reads = Reads(mask)
        self._foreseen = NOTHING

    def rows(self, start: int, stop: int) -> Tensor:
        """The latest plan's mask of a chunk, BoolTensor ``[stop - start, stop]``, a view."""
        return self._allowed[start:stop, :stop]

    def plan(self, segments: Segments) -> Plan:
        """What a dialogue needs, given the positions computed so far.

        Args:
            segments: ``[T]`` of the whole dialogue so far, T >= 1.

        Raises:
            TypeError, ValueError: see :meth:`Mask.dense`; nothing has changed then.
        """
        stop, held = len(segments), self.length
        fields = self._reads.fields(segments)
        self._foreseen = NOTHING
        if fields is None or not 0 < held <= stop or not self._unchanged(segments, fields, held):
            dense = self.mask.dense(segments)  # (T, T)
            kept = unchanged_prefix(self._allowed[:held, :held], dense)
            self.keep(kept)
            self._allowed[:stop, :stop] = dense  # a copy; inside [:kept, :kept] nothing changes
        else:
            rows = self.mask.dense(segments, slice(held, stop))  # (T - held, T)
            here = torch.arange(stop, device="cpu")
            columns = self.mask.allowed(here[:held, None], here[None, held:], segments)  # (held, T - held)
            kept = held
            if bool(columns.any()):  # some position sees new tokens: all from there on is recomputed
                kept = self._border(int(columns.any(-1).nonzero()[0]))
            self.keep(kept)
            self._allowed[:held, held:stop] = columns
            self._allowed[held:stop, :stop] = rows
        self._remember(segments, fields or frozenset())
        return Plan(kept, stop, bool(self._allowed[kept:stop, :stop].all()))

    def _border(self, length: int) -> int:
        """The last place, up to ``length``, where the positions computed so far may be cut."""
        cuts = borders(self._allowed[: self.length, : self.length])
        return int(cuts[: length + 1].nonzero()[-1])

    def _unchanged(self, segments: Segments, fields: frozenset[str], held: int) -> bool:
        """Whether the rule, and the fields that it reads at the positions computed so far, are what they were."""
        constants, seen = self._asked
        return (
            constants == self._reads.constants
            and seen.keys() == set(fields)
            and all(torch.equal(getattr(segments, name)[:held], seen[name][:held]) for name in fields)
        )

    def _remember(self, segments: Segments, fields: frozenset[str]) -> None:
        self._asked = self._reads.constants, {name: getattr(segments, name).clone() for name in fields}

    def foresee(self, segments: Segments) -> None:
        """Evaluate the rule in advance on tokens that will come one by one, as the tokens of an answer do.

        Each step that comes as foreseen is then planned by :meth:`step` without evaluating the rule. For a rule that
        reads anything that cannot be known in advance, nothing is foreseen.

        Args:
            segments: ``[T + K]`` of the dialogue as the latest plan took it, carried out, and K tokens more.
        """
        now, stop = self.length, len(segments)
        fields = self._reads.fields(segments)
        self._foreseen = NOTHING
        if fields is None or "end" in fields or not self._unchanged(segments, fields, now):
            return  # the end of a growing segment changes at each step
        here = torch.arange(stop, device="cpu")
        later = here[:, None] < here[None, now:]  # (T + K, K): the row lies before the column
        rows = self.mask.allowed(here[now:, None], here[None, :], segments)  # (K, T + K)
        columns = self.mask.allowed(here[:, None], here[None, now:], segments)  # (T + K, K)
        past = here[None, :] <= here[now:, None]  # (K, T + K)
        quiet = ~(columns & later).any(0) & (rows & past).any(-1)  # (K): nothing before sees it, and it sees something
        self._allowed[:now, now:stop] = False
        self._allowed[now:stop, :stop] = rows
        self._remember(segments, fields)
        self._foreseen = Foresight(self._reads.constants, now, quiet.tolist(), (rows | ~past).all(-1).tolist())

    def step(self) -> Plan | None:
        """The plan for one more foreseen token; ``None`` if it was not foreseen."""
        seen, ahead = self._foreseen, self.length - self._foreseen.start
        if not 0 <= ahead < len(seen.quiet) or not seen.quiet[ahead] or seen.constants != self._reads.look():
            return None
        return Plan(self.length, self.length + 1, seen.sees_all[ahead])

    def foreseen(self, stop: int, segments: Callable[[int], Segments]) -> Plan | None:
        """The plan for a dialogue that may have grown by one token of an answer; ``None`` if :meth:`plan` is needed.

        Args:
            stop: T, where the dialogue ends now.
            segments: from a length to the segments of the dialogue as if its answer went on to there, or as far as
                there is room; called for :data:`FORESIGHT` more tokens at a time.
        """
        if self.length != stop - 1:
            return None
        plan = self.step()
        if plan is None:
            self.foresee(segments(stop + FORESIGHT))
            plan = self.step()
        return plan

    def keep(self, length: int) -> None:
        """Forget what was computed past this many positions, and what was foreseen."""
        self.length = min(self.length, length)
        self._foreseen = NOTHING

    def keep_right(self, length: int) -> None:
        """Forget what was computed past this many positions, and whatever saw any of it."""
        if length < self.length:
            self.keep(self._border(length))

    def computed(self, stop: int) -> None:
        """The latest plan has been carried out up to ``stop``."""
        self.length = stop

    def clone(self) -> Planner:
        """An independent copy, for what-if experiments."""
        twin = copy.copy(self)
        twin._allowed = self._allowed.clone()
        return twin
