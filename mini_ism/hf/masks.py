"""A mask's rows in the form that a model's attention takes, or an error if it would silently drop them.

============== ==================================================================================
implementation what it takes
============== ==================================================================================
sdpa           bool ``[B, 1, T, S]``, True = may attend, as this package has it
eager          float ``[B, 1, T, S]`` that is added to the scores: 0, or the smallest number
flex_attention a ``BlockMask``
============== ==================================================================================

A bool mask under ``eager`` would be added as 0 and 1, and flash attention ignores masks altogether. A model with
sliding-window layers takes a dict, one mask for each kind of layer: the window limits how far *back* the rule applies.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from mini_ism.hf.loading import positions
from mini_ism.segments import Segments

AttentionMask = Tensor | BlockMask
FIT = ("sdpa", "eager", "flex_attention")
"""The implementations of attention that follow any mask."""
FULL, SLIDING = "full_attention", "sliding_attention"
NO_BLOCK = -1
PROBE = 24
"""Tokens of the forward pass that tests an attention: as many as a compiled kernel needs."""
SAME = 1e-4
"""Scores that differ by less, as a share of their spread, count as equal."""


class UnfitAttentionError(ValueError):
    """A model's attention cannot follow a custom mask."""


def attention_mask(
    model: Any, allowed: Tensor, start: int, implementation: str | None = None
) -> AttentionMask | dict[str, AttentionMask]:
    """What to pass to a transformers model as ``attention_mask``.

    Args:
        model: a transformers model; its config gives the implementation and the layers' windows.
        allowed: BoolTensor ``[T, S]`` or ``[B, T, S]``, True = may attend, for the T tokens being read, over S
            positions: the cache's, then their own.
        start: position of the first of the T tokens among the S.
        implementation: the attention implementation that takes it; default, the model's own.

    Raises:
        UnfitAttentionError: the model's attention would drop the mask, or some layers do not attend in this way.
    """
    config = model.config.get_text_config()
    implementation = implementation or str(config._attn_implementation)
    if implementation not in FIT:
        raise UnfitAttentionError(
            f"attention {implementation!r} does not follow a mask of one's own, and would drop it without a word; load "
            f'the model with attn_implementation="sdpa" ({", ".join(FIT)} do)'
        )
    dtype = next(model.parameters()).dtype
    kinds = {kind: _form(implementation, rows, dtype) for kind, rows in by_layer(config, allowed, start).items()}
    return next(iter(kinds.values())) if getattr(config, "layer_types", None) is None else kinds


@torch.no_grad()
def check_follows(model: Any) -> None:
    """Test whether a model's attention follows a mask: its first token must read the second if it may, and only then.

    Raises:
        UnfitAttentionError: it does not, or cannot; see :func:`attention_mask`.
        ValueError: it has too few positions to be tested.
    """
    if (longest := positions(model)) is not None and longest < PROBE:
        raise ValueError(
            f"{type(model).__name__} has room for {longest} positions, and the trial of its attention takes {PROBE}; "
            "take a model that can hold a conversation"
        )
    training, tokens = model.training, torch.zeros(2, PROBE, dtype=torch.long, device=model.device)
    tokens[1, 1] = 1
    everything = torch.ones(PROBE, PROBE, dtype=torch.bool, device=model.device)
    model.eval()
    try:
        for what, rows in (("reads what it hides", everything.tril()), ("hides what it shows", everything)):
            given = attention_mask(model, rows, 0)
            try:
                first = model(tokens, attention_mask=given, use_cache=False).logits[:, 0].float()  # (2, V)
            except Exception as error:  # a model, or PyTorch's compiler, may raise anything
                first_line = str(error).strip().split("\n", 1)[0]
                raise UnfitAttentionError(
                    f"{_under(model)} cannot be computed here with a mask of one's own: {first_line}; {OTHER}, or take "
                    "another model"
                ) from error
            moved = float((first[0] - first[1]).abs().max()) > SAME * float(first.std())
            if moved != bool(rows.all()):
                raise UnfitAttentionError(f"{_under(model)} does not follow a mask: it {what}; {OTHER}")
    finally:
        model.train(training)


OTHER = "load it with another attn_implementation"


def _under(model: Any) -> str:
    return f"{type(model).__name__} under attention {model.config.get_text_config()._attn_implementation!r}"


def by_layer(config: Any, allowed: Tensor, start: int) -> dict[str, Tensor]:
    """The rows ``[..., T, S]`` as each kind of layer follows them: a sliding one reads no further back than its window.

    Raises:
        UnfitAttentionError: a layer keeps its past in a form other than keys and values.
    """
    kinds: list[str] | None = getattr(config, "layer_types", None)
    window: int | None = getattr(config, "sliding_window", None)
    if kinds is None:  # one kind of layer, which slides where the config has a window
        kinds = [FULL if window is None else SLIDING]
    if unknown := sorted(set(kinds) - {FULL, SLIDING}):
        raise UnfitAttentionError(
            f"the model has layers of kind {unknown[0]!r}, which follow no mask; only models whose layers all "
            "attend fit"
        )
    T, S = allowed.shape[-2:]
    q, kv = torch.arange(start, start + T, device=allowed.device)[:, None], torch.arange(S, device=allowed.device)
    near = allowed if window is None else allowed & (q - kv < window)
    return {kind: near if kind == SLIDING else allowed for kind in dict.fromkeys(kinds)}


def _form(implementation: str, allowed: Tensor, dtype: torch.dtype) -> AttentionMask:
    rows = allowed.view(-1, 1, *allowed.shape[-2:])  # (B, 1, T, S)
    if implementation == "eager":
        return torch.zeros(rows.shape, dtype=dtype, device=rows.device).masked_fill_(~rows, torch.finfo(dtype).min)
    if implementation == "sdpa":
        return rows
    B, _, T, S = rows.shape

    def rule(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        return rows[b if B > 1 else 0, 0, q, kv]

    return create_block_mask(rule, B, None, T, S, device=str(rows.device))


def block_sequence_ids(segments: Segments, *, sink: bool = True, system_as_query: bool = True) -> Tensor:
    """ISM as transformers' mask functions take it: ``create_causal_mask(..., block_sequence_ids=ids)``.

    Each query has its own id, and its tokens read each other both ways; -1 elsewhere means backwards only. One id for
    all of them would let the first question read the second.

    Args:
        segments: ``[T]`` or ``[B, T]``.
        sink: token 0 stays causal, as a pretrained causal model needs it to be for its attention sink.
        system_as_query: a system prompt reads both ways, too.

    Returns:
        LongTensor ``[B, T]``.
    """
    both_ways = segments.is_query if system_as_query else segments.is_query & ~segments.system
    if sink:
        both_ways = both_ways & (segments.position > 0)
    first = 0 if segments.document is None else segments.document * (int(segments.id.max()) + 1)
    return torch.where(both_ways, segments.id + first, NO_BLOCK).view(-1, len(segments))
