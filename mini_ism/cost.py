"""What a turn costs: from a conversation's trace, or from the mask's rule alone, before any model has run."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from mini_ism.config import GPTConfig
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.model import GPT
from mini_ism.planner import Planner
from mini_ism.segments import Segments, check_segments
from mini_ism.trace import Event, Phase

SHIPPED = GPTConfig.preset("mini", vocab_size=704)
"""The shape of the models that come with the package, one for each of the course's masks."""


def plan(mask: str | Mask, segments: Segments, model: GPT | GPTConfig | None = None) -> list[Event]:
    """The trace that a :class:`~mini_ism.chat.ChatSession` would leave after this dialogue, from the rule alone.

    No model runs, so ``seconds`` are 0; everything else is what the engine would do: each question is read in one
    pass, each token of an answer (its end marker included) on its own, and before each step the cache keeps what the
    rule says is still right.

    Args:
        mask: a name, an expression or a :class:`~mini_ism.mask.Mask`.
        segments: of one dialogue, ``[T]``.
        model: whose FLOPs and bytes to count, a model or its shape. Default: that of the shipped models, ``SHIPPED``.

    Raises:
        ValueError: ``segments`` is a batch or empty, or the mask is unknown or leaves a row empty.
    """
    check_segments(segments)
    if segments.id.ndim != 1 or len(segments) == 0:
        raise ValueError(
            f"a plan needs the segments [T] of one dialogue, got shape {tuple(segments.id.shape)}; "
            "take one row of a batch with segments.row(0)"
        )
    shape, planner = as_model(model), Planner(get_mask(mask), len(segments))
    segments = Segments(segments.id, segments.is_query, segments.system, segments.document).to("cpu")
    answer_ends = segments.end.tolist()
    events: list[Event] = []
    for turn, phase, stop in _steps(segments):
        held = planner.length
        found = planner.step() if phase == "decode" else None
        if found is None and phase == "decode" and held == stop - 1:
            planner.foresee(segments[: answer_ends[stop - 1]])
            found = planner.step()
        kept = (found or planner.plan(segments[:stop])).kept
        kv_bytes = shape.kv_bytes(kept)
        if kept < held:
            events.append(Event(turn, "discard", kept, held, 0.0, 0, kv_bytes))
        if phase == "prefill" and kept:
            events.append(Event(turn, "reuse", 0, kept, 0.0, 0, kv_bytes))
        flops = shape.flops(stop - kept, (stop - kept) * stop)
        events.append(Event(turn, phase, kept, stop, 0.0, flops, shape.kv_bytes(stop)))
        planner.computed(stop)
    return events


def as_model(model: GPT | GPTConfig | None) -> GPT:
    """A model that can be asked what it costs, by default a shipped one; on the meta device it holds no weights."""
    if isinstance(model, GPT):
        return model
    with torch.device("meta"):
        return GPT(model or SHIPPED)


def _steps(segments: Segments) -> Iterator[tuple[int, Phase, int]]:
    """The forward passes of a chat: (turn, phase, where the dialogue then ends)."""
    query = segments.is_query.tolist()
    turn = 0
    for stop, is_query in enumerate(query, start=1):
        if not is_query:
            yield turn, "decode", stop
        elif stop == len(query) or not query[stop]:
            turn += 1
            yield turn, "prefill", stop


def visible_pairs(mask: str | Mask, segments: Segments) -> int:
    """How many (query, key) pairs of positions a mask allows in a dialogue ``[T]``."""
    return int(get_mask(mask).dense(segments).sum())
