"""One conversation over one KV cache: plan, prefill, decode, reuse, and a trace of all that was
computed.

The engine knows no mask by name. Before each forward it asks the rule which of the cached positions
are still right (:func:`~mini_ism.reuse.unchanged_prefix`), throws the others away, and computes
what is missing. So chatting with a cache equals one uncached forward for *any* rule, by
construction.
"""

from __future__ import annotations

import codecs
import copy
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import tiktoken
import torch
from torch import Tensor

from mini_ism.dialogue import END, encode_message
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.model import GPT
from mini_ism.reuse import borders, unchanged_prefix
from mini_ism.sampling import Sampler
from mini_ism.segments import Segments
from mini_ism.trace import Event, Phase

Stopped = Literal["end", "length", "context", "interrupted"]


@dataclass(frozen=True, eq=False)
class Reply:
    """What the model answered.

    Args:
        text: the answer.
        tokens: LongTensor ``[N]``, its tokens without the end marker.
        logits: ``[N or N + 1, V]`` on the CPU, the scores each token (and the end marker) was
            picked from.
        stopped: why it ended: ``"end"`` the model said so, ``"length"`` after ``max_new_tokens``,
            ``"context"`` no room was left, ``"interrupted"`` nobody wanted to hear more.
    """

    text: str
    tokens: Tensor
    logits: Tensor
    stopped: Stopped

    def __str__(self) -> str:
        return self.text


class ContextFullError(ValueError):
    """The message does not fit into what is left of the model's context. Nothing was changed."""


class ChatSession:
    """A conversation with a model under a mask.

    Args:
        model, tokenizer: from :func:`~mini_ism.checkpoints.load_model`, or your own.
        mask: a name, an expression or a :class:`Mask`; default, the one the model was trained with.
        system: a system prompt that opens the conversation.
        chunk: feed at most so many positions at once when prefilling; default, all. Refused where
            the mask reads ahead across a chunk's border.

    Attributes:
        messages: the conversation so far, as role and content.
        trace: all :class:`Event` so far.
        reply: the latest :class:`Reply`.
    """

    def __init__(
        self,
        model: GPT,
        tokenizer: tiktoken.Encoding,
        mask: str | Mask | None = None,
        *,
        system: str | None = None,
        chunk: int | None = None,
    ) -> None:
        if chunk is not None and chunk < 1:
            raise ValueError(f"chunk must be at least 1 position, got {chunk}")
        if tokenizer.n_vocab > model.config.vocab_size:
            raise ValueError(
                f"the tokenizer has {tokenizer.n_vocab} tokens, the model only {model.config.vocab_size}; "
                "use the tokenizer it was trained with"
            )
        self.model, self.tokenizer, self.chunk = model.eval(), tokenizer, chunk
        self.mask = get_mask(model.config.mask if mask is None else mask)
        self.messages: list[dict[str, str]] = []
        self.trace: list[Event] = []
        self.reply: Reply | None = None
        self._cache = model.new_cache()
        self._held = torch.zeros(0, 0, dtype=torch.bool)  # the mask under which the cache was computed
        self._writing: Callable[[], Generator[str] | None] = lambda: None  # a weak reference
        self._tokens: list[int] = []
        self._kinds: list[tuple[int, bool, bool]] = []  # segment id, is_query, is_system of each token
        if system is not None:
            self._add("system", self._checked(system))

    # -- the conversation --------------------------------------------------------------------------

    @property
    def tokens(self) -> Tensor:
        """All tokens so far, LongTensor ``[T]``."""
        return torch.tensor(self._tokens, dtype=torch.long)

    @property
    def segments(self) -> Segments:
        """Their segments, ``[T]``."""
        ids, query, system = zip(*self._kinds, strict=True) if self._kinds else ((), (), ())
        return Segments(
            torch.tensor(ids, dtype=torch.long),
            torch.tensor(query, dtype=torch.bool),
            torch.tensor(system, dtype=torch.bool),
        )

    @property
    def turn(self) -> int:
        """How many turns were taken."""
        return sum(message["role"] == "user" for message in self.messages)

    @property
    def cached(self) -> int:
        """How many positions the cache holds."""
        return self._cache.length

    @property
    def room(self) -> int:
        """How many positions of the context are left."""
        return self.model.config.context - len(self._tokens)

    def send(self, text: str, **options: Any) -> Reply:
        """Say something and wait for the whole reply.

        See :meth:`stream` for the options and the errors.
        """
        for _ in self.stream(text, **options):
            pass
        assert self.reply is not None
        return self.reply

    def stream(
        self,
        text: str,
        *,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> Iterator[str]:
        """Say something and get the reply piece by piece; :attr:`reply` has it whole afterwards.

        Interrupted (Ctrl-C, or the iterator is dropped, or something else is asked of the session
        before it is exhausted), the session keeps the part of the answer that was written, and
        forgets the turn if there is none: it can go on either way.

        Args:
            text: the user's message.
            max_new_tokens: the longest answer, in tokens.
            temperature: 0 = always the likeliest token, 1 = as the model believes.
            top_k: sample among the k likeliest only.
            top_p: sample among the fewest tokens that hold this share of the probability
                (1904.09751).
            seed: for the same answer again.

        Raises:
            TypeError, ValueError: the text is no string or empty, or an option is out of its range.
            ContextFullError: the message does not fit; the session is as before.
        """
        self._settle()
        sampler = Sampler(self.tokenizer, temperature, top_k, top_p, seed)
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, got {max_new_tokens}")
        message = {"role": "user", "content": self._checked(text)}
        shortest_answer = 2  # one token, and the end
        needed = len(encode_message(message, self.tokenizer)) + shortest_answer
        if needed > self.room:
            raise ContextFullError(
                f"the message needs {needed} positions with the shortest answer, but only {self.room} of the context's "
                f"{self.model.config.context} are left after {len(self._tokens)}; "
                "truncate() the conversation or start a new one"
            )
        answer = self._answer(text, max_new_tokens, sampler)
        self._writing = weakref.ref(answer)
        return answer

    def _settle(self) -> None:
        """End an answer that is still being written, as if it had been interrupted."""
        if (answer := self._writing()) is not None:
            answer.close()

    def _answer(self, text: str, max_new_tokens: int, sampler: Sampler) -> Generator[str]:
        before = self.turn
        end = self.tokenizer.encode_single_token(END)
        utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        written: list[int] = []
        logits: list[Tensor] = []
        stopped: Stopped = "interrupted"
        try:
            self._add("user", text)
            self._add("assistant", None)
            logits.append(self._compute("prefill"))
            while (token := sampler.pick(logits[-1])) != end:
                written.append(token)
                self._append(token)
                piece = utf8.decode(self.tokenizer.decode_single_token_bytes(token))
                yield piece.removeprefix(" ") if len(written) == 1 else piece
                if len(written) == max_new_tokens or self.room == 1:
                    stopped = "context" if self.room == 1 else "length"
                    break
                logits.append(self._compute("decode"))
            else:
                stopped = "end"
            if tail := utf8.decode(b"", final=True):  # a character that was never finished
                yield tail
        finally:
            if written or stopped == "end":
                self._append(end)
                answer = self.tokenizer.decode(written).removeprefix(" ")
                self.messages[-1]["content"] = answer
                self.reply = Reply(answer, torch.tensor(written, dtype=torch.long), torch.stack(logits), stopped)
                self._compute("decode")  # the end is read at once, so that the next turn starts with its query
            else:
                self._cut(before)

    def truncate(self, turns: int) -> None:
        """Go back to the end of an earlier turn; 0 keeps the system prompt only.

        Raises:
            ValueError: there are not so many turns.
        """
        self._settle()
        if not 0 <= turns <= self.turn:
            raise ValueError(f"cannot keep {turns} turns of a conversation of {self.turn}")
        self._cut(turns)

    def _cut(self, turns: int) -> None:
        messages = 2 * turns + (self.messages[:1] != [] and self.messages[0]["role"] == "system")
        del self.messages[messages:]
        positions = sum(kind[0] < messages for kind in self._kinds)
        del self._tokens[positions:], self._kinds[positions:]
        self._keep(unchanged_prefix(self._held, self.mask.dense(self.segments)), self.turn)

    def fork(self) -> ChatSession:
        """An independent copy, cache and all, for a what-if."""
        self._settle()
        twin = copy.copy(self)
        twin.messages = [dict(message) for message in self.messages]
        twin.trace, twin._tokens, twin._kinds = [*self.trace], [*self._tokens], [*self._kinds]
        twin._cache = self._cache.clone()
        return twin

    # -- the engine --------------------------------------------------------------------------------

    @torch.inference_mode()
    def _compute(self, phase: Phase) -> Tensor:
        """Read all tokens that are not in the cache yet.

        Return the last one's logits ``[V]`` on the CPU.
        """
        clock = time.perf_counter()
        dense = self.mask.dense(self.segments)  # (T, T)
        kept = unchanged_prefix(self._held, dense)
        self._keep(kept, self.turn)
        if phase == "prefill" and kept:
            self._note("reuse", 0, kept, 0.0, 0)
        for start, stop in self._chunks(kept, dense):
            rows = dense[start:stop, :stop]  # (chunk, S)
            tokens = torch.tensor([self._tokens[start:stop]], device=self.model.device)  # (1, chunk)
            last = torch.zeros_like(tokens, dtype=torch.bool)
            last[0, -1] = True
            logits = self.model(tokens, rows, self._cache, logits_at=last)  # (1, V)
            self._held = dense[:stop, :stop]
            scores: Tensor = logits[0].float().cpu()  # waits for the device, so that the clock is honest
            now = time.perf_counter()
            self._note(phase, start, stop, now - clock, self.model.flops(stop - start, rows.numel()))
            clock = now
        return scores

    def _chunks(self, start: int, dense: Tensor) -> Iterator[tuple[int, int]]:
        if self.chunk is None:
            yield start, len(dense)
            return
        cuts = [*range(start, len(dense), self.chunk), len(dense)]
        allowed = borders(dense)
        for cut in cuts:
            if not allowed[cut]:
                reader = int(dense[:cut, cut:].any(-1).nonzero()[0])
                raise ValueError(
                    f"a chunk of {self.chunk} would end before position {cut}, but under mask {self.mask.name!r} "
                    f"position {reader} reads on to position {int(dense[reader].nonzero()[-1])}: its keys and values "
                    "would be computed without what it sees. Use chunk=None"
                )
        yield from pairwise(cuts)

    def _keep(self, positions: int, turn: int) -> None:
        """Throw away what the cache holds past so many positions."""
        held = self._cache.length
        self._held = self._held[
            :positions, :positions
        ]  # first this, so that an interrupt leaves too little, never too much
        self._cache.truncate(min(positions, held))
        if held > positions:
            self._note("discard", positions, held, 0.0, 0, turn)

    def _note(
        self,
        phase: Phase,
        start: int,
        stop: int,
        seconds: float,
        flops: int,
        turn: int | None = None,
    ) -> None:
        self.trace.append(
            Event(
                self.turn if turn is None else turn,
                phase,
                start,
                stop,
                seconds,
                flops,
                self._cache.nbytes,
            )
        )

    def _add(self, role: str, text: str | None) -> None:
        """A new message; one without text is written token by token."""
        self.messages.append({"role": role, "content": text or ""})
        if text is not None:
            for token in encode_message(self.messages[-1], self.tokenizer):
                self._append(token)

    def _append(self, token: int) -> None:
        role = self.messages[-1]["role"]
        self._kinds.append((len(self.messages) - 1, role != "assistant", role == "system"))
        self._tokens.append(token)

    @staticmethod
    def _checked(text: str) -> str:
        if not isinstance(text, str):
            raise TypeError(f"a message must be a string, got {text!r}")
        if not text.strip():
            raise ValueError("the message is empty; say something")
        return text
