"""From two matrices to sentences: what a model was measured to read, against what its rule declares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mini_ism.segments import Segments

ALL = 0.9
"""The share of hidden pairs that are read where there is no mask at all."""
MOST = 0.5
"""The share of declared pairs that must be missing to count as a fault: a single weak attention weight is not one."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What was declared and what was measured in one situation.

    Args:
        declared, measured: BoolTensor ``[T, T]``, True = the column's token influences the row's scores.
        judged: BoolTensor ``[T, T]``, the pairs that were measured reliably enough to be judged.
        segments: ``[T]``.
        cuts: start and stop of each chunk that was read.
    """

    declared: Tensor
    measured: Tensor
    judged: Tensor
    segments: Segments
    cuts: Sequence[tuple[int, int]]

    @property
    def names(self) -> list[str]:
        """What to call each message."""
        found, asked = [], 0
        for number in range(int(self.segments.id.max()) + 1):
            here = self.segments.id == number
            system, query = bool(self.segments.system[here].any()), bool(self.segments.is_query[here].any())
            asked += query and not system
            found.append("the system prompt" if system else f"question {asked}" if query else f"answer {asked}")
        return found

    def sentences(self) -> list[str]:
        """One for each fault; none if everything is as declared."""
        hidden = self.judged & ~self.declared
        leaks, misses = self.measured & hidden, self.judged & self.declared & ~self.measured
        if int(hidden.sum()) and float(leaks.sum() / hidden.sum()) >= ALL:
            return [
                "Every token is read by every other one: no mask reaches the attention. Under `eager` a bool mask is "
                "added as 0 and 1; it needs 0 and the smallest number (mini_ism.hf.attention_mask)."
            ]
        readers = [n for n in range(len(self.names)) if bool((self.segments.id == n).any())]
        said = [self._missing(a, b, misses) for a in readers for b in readers if b <= a]
        said += [self._leaking(a, b, leaks) for a in readers for b in readers]
        return [sentence for sentence in said if sentence]

    def _block(self, matrix: Tensor, a: int, b: int) -> Tensor:
        """The part of a matrix where message a reads message b, elsewhere False."""
        return matrix & (self.segments.id == a)[:, None] & (self.segments.id == b)

    def _leaking(self, a: int, b: int, leaks: Tensor) -> str | None:
        found = self._block(leaks, a, b)
        if not bool(found.any()):
            return None
        reader, read = self.names[a].capitalize(), self.names[b]
        if a < b:
            both = self._queries(a) and self._queries(b)
            cure = " The two are marked as one block; give each question an id of its own." if both else ""
            return f"{reader} sees {read}, which comes later.{cure}"
        if a > b:
            return f"{reader} sees {read} where the rule hides it."
        if not bool(found[1:].any()):
            return "Token 0 reads ahead. A pretrained causal model uses it as an attention sink: keep it causal."
        what = "the rule reads it backwards" if self._queries(a) else "so it is shown what it shall write"
        return f"{reader} reads ahead in itself; {what}."

    def _missing(self, a: int, b: int, misses: Tensor) -> str | None:
        reader, read = self.names[a].capitalize(), self.names[b]
        ahead = torch.ones_like(misses).triu(1)
        found, wanted = (self._block(matrix, a, b) for matrix in (misses, self.judged & self.declared))
        if a == b and bool((wanted & ahead).any()):
            lost = float((found & ahead).sum() / (wanted & ahead).sum())
            inside = [stop for _, stop in self.cuts if self._queries(a) and self._splits(a, stop)]
            if inside and bool((found & ahead).any()):
                return (
                    f"A chunk ends before position {inside[0]}, inside {read}: what was read before was computed "
                    "without what comes after. Cut at the borders of messages."
                )
            if lost > MOST:
                cause = self._cause(a, misses & ahead)
                return f"{reader} is read backwards only, where the rule reads it both ways. {cause}"
        back = ~ahead & wanted
        if bool(back.any()) and float((found & back).sum() / back.sum()) > MOST:
            if a == b:
                return f"{reader} does not see its own beginning. {CORNER}"
            return f"{reader} does not see {read}. {CORNER if self._queries(a) else ''}".strip()
        return None

    def _cause(self, a: int, lost: Tensor) -> str:
        """The likely reason why a question is read backwards only."""
        earlier = [n for n in range(a) if self._queries(n) and bool((self.segments.id == n).any())]
        kept = [n for n in earlier if not bool(self._block(lost, n, n).any())]
        if kept:
            return (
                f"{self.names[kept[0]].capitalize()} is read as it should be: what marks questions is heeded on an "
                "empty cache only. Pass the rule's rows on every turn (mini_ism.hf.attention_mask)."
            )
        return "What marks questions does not reach the attention: the model drops it without a word."

    def _queries(self, number: int) -> bool:
        return bool(self.segments.is_query[self.segments.id == number].any())

    def _splits(self, number: int, cut: int) -> bool:
        """Whether a cut lies inside a message."""
        places = (self.segments.id == number).nonzero()
        return bool(len(places)) and int(places[0]) < cut <= int(places[-1])


CORNER = "A triangle over a warm cache must end in its lower right corner; `is_causal=True` puts it in the upper left."
