"""Checks of what a model is given, and of what it is asked to return."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from mini_ism.config import GPTConfig


def check_inputs(config: GPTConfig, tokens: object, mask: object, start: int, rows: int | None = None) -> None:
    """Refuse what :meth:`GPT.forward` cannot read after ``start`` positions of a cache for ``rows`` rows.

    See there for the errors.
    """
    if not isinstance(tokens, Tensor) or tokens.dtype != torch.long:
        raise TypeError(f"tokens must be a LongTensor [B, T], got {getattr(tokens, 'dtype', tokens)}")
    if tokens.ndim != 2 or 0 in tokens.shape:
        raise ValueError(
            f"tokens must be a LongTensor [B, T] with T >= 1, got {tuple(tokens.shape)}"
            + ("; add a batch dimension with tokens[None]" if tokens.ndim == 1 else "")
        )
    low, high = (int(bound) for bound in tokens.aminmax())
    if low < 0 or high >= config.vocab_size:
        raise ValueError(
            f"token {low if low < 0 else high} is out of range: the model knows 0 to {config.vocab_size - 1}; "
            "use its own tokenizer, or make it with GPTConfig(vocab_size=tokenizer.n_vocab)"
        )
    B, T = tokens.shape
    S = start + T
    if rows not in (None, B):
        raise ValueError(f"the cache holds {rows} rows, but the tokens are [{B}, {T}]; use model.new_cache({B})")
    if config.context < S:
        raise ValueError(
            f"{start} cached + {T} new positions exceed the model's context of {config.context}; leave out the first "
            "turns of the dialogue"
        )
    if mask is None:
        return
    if isinstance(mask, BlockMask):
        if start or mask.shape[0] not in (1, B) or tuple(mask.shape[-2:]) != (T, T):
            raise ValueError(
                f"the block mask is for a batch of {mask.shape[0]} with {tuple(mask.shape[-2:])} positions, but the "
                f"tokens are [{B}, {T}] after {start} cached ones; block masks serve whole sequences, without a cache"
            )
        return
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        raise TypeError(
            f"the mask must be a bool tensor (True = may attend), got {getattr(mask, 'dtype', mask)}; "
            'of a rule take its matrix: get_mask("ism").dense(segments)'
        )
    if tuple(mask.shape) not in {(T, S), (1, T, S), (B, T, S)}:
        raise ValueError(
            f"the mask has shape {tuple(mask.shape)}, but {T} new tokens after {start} cached ones need "
            f"[{T}, {S}] or [{B}, {T}, {S}]: a row for each new token, a column for each token so far"
        )
    if not bool((some := mask.any(-1)).all()):
        raise ValueError(f"row {(~some).nonzero()[0].tolist()} of the mask sees nothing; let it see itself")


def check_outputs(tokens: Tensor, mask: object, logits_at: object, attentions: object, scores: object) -> None:
    """Refuse what :meth:`GPT.forward` cannot return; see there for the errors."""
    if scores is not None and attentions is None:
        raise ValueError("output_scores need output_attentions, too; give a list for each")
    if attentions is not None and isinstance(mask, BlockMask):
        raise ValueError("a block mask keeps no attentions; give the dense mask, get_mask(...).dense(segments)")
    if logits_at is None:
        return
    if not isinstance(logits_at, Tensor) or logits_at.dtype != torch.bool:
        got = getattr(logits_at, "dtype", logits_at)
        raise TypeError(f"logits_at must be a BoolTensor [B, T], True = compute logits there, got {got}")
    if logits_at.shape != tokens.shape:
        raise ValueError(
            f"logits_at has shape {tuple(logits_at.shape)}, but the tokens are {list(tokens.shape)}; "
            "it needs a value for each token"
        )
