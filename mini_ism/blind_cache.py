"""A chat that trusts its cache blindly: what goes stale when nothing is discarded, and how that changes the answers.

:class:`~mini_ism.chat.ChatSession` asks the rule before each step which cached positions are still right, so it cannot
be wrong. This is the engine without that check, to show why the check is needed. It draws nothing, so that notebook,
widget and test show the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import tiktoken
import torch
from torch import Tensor

from mini_ism.cache import KVCache
from mini_ism.checks import whole_number
from mini_ism.cost import plan
from mini_ism.decoding import check_room
from mini_ism.dialogue import END, EncodedDialogue, Message, encode_dialogue
from mini_ism.markers import marker_id
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.model import GPT
from mini_ism.sampling import Sampler
from mini_ism.segments import Segments
from mini_ism.trace import Event


def blind_trace(trace: Iterable[Event], model: GPT) -> list[Event]:
    """What an engine that discards nothing would do: the forwards of ``trace``, each over all that was read before.

    Args:
        trace: of an exact engine, from :func:`~mini_ism.cost.plan` or ``ChatSession.trace``.
        model: whose FLOPs and bytes to count.

    Returns:
        Its events. Their seconds are 0, since nothing was run.
    """
    events: list[Event] = []
    held = turn = 0
    for event in trace:
        if event.phase not in ("prefill", "decode") or event.stop <= held:
            continue  # recomputed by the exact engine, kept here
        if event.phase == "prefill" and event.turn > turn:
            turn = event.turn
            if held:
                events.append(Event(turn, "reuse", 0, held, 0.0, 0, model.kv_bytes(held)))
        flops = model.flops(event.stop - held, (event.stop - held) * event.stop)
        events.append(Event(event.turn, event.phase, held, event.stop, 0.0, flops, model.kv_bytes(event.stop)))
        held = event.stop
    return events


def stale_positions(
    mask: str | Mask, segments: Segments, trace: Iterable[Event] | None = None
) -> dict[int, tuple[int, ...]]:
    """Which positions of a blindly kept cache are stale at each question.

    A position is right iff it saw, when it was read, exactly what it may see now, and all of that is right, too.

    Args:
        mask: the rule.
        segments: of one dialogue, ``[T]``.
        trace: the blind engine's forward passes, from :func:`blind_trace`; default, those of the plan.

    Returns:
        The stale positions by turn, from the second on; none for causal and ISM, all for prefix.
    """
    rule = get_mask(mask)
    saw = torch.zeros(len(segments), len(segments), dtype=torch.bool)  # row i: what i saw when it was read
    stale: dict[int, tuple[int, ...]] = {}
    held = 0
    for turn, stop in _forwards(plan(rule, segments) if trace is None else trace):
        dense = rule.dense(segments[:stop])
        if held and turn > max(stale, default=1):
            stale[turn] = tuple((~_still_right(saw[:held, :stop], dense[:held])).nonzero().flatten().tolist())
        saw[held:stop, :stop] = dense[held:]
        held = stop
    return stale


def _still_right(saw: Tensor, sees: Tensor) -> Tensor:
    """Which of the first rows are right, given what they saw and what they may see now: ``[N, T]`` each -> ``[N]``."""
    right = (saw == sees).all(-1)
    held = len(right)
    while True:
        better = right & ~(sees[:, :held] & ~right).any(-1)
        if torch.equal(better, right):
            return right
        right = better


def _forwards(trace: Iterable[Event]) -> Iterator[tuple[int, int]]:
    """(turn, where it ends) of each forward pass that reads something for the first time."""
    held = 0
    for event in trace:
        if event.phase in ("prefill", "decode") and event.stop > held:
            held = event.stop
            yield event.turn, held


# -- what it does to the answers -------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Generation:
    """A greedy answer: its ``tokens``, and the ``logits [N, V]`` each was picked from, the end marker included."""

    tokens: tuple[int, ...]
    logits: Tensor


@dataclass(frozen=True, eq=False)
class StaleTurn:
    """One question answered twice by the same model: with all recomputed, and over the cache that earlier turns left.

    Args:
        turn: from 1.
        stale: the cached positions that were used although they are no longer right.
        right, blind: the answers with everything recomputed, and over the blindly kept cache.
        right_text, blind_text: the same as text.
        pieces: token by token: the right one, the blind one (``""`` past an answer's end), and the largest difference
            of their logits, as long as both answers have been the same so far; then ``None``.
    """

    turn: int
    stale: tuple[int, ...]
    right: Generation
    blind: Generation
    right_text: str
    blind_text: str
    pieces: tuple[tuple[str, str, float | None], ...]

    @property
    def difference(self) -> float:
        """The largest difference of any logit for the answer's first token."""
        first = self.pieces[0][2]
        assert first is not None
        return first

    @property
    def same_answer(self) -> bool:
        """Whether both answers have the same tokens."""
        return self.right.tokens == self.blind.tokens

    @property
    def harm(self) -> tuple[bool, float]:
        """A sort key: a turn whose answer changed is worse than any whose answer did not; then by the difference."""
        return not self.same_answer, self.difference


@torch.inference_mode()
def answer_blindly(
    model: GPT,
    tokenizer: tiktoken.Encoding,
    messages: Sequence[Message],
    mask: str | Mask | None = None,
    *,
    longest: int = 40,
) -> list[StaleTurn]:
    """Let a model answer each question of a dialogue twice: with all recomputed, and over all that was cached before.

    The dialogue continues from the answers *given* in ``messages``, so that both sides always answer the same question.

    Args:
        model: from :func:`~mini_ism.checkpoints.load_model`, or your own.
        tokenizer: the model's.
        messages: a dialogue.
        mask: default, the one the model was trained with.
        longest: the most tokens of an answer, the end marker included.

    Returns:
        One entry per question. With a rule that keeps everything (causal, ISM) the differences are rounding errors.

    Raises:
        TypeError, ValueError: the dialogue, the mask or ``longest`` is not valid, or the dialogue does not fit the
            model's context.
        ContextFullError: its last question leaves no room for an answer there.
    """
    model.eval()
    longest, context = whole_number("longest", longest, 1), model.config.context
    rule = get_mask(model.config.mask if mask is None else mask)
    encoded = encode_dialogue(messages, tokenizer)
    if len(encoded) > context:
        raise ValueError(f"the dialogue has {len(encoded)} tokens, but the model reads at most {context}")
    if messages[-1]["role"] == "user":
        check_room(len(encoded), context, "the dialogue")
    trace = plan(rule, encoded.segments, model)
    stale = stale_positions(rule, encoded.segments, trace)
    cache = model.new_cache()
    turns: list[StaleTurn] = []
    for turn, stop in _forwards(trace):
        asked = encoded.first(stop)
        if turn > len(turns):  # a question: both sides answer it before it is cached for good
            most = min(longest, context - stop)
            anew = _write(model, tokenizer, rule, asked, model.new_cache(), most)
            blind = _write(model, tokenizer, rule, asked, cache.clone(), most)
            turns.append(_compared(turn, stale.get(turn, ()), anew, blind, tokenizer))
        _read(model, rule, asked, cache)
    return turns


def _read(model: GPT, rule: Mask, encoded: EncodedDialogue, cache: KVCache) -> Tensor:
    """Read what the cache does not hold yet, trusting what it holds; returns the last position's logits ``[V]``."""
    start = cache.length
    rows = rule.dense(encoded.segments)[start:]  # (T - start, T)
    tokens = encoded.tokens[None, start:].to(model.device)
    logits: Tensor = model(tokens, rows, cache)[0, -1].float().cpu()
    return logits


def _write(
    model: GPT, tokenizer: tiktoken.Encoding, rule: Mask, asked: EncodedDialogue, cache: KVCache, most: int
) -> Generation:
    """The greedy answer to a question, over a cache taken as it is."""
    greedy = Sampler(tokenizer, 0.0, None, None, 0)
    end = marker_id(tokenizer, END)
    tokens: list[int] = []
    logits: list[Tensor] = []
    segment = int(asked.segments.id[-1]) + 1
    while True:
        logits.append(_read(model, rule, asked, cache))
        tokens.append(greedy.pick(logits[-1]))
        if tokens[-1] == end or len(tokens) == most:
            return Generation(tuple(tokens), torch.stack(logits))
        asked = _longer(asked, tokens[-1], segment)


def _longer(encoded: EncodedDialogue, token: int, segment: int) -> EncodedDialogue:
    """A dialogue with one more token of an answer."""
    s = encoded.segments
    no, yes = torch.tensor([False]), torch.tensor([True])
    segments = Segments(
        torch.cat([s.id, torch.tensor([segment])]), torch.cat([s.is_query, no]), torch.cat([s.system, no])
    )
    tokens = torch.cat([encoded.tokens, torch.tensor([token])])
    return EncodedDialogue(tokens, segments, torch.cat([encoded.loss_mask, yes]))


def _compared(
    turn: int, stale: tuple[int, ...], anew: Generation, blind: Generation, tokenizer: tiktoken.Encoding
) -> StaleTurn:
    pieces: list[tuple[str, str, float | None]] = []
    for n in range(max(len(anew.tokens), len(blind.tokens))):
        together = anew.tokens[:n] == blind.tokens[:n] and n < min(len(anew.tokens), len(blind.tokens))
        apart = float((anew.logits[n] - blind.logits[n]).abs().max()) if together else None
        right, wrong = (tokenizer.decode(list(side.tokens[n : n + 1])) for side in (anew, blind))
        pieces.append((right, wrong, apart))
    texts = [_text(side.tokens, tokenizer) for side in (anew, blind)]
    return StaleTurn(turn, stale, anew, blind, texts[0], texts[1], tuple(pieces))


def _text(tokens: Sequence[int], tokenizer: tiktoken.Encoding) -> str:
    end = marker_id(tokenizer, END)
    return tokenizer.decode([token for token in tokens if token != end]).removeprefix(" ")
