"""An answer while it is written, and when it is finished."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mini_ism.interfaces import Decoder
from mini_ism.sampling import loop_start

Stopped = Literal["end", "length", "context", "stop", "loop", "interrupted"]


@dataclass(frozen=True, eq=False)
class Reply:
    """What the model answered.

    Args:
        text: the answer, without the stop string that may have ended it.
        tokens: LongTensor ``[N]``, its tokens without the end marker.
        logits: ``[N or N + 1, V]`` on the CPU, the scores each token (and the end marker) was picked from.
        stopped: why it ended: ``"end"`` the model said so, ``"length"`` after ``max_new_tokens``, ``"context"`` no
            room was left, ``"stop"`` it wrote a stop string, ``"loop"`` it kept repeating itself,
            ``"interrupted"`` the caller stopped it.
    """

    text: str
    tokens: Tensor
    logits: Tensor
    stopped: Stopped

    def __str__(self) -> str:
        return self.text


class AnswerWriter:
    """An answer as it is written: its tokens, the scores they were picked from, and what may be shown of its text.

    It ends at any of the texts in ``stops``, after ``longest`` tokens, and with ``stop_loops`` when it repeats itself.
    """

    def __init__(
        self, tokenizer: Decoder, stops: Sequence[str] = (), longest: int = 10**9, stop_loops: bool = False
    ) -> None:
        self.tokenizer, self.stops, self.longest, self.stop_loops = tokenizer, stops, longest, stop_loops
        self.tokens: list[int] = []
        self.logits: list[Tensor] = []
        self.stopped_at: int | None = None  # where a stop string begins
        self.text, self._shown = "", 0
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")  # a character may span several tokens

    def add(self, token: int) -> str:
        """Add a token; returns what more of the text may be shown by now."""
        piece = self._utf8.decode(self.tokenizer.decode_single_token_bytes(token))
        self.text += piece if self.tokens else piece.removeprefix(" ")
        self.tokens.append(token)
        found = [place for stop in self.stops if (place := self.text.find(stop)) >= 0]
        self.stopped_at = min(found, default=None)
        return self._show(len(self.text) - self._held_back() if self.stopped_at is None else self.stopped_at)

    def full(self, room: int) -> Stopped | None:
        """Why the answer must end, if it must, with this many positions of the context left."""
        if self.stopped_at is not None:
            return "stop"
        if self.stop_loops and loop_start(self.tokens) is not None:
            return "loop"
        if room == 1:  # for the end marker
            return "context"
        return "length" if len(self.tokens) >= self.longest else None

    def tail(self) -> str:
        """What is left to show when the answer is over."""
        self.text += self._utf8.decode(b"", final=True)  # a character that was never finished
        return self._show(len(self.text) if self.stopped_at is None else self.stopped_at)

    def reply(self, stopped: Stopped) -> Reply:
        """The answer as it stands."""
        text = self.tokenizer.decode(self.tokens).removeprefix(" ")
        logits = torch.stack(self.logits) if self.logits else torch.zeros(0, 0, device="cpu")
        tokens = torch.tensor(self.tokens, dtype=torch.long, device="cpu")
        return Reply(text[: self.stopped_at], tokens, logits, stopped)

    def _held_back(self) -> int:
        """How many characters at the end may be the start of a stop string."""
        sizes = (size for stop in self.stops for size in range(1, len(stop)) if self.text.endswith(stop[:size]))
        return max(sizes, default=0)

    def _show(self, stop: int) -> str:
        piece = self.text[self._shown : stop]
        self._shown = max(self._shown, stop)
        return piece
