"""HRM-Text over several turns: ``token_type_ids`` that still apply on a warm cache, and one block for each question.

HRM-Text (2605.20613) reads tokens that ``token_type_ids`` mark with 1 both ways. In transformers 5.24 that holds only
while the cache is empty; from the second turn on a question is silently read causally, and two questions marked in one
pass become a single block, so that the first answer is trained on what comes after it. The fix is two lines: a block
for each *run* of 1s, offset by the length of the cache.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mini_ism.hf.masks import NO_BLOCK, attention_mask


def heed_every_turn(model: nn.Module) -> RemovableHandle:
    """Make a model apply ``token_type_ids`` on every turn, in its forward and in ``generate``.

    A question must be passed in whole. The rest of the model's call stays the same, and a four-dimensional mask takes
    precedence over the marks. Call ``remove()`` on the returned handle to undo this.

    Raises:
        ValueError: the model takes no ``token_type_ids``, or is set to ignore them.
    """
    named: Any = model
    if "token_type_ids" not in inspect.signature(named.forward).parameters:
        raise ValueError(f"{type(model).__name__} takes no token_type_ids; pass it the rule's rows (attention_mask)")
    if not getattr(named.config, "prefix_lm", True):
        raise ValueError("the model's config says prefix_lm=False: it was trained causally, and ignores token_type_ids")
    return model.register_forward_pre_hook(_with_rows, with_kwargs=True)


def _with_rows(
    model: nn.Module, args: tuple[Any, ...], given: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    types, mask = given.get("token_type_ids"), given.get("attention_mask")
    if types is None or (mask is not None and not (isinstance(mask, Tensor) and mask.ndim == 2)):
        return args, given
    read = args[0] if args else given.get("input_ids")
    read = given.get("inputs_embeds") if read is None else read
    assert isinstance(read, Tensor)
    T, cache = read.shape[1], given.get("cache", given.get("past_key_values"))
    past = 0 if cache is None else int(cache.get_seq_length())
    columns = past + T if cache is None else int(cache.get_mask_sizes(T, 0)[0])
    rows = rows_of_runs(types[:, -T:], past, columns, mask)
    return args, {**given, "token_type_ids": None, "attention_mask": attention_mask(model, rows, past)}


def rows_of_runs(types: Tensor, past: int = 0, columns: int | None = None, padding: Tensor | None = None) -> Tensor:
    """The mask that the marks stand for: causal, and both ways inside each run of 1s.

    Args:
        types: integers ``[B, T]`` for the tokens being read, 1 for those of a question.
        past: positions that the cache holds.
        columns: S, the positions that it has room for; default, just ``past + T``.
        padding: ``[B, S]`` or shorter, 0 for positions that must not be read.

    Returns:
        BoolTensor ``[B, T, S]``, True = may attend.
    """
    B, T = types.shape
    S = past + T if columns is None else columns
    marked = types == 1
    starts = marked & ~nn.functional.pad(marked[:, :-1], (1, 0))
    blocks = torch.where(marked, starts.long().cumsum(-1), NO_BLOCK)  # (B, T)
    q, kv = torch.arange(past, past + T, device=types.device)[:, None], torch.arange(S, device=types.device)
    allowed = (kv <= q).repeat(B, 1, 1)  # (B, T, S)
    allowed[..., past : past + T] |= (blocks[:, :, None] == blocks[:, None, :]) & marked[:, :, None]
    if padding is not None:
        read = nn.functional.pad(padding.bool(), (0, max(0, S - padding.shape[1])))[:, None, :S]
        allowed &= read | (kv == q)  # padding sees itself, so that no row of the softmax is empty
    return allowed
