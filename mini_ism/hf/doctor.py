"""The mask doctor: who influences whom in a model, measured, against the rule that it is said to follow.

A mask that is dropped, misaligned or misread gives fluent text and no error. So nothing is inferred from the code:
tokens are changed one at a time, after the embedding, and wherever a score moves, that token was read. The model reads
as in a chat: in one pass, on a first turn, on a second turn over a warm cache, in chunks, and with left padding.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from textwrap import fill
from typing import Any

import torch
from torch import Tensor

from mini_ism.checks import whole_number
from mini_ism.dialogue import EncodedDialogue, Message, encode_dialogue
from mini_ism.hf.chat import DEFAULT_MASK
from mini_ism.hf.findings import Comparison
from mini_ism.hf.loading import causal_lm, check_fits
from mini_ism.hf.masks import by_layer
from mini_ism.hf.reading import CALLS, Call, Reader, by_rows, followed, read_changed
from mini_ism.hf.template import ChatTemplate
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.model import GPT
from mini_ism.reuse import borders
from mini_ism.views.dialogue_view import TokenizedDialogue, tokenized
from mini_ism.views.mask_difference import mask_difference
from mini_ism.views.picture import Picture
from mini_ism.views.svg import escape

EXAMPLE: tuple[Message, ...] = (
    {"role": "user", "content": "The key is in the box. Where is it?"},
    {"role": "assistant", "content": "In the box."},
    {"role": "user", "content": "And who took it there?"},
    {"role": "assistant", "content": "Ada did."},
)
NUDGE = 2.0
"""How far a token's embedding is moved, in standard deviations of all embeddings."""
SEEN = 1e-5
"""The smallest effect that counts, as a share of a token's effect on itself; rounding errors stay below it."""
OFF = 1e-3
"""The smallest difference between scores that counts, as a share of their spread."""
PADDING = 3
ELEMENTS = 2**26  # scores held in memory at a time
LARGE, SAMPLE = 20_000_000, 4


@dataclass(frozen=True)
class Situation:
    """One way in which a conversation is read.

    Args:
        name: its name in reports.
        stop: how many tokens are read.
        cuts: start and stop of each chunk.
        padding: columns of padding on the left.
        cached: whether there is a cache.
    """

    name: str
    stop: int
    cuts: tuple[tuple[int, int], ...]
    padding: int = 0
    cached: bool = True


@dataclass(frozen=True, eq=False)
class Examination:
    """What was found in one situation.

    Args:
        situation: the one examined.
        declared, measured: BoolTensor ``[T, T]``, True = the column's token influences the row's scores.
        off: the largest difference from the scores of one pass under the rule, as a share of their spread.
        faults: one sentence for each.
        dialogue: the tokens, for pictures.
    """

    situation: Situation
    declared: Tensor
    measured: Tensor
    off: float
    faults: tuple[str, ...]
    dialogue: TokenizedDialogue

    def picture(self) -> Picture:
        """Declared, measured and the difference, side by side."""
        return mask_difference(self.declared, self.measured, self.dialogue, title=self.situation.name)


@dataclass(frozen=True)
class Diagnosis:
    """All that was found about a model under a rule.

    Args:
        mask: the rule's name.
        examinations: one for each situation.
    """

    mask: str
    examinations: tuple[Examination, ...]

    @property
    def faults(self) -> list[str]:
        """Each fault's sentence once, in the order found."""
        return list(dict.fromkeys(fault for each in self.examinations for fault in each.faults))

    @property
    def healthy(self) -> bool:
        """Whether everything is as the rule declares."""
        return not self.faults

    @property
    def worst(self) -> Examination:
        """The examination with the most faults; the first one in a tie."""
        return max(self.examinations, key=lambda each: (len(each.faults), each.off))

    def __getitem__(self, name: str) -> Examination:
        """The examination of a situation, by its name."""
        found = {each.situation.name: each for each in self.examinations}
        if name not in found:
            raise KeyError(f"no situation {name!r}; there are {', '.join(found)}")
        return found[name]

    def __str__(self) -> str:
        lines = [f"{'all as declared' if self.healthy else 'not as declared'}: mask {self.mask}"]
        for each in self.examinations:
            wrong = int((each.declared ^ each.measured).sum())
            state = "ok" if not each.faults else f"{wrong} pairs differ, scores off by {each.off:.2g} of their spread"
            faults = (fill(fault, 96, initial_indent="    - ", subsequent_indent="      ") for fault in each.faults)
            lines += [f"  {each.situation.name}: {state}", *faults]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        listed = "".join(f"<li>{escape(fault)}</li>" for fault in self.faults)
        return f"<p><b>{escape(str(self).splitlines()[0])}</b></p><ul>{listed}</ul>{self.worst.picture()}"


def diagnose(
    model: Any,
    tokenizer: Any,
    messages: Sequence[Message] = EXAMPLE,
    mask: str | Mask | None = None,
    *,
    call: str | Call = "rows",
    new_cache: Callable[[int], Any] | None = None,
    chunk: int | None = None,
    sample: int | None = None,
) -> Diagnosis:
    """Measure who influences whom, and compare it with a rule.

    Args:
        model: a transformers model, or a :class:`~mini_ism.GPT`. It is left unchanged; if it is in half precision, a
            float32 copy is examined.
        tokenizer: with a chat template, a :class:`ChatTemplate`, or this package's.
        messages: a conversation of at least two turns.
        mask: the rule the model is said to follow; default, ISM with token 0 causal, or what a GPT was trained with.
        call: how the model is called: ``"rows"`` of the rule, ``"token_type_ids"`` that mark questions, ``"default"``
            as a causal model, or a function from a :class:`~mini_ism.hf.reading.Chunk` to keywords.
        new_cache: makes the cache for a batch of this many rows; default, as the model does.
        chunk: prefill in chunks of this many tokens; default, split at the borders of messages.
        sample: change at most this many tokens of each message, and assume that the others are read as declared;
            default, all of them, or four in a model of more than 20 million parameters.

    Raises:
        TypeError, ValueError: an argument does not fit.
    """
    model = model if isinstance(model, GPT) else causal_lm(model)
    if isinstance(model, GPT) and isinstance(call, str) and call != "rows":
        raise ValueError(f"a GPT of this package is called with rows only, not as {call!r}")
    if isinstance(call, str) and call not in CALLS:
        raise ValueError(f"unknown way of calling {call!r}; there are {', '.join(CALLS)}, or pass a function")
    if not callable(call) and not isinstance(call, str):
        raise TypeError(f"call must be one of {', '.join(CALLS)}, or a function, got {call!r}")
    if next(model.parameters()).dtype in (torch.float16, torch.bfloat16):  # their rounding would look like a leak
        model = copy.deepcopy(model).float()
    own = model.config.mask if isinstance(model, GPT) else DEFAULT_MASK
    rule = get_mask(own if mask is None else mask)
    reader = Reader(model, CALLS[call] if isinstance(call, str) else call, new_cache)
    encoded, dialogue = _encoded(model, tokenizer, messages)
    large = sum(weight.numel() for weight in model.parameters()) > LARGE
    changed = _sampled(encoded, SAMPLE if sample is None and large else sample)
    training = model.training
    model.eval()
    try:
        found = [
            _examine(reader, encoded, rule, each, dialogue, changed)
            for each in _situations(encoded, rule, None if chunk is None else whole_number("chunk", chunk, 1))
            if not (isinstance(model, GPT) and each.padding)  # a GPT's positions start at 0
        ]
    finally:
        model.train(training)
    return Diagnosis(rule.name, tuple(found))


def _sampled(encoded: EncodedDialogue, sample: int | None) -> list[int]:
    """Positions to change: all, or some of each message, including its first and last."""
    if sample is None:
        return list(range(len(encoded)))
    count, ids = whole_number("sample", sample, 2), encoded.segments.id
    places = [(ids == number).nonzero().flatten() for number in ids.unique()]
    chosen = [here[torch.linspace(0, len(here) - 1, min(count, len(here))).round().long()] for here in places]
    return [int(place) for place in torch.cat(chosen)]


def _encoded(model: Any, tokenizer: Any, messages: Sequence[Message]) -> tuple[EncodedDialogue, TokenizedDialogue]:
    if isinstance(model, GPT):
        encoded = encode_dialogue(messages, tokenizer)
        return encoded, tokenized(encoded, tokenizer)
    template = tokenizer if isinstance(tokenizer, ChatTemplate) else ChatTemplate(tokenizer)
    encoded = template.encode(messages)
    check_fits(model, encoded.tokens)
    return encoded, tokenized(encoded, template.tokenizer)


def _situations(encoded: EncodedDialogue, mask: Mask, chunk: int | None) -> Iterator[Situation]:
    """The ways in which a conversation is read, with cuts only where the rule allows them, unless ``chunk`` is given.

    Raises:
        ValueError: there are fewer than two turns.
    """
    s, total = encoded.segments, len(encoded)
    dense = mask.dense(s)
    ends = [place for place in range(1, total) if s.id[place] != s.id[place - 1]] + [total]  # of messages
    turns = [end for end in ends if not s.is_query[end - 1]]
    if len(turns) < 2:
        raise ValueError("a diagnosis needs a conversation of two turns: question, answer, question, answer")

    def cut(points: Sequence[int], stop: int) -> tuple[tuple[int, int], ...]:
        allowed = borders(dense[:stop, :stop])
        return tuple(pairwise([0, *(point for point in points if point < stop and allowed[point]), stop]))

    written = [place for place in range(1, total) if not s.is_query[place]]  # an answer comes token by token
    steps = sorted({*ends, *written})
    yield Situation("one pass", total, ((0, total),), cached=False)
    yield Situation("turn 1", turns[0], cut(steps, turns[0]))
    yield Situation("turn 2, warm cache", turns[1], cut(steps, turns[1]))
    chunks = cut(ends, total) if chunk is None else tuple(pairwise([*range(0, total, chunk), total]))
    yield Situation("prefill in chunks", total, chunks)
    yield Situation("left padding", total, cut(turns, total), PADDING)


def _examine(
    reader: Reader,
    encoded: EncodedDialogue,
    mask: Mask,
    situation: Situation,
    dialogue: TokenizedDialogue,
    changed: Sequence[int],
) -> Examination:
    stop = situation.stop
    tokens, segments = encoded.tokens[:stop], encoded.segments[:stop]
    given = (reader, tokens, segments, mask, situation.cuts)
    generator = torch.Generator().manual_seed(0)
    weight = reader.embedding.weight
    assert isinstance(weight, Tensor)
    spread = float(weight.detach().float().std())
    nudge = torch.randn(weight.shape[1], generator=generator) * NUDGE * spread
    at_once = max(1, ELEMENTS // (stop * weight.shape[0]))
    places = torch.tensor([place for place in changed if place < stop])
    influence, empty = torch.full((stop, stop), torch.nan), 0.0
    for some in places.split(at_once):
        changes = torch.zeros(len(some) + 2, stop, len(nudge))  # the first changes nothing; the last fills empty slots
        changes[torch.arange(1, len(some) + 1), some] = nudge
        scores = read_changed(*given, changes, padding=situation.padding, cached=situation.cached)
        moved = (scores[1:] - scores[:1]).abs().amax(-1)  # (rows, T)
        influence[:, some] = moved[:-1].T
        empty = max(empty, float(moved[-1].max()))
    scale = float(influence.diagonal().nanmedian())
    direct, declared = _reach(reader.model, mask.dense(segments))
    judged = ~influence.isnan() & (direct | ~declared)  # an effect through several layers may be too weak to see
    measured = torch.where(judged, influence > SEEN * scale, declared)
    with followed(reader.model):
        plain = Reader(reader.model, by_rows)
        wanted = read_changed(plain, tokens, segments, mask, ((0, stop),), changes[:1] * 0, cached=False)[0]
    off = float((scores[0] - wanted).abs().max() / wanted.std())
    faults = Comparison(declared, measured, judged, segments, situation.cuts).sentences()
    if empty > SEEN * scale:
        faults.append(
            "Slots of the cache that hold nothing yet are read: filled with noise, they move the scores by "
            f"{empty:.2g}. A static cache needs a mask that hides them; `is_causal=False` does not."
        )
    if off > OFF and not faults:
        faults.append(
            f"The right tokens are read, but the scores are off by {off:.2g} of their spread: "
            + ("positions count the padding (position_ids)." if situation.padding else "look at position_ids.")
        )
    short = TokenizedDialogue(dialogue.labels[:stop], dialogue.roles[:stop], dialogue.ids[:stop])
    return Examination(situation, declared, measured, off, tuple(faults), short)


def _reach(model: Any, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Who influences whom, in one layer and through all, ``[T, T]`` each, if layers follow a rule's rows ``[T, T]``."""
    if isinstance(model, GPT):
        layers = [rows] * (model.config.layers + 1)  # one more for the token shift
    else:
        config = model.config.get_text_config()
        kinds = by_layer(config, rows, 0)
        names = getattr(config, "layer_types", None) or list(kinds) * config.num_hidden_layers
        layers = [kinds[name] for name in names]
    reached = torch.eye(len(rows))
    for seen in layers:
        reached = ((seen.float() @ reached + reached) > 0).float()
    return torch.stack(layers).any(0), reached > 0
