"""One conversation over one KV cache: plan, prefill, decode, reuse, and a trace of all that was computed.

The engine knows no mask by name. Before each forward pass it asks the rule which cached positions are still right
(:class:`~mini_ism.planner.Planner`), discards the others, and computes what is missing. So chatting with a cache gives
what one uncached forward pass would give, for *any* rule, by construction.

Every change is all or nothing. The conversation is one immutable :class:`~mini_ism.transcript.Transcript`, replaced by
a single assignment. So an exception or Ctrl-C at any line leaves a conversation that can continue: at worst it
recomputes what it had already computed.
"""

from __future__ import annotations

import copy
import sys
import time
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from inspect import GEN_RUNNING, getgeneratorstate
from itertools import pairwise
from typing import Any

import tiktoken
import torch
from torch import Tensor

from mini_ism.checks import check_kind, items_of, whole_number
from mini_ism.dialogue import DialogueFormat, Message, check_messages
from mini_ism.interfaces import ChatFormat, ChatModel
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.model import GPT
from mini_ism.planner import Plan, Planner
from mini_ism.replies import AnswerWriter, Reply, Stopped
from mini_ism.reuse import borders
from mini_ism.sampling import Sampler
from mini_ism.segments import Segments
from mini_ism.trace import Event, Phase
from mini_ism.transcript import Conversation
from mini_ism.typed import check_typed

SHORTEST_ANSWER = 2  # one token and the end marker
SHORTEST_TURN = 3 + SHORTEST_ANSWER  # two markers and a token between them
OnToken = Callable[[int, Tensor], object]


class ContextFullError(ValueError):
    """The message does not fit into what is left of the model's context. Nothing was changed."""


class ChatSession:
    """A conversation with a model under a mask.

    Args:
        model, tokenizer: from :func:`~mini_ism.checkpoints.load_model`, or your own.
        mask: a name, an expression or a :class:`Mask`; default, the one the model was trained with.
        system: a system prompt that opens the conversation.
        messages: a conversation to continue, which must end with an answer; it is read with the next message.
        chunk: prefill at most this many positions at a time; default, all. Refused where the mask looks ahead across
            a chunk's border.

    Attributes:
        trace: every :class:`Event` so far.

    Raises:
        TypeError, ValueError: an argument does not fit, or no turn would fit into the model's context.
    """

    def __init__(
        self,
        model: GPT,
        tokenizer: tiktoken.Encoding,
        mask: str | Mask | None = None,
        *,
        system: str | None = None,
        messages: Sequence[Message] | None = None,
        chunk: int | None = None,
    ) -> None:
        check_kind("model", model, GPT, 'take one that load_model("ism") gives')
        self.model, self.tokenizer = model, tokenizer
        self._start(model, DialogueFormat(tokenizer), mask, system, messages, chunk)

    @torch.inference_mode(False)  # so that the session's tensors may be written to outside inference mode
    def _start(
        self,
        model: ChatModel,
        style: ChatFormat,
        mask: str | Mask | None,
        system: str | None,
        messages: Sequence[Message] | None,
        chunk: int | None,
    ) -> None:
        """Start with any model and any chat format that the engine can use."""
        self.chunk = None if chunk is None else whole_number("chunk", chunk, 1)
        if style.n_vocab > model.config.vocab_size:
            raise ValueError(
                f"the tokenizer has {style.n_vocab} tokens, the model only {model.config.vocab_size}; "
                "use the tokenizer it was trained with"
            )
        context = model.config.context
        model.eval()
        self._engine, self.style = model, style
        self.mask = get_mask(model.config.mask if mask is None else mask)
        self.trace: list[Event] = []
        self._talk = Conversation(style, context)
        self._cache, self._planner = model.new_cache(), Planner(self.mask, context)
        self._weights: object = None  # tells whether the model has been trained further
        self._writing: Callable[[], Generator[str] | None] = lambda: None  # a weak reference
        if system is not None:
            check_typed(system, "the system prompt")
        opening = [] if system is None else [{"role": "system", "content": system}]
        if given := [*opening, *(messages or ())]:
            check_messages(given)
            if given[-1]["role"] == "user":
                raise ValueError("a conversation to go on with ends with an answer; send() its last question instead")
            for message in given:
                self._talk.said = self._talk.with_message(message["role"], message["content"])
            if self.room < SHORTEST_TURN:
                raise ContextFullError(
                    f"the conversation has {self._talk.said.length} tokens, which leaves no room for a turn in the "
                    f"model's context of {context}; shorten its system prompt or its messages"
                )

    # -- the conversation --------------------------------------------------------------------------

    @property
    def messages(self) -> list[dict[str, str]]:
        """The conversation so far, as role and content."""
        return [{"role": role, "content": text} for role, text in self._talk.said.messages]

    @property
    def reply(self) -> Reply | None:
        """The latest reply."""
        return self._talk.said.reply

    @property
    def tokens(self) -> Tensor:
        """All tokens so far, LongTensor ``[T]``."""
        return self._talk.tokens[: self._talk.said.length].clone()

    @property
    def segments(self) -> Segments:
        """Their segments, ``[T]``."""
        return self._talk.clone().segments(self._talk.said.length)

    @property
    def turn(self) -> int:
        """How many turns there have been."""
        return sum(role == "user" for role, _ in self._talk.said.messages)

    @property
    def cached(self) -> int:
        """How many positions of the conversation the cache holds."""
        return min(self._planner.length, self._talk.said.length)

    @property
    def room(self) -> int:
        """How many positions of the context are left."""
        return self._engine.config.context - self._talk.said.length

    def send(self, text: str, **options: Any) -> Reply:
        """Send a message and wait for the whole reply; see :meth:`stream` for the options and the errors."""
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
        stop: str | Sequence[str] | None = None,
        stop_loops: bool = False,
        on_token: OnToken | None = None,
    ) -> Iterator[str]:
        """Send a message and get the reply piece by piece; :attr:`reply` holds all of it afterwards.

        If interrupted (by Ctrl-C, by dropping the iterator, or by another call to the session), the session keeps what
        has been written of the answer, or drops the turn if that is nothing.

        Args:
            text: the user's message.
            max_new_tokens: the longest answer, in tokens.
            temperature: 0 = always the likeliest token, 1 = the model's own probabilities.
            top_k: sample among the k likeliest only.
            top_p: sample among the fewest tokens that hold this share of the probability (1904.09751).
            seed: makes the answer reproducible.
            stop: strings that end the answer, and are left out of it.
            stop_loops: end the answer when it repeats itself; what was repeated stays in the conversation.
            on_token: called with each token and the logits ``[V]`` it was picked from; it must not change the session.

        Raises:
            TypeError, ValueError: the text is not a string or is empty, or an option is out of range.
            ContextFullError: the message does not fit; the session is unchanged.
        """
        self._settle()
        sampler = Sampler(self.style, temperature, top_k, top_p, seed)
        longest = whole_number("max_new_tokens", max_new_tokens, 1)
        stops = [stop] if isinstance(stop, str) else items_of("stop", stop or (), str, "give texts that end the answer")
        if "" in stops:
            raise ValueError(f"stop must be texts that are not empty, got {stop!r}")
        check_typed(text)
        needed = len(self.style.encode_message("user", text, self._talk.said.messages)) + SHORTEST_ANSWER
        if needed > self.room:
            raise ContextFullError(
                f"the message needs {needed} positions with the shortest answer, but only {self.room} of the context's "
                f"{self._engine.config.context} are left after {self._talk.said.length}; "
                "truncate() the conversation or start a new one"
            )
        writer = AnswerWriter(self.style, stops, longest, stop_loops)
        heard = (lambda *_: None) if on_token is None else lambda token, scores: on_token(token, scores.clone())
        answer = self._answer(text, sampler, writer, heard)
        self._writing = weakref.ref(answer)
        return answer

    def _answer(self, text: str, sampler: Sampler, writer: AnswerWriter, on_token: OnToken) -> Generator[str]:
        stopped: Stopped = "interrupted"
        try:
            said = self._talk.with_message("user", text)
            self._talk.open_answer(said)
            writer.logits.append(self._compute("prefill"))
            while (token := sampler.pick(writer.logits[-1])) not in self.style.end_ids:
                piece = writer.add(token)
                self._talk.add_token(token)
                on_token(token, writer.logits[-1])
                yield piece
                if (full := writer.full(self.room)) is not None:
                    stopped = full
                    break
                writer.logits.append(self._compute("decode"))
            else:
                stopped = "end"
            if tail := writer.tail():
                yield tail
        finally:
            if sys.is_finalizing():  # Python is shutting down, and PyTorch can no longer compute
                pass
            elif writer.tokens or stopped == "end":
                self._talk.close(writer.reply(stopped))
                self._compute("decode")  # reads the end marker now, so that the next turn starts with its query
            else:
                self._settle_open()

    def truncate(self, turns: int) -> None:
        """Go back to the end of an earlier turn; 0 keeps only the system prompt.

        Raises:
            TypeError, ValueError: there are not that many turns.
        """
        self._settle()
        turns = whole_number("the turns to keep", turns, 0)
        if turns > self.turn:
            raise ValueError(f"cannot keep {turns} turns of a conversation of {self.turn}")
        self._cut(2 * turns + (self._talk.said.messages[:1] != () and self._talk.said.messages[0][0] == "system"))

    @torch.inference_mode(False)
    def fork(self) -> ChatSession:
        """An independent copy, cache included, for what-if experiments."""
        self._settle()
        twin = copy.copy(self)
        for name in ("_talk", "_cache", "_planner"):
            setattr(twin, name, getattr(self, name).clone())
        twin.trace = [*self.trace]
        return twin

    # -- the transcript ----------------------------------------------------------------------------

    def _settle(self) -> None:
        """End an answer that is still being written, as if it had been interrupted."""
        if (answer := self._writing()) is not None:
            if getgeneratorstate(answer) == GEN_RUNNING:
                raise RuntimeError("the session is writing; collect in on_token, and act when the reply is there")
            answer.close()
        self._settle_open()

    def _settle_open(self) -> None:
        """Close an answer that was left open, or drop its turn if nothing of it has been written."""
        said = self._talk.said
        if said.written is None:
            return
        tokens = self._talk.tokens[said.ends[-2] : said.length]
        if said.written == 0:
            self._cut(len(said.messages) - 2)
        else:
            text = self.style.decode(tokens.tolist()).removeprefix(" ")
            logits = torch.zeros(0, self._engine.config.vocab_size, device="cpu")  # lost with the generator
            self._talk.close(Reply(text, tokens.clone(), logits, "interrupted"))

    def _cut(self, messages: int) -> None:
        """Keep only the first messages, and drop what the cache holds of the others."""
        self._talk.said = self._talk.said.first(messages)
        self._revise()

    # -- the engine --------------------------------------------------------------------------------

    @torch.inference_mode()
    def _compute(self, phase: Phase) -> Tensor:
        """Read all tokens that are not in the cache yet; returns the last one's logits ``[V]``, on the CPU."""
        clock = time.perf_counter()
        length = self._talk.said.length
        plan = self._planner.foreseen(length, self._talk.segments) if phase == "decode" else None
        if plan is None:
            plan = self._revise()
        if phase == "prefill" and plan.kept:
            self._note("reuse", 0, plan.kept, 0.0, 0)
        for start, stop in self._chunks(plan):
            mask = None if plan.sees_all else self._planner.rows(start, stop)  # (chunk, stop)
            tokens = self._talk.tokens[None, start:stop].to(self._engine.device)  # (1, chunk)
            logits = self._engine.compute(tokens, mask, self._cache, logits_at=slice(-1, None))  # (1, 1, V)
            self._planner.computed(stop)
            scores: Tensor = logits[0, -1].float().cpu()  # waits for the device, so that the timing is right
            now = time.perf_counter()
            self._note(phase, start, stop, now - clock, self._engine.flops(stop - start, (stop - start) * stop))
            clock = now
        return scores

    def _revise(self) -> Plan:
        """Discard what the cache holds but the conversation can no longer use; returns what is left to compute."""
        planner, length, held = self._planner, self._talk.said.length, self._cache.length
        if (weights := self._engine.version()) != self._weights:
            planner.keep(0)
            self._weights = weights
        common = min(planner.length, length, held)
        same = self._cache.tokens[0, :common].cpu() == self._talk.tokens[:common]  # compared, never assumed
        planner.keep_right(int(same.long().cumprod(0).sum()))
        plan = planner.plan(self._talk.segments(length)) if length else Plan(0, 0, True)
        self._cache.truncate(min(planner.length, held))
        if held > planner.length:
            self._note("discard", planner.length, held, 0.0, 0)
        return plan

    def _chunks(self, plan: Plan) -> Iterator[tuple[int, int]]:
        if self.chunk is None or plan.stop - plan.kept <= self.chunk:
            yield plan.kept, plan.stop
            return
        dense = self._planner.rows(0, plan.stop)  # (T, T)
        cuts, allowed = [*range(plan.kept, plan.stop, self.chunk), plan.stop], borders(dense)
        for cut in cuts:
            if not allowed[cut]:
                reader = int(dense[:cut, cut:].any(-1).nonzero()[0])
                raise ValueError(
                    f"a chunk of {self.chunk} would end before position {cut}, but under mask {self.mask.name!r} "
                    f"position {reader} reads on to position {int(dense[reader].nonzero()[-1])}: its keys and values "
                    "would be computed without what it sees. Use chunk=None"
                )
        yield from pairwise(cuts)

    def _note(self, phase: Phase, start: int, stop: int, seconds: float, flops: int) -> None:
        kv_bytes = self._engine.kv_bytes(self._cache.length)
        self.trace.append(Event(self.turn, phase, start, stop, seconds, flops, kv_bytes))
