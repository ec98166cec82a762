"""The arithmetic of a GPT, as functions of tensors: positions, norms, attention weights.

Shapes: B batch, H heads, T tokens of the chunk, S = positions before the chunk + T, C width, D = C / H.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, create_mask, flex_attention


class Rotary(NamedTuple):
    """What :func:`apply_rotary` needs for T positions: ``cos``, ``sin`` ``[T, D]`` and half the rotated width.

    Channel i rotates together with channel i + ``half``. Channels past 2 * ``half`` do not rotate: cos 1, sin 0.
    """

    cos: Tensor
    sin: Tensor
    half: int


def rotary_table(positions: Tensor, head_dim: int, rotary_dim: int | None = None, theta: float = 10_000.0) -> Rotary:
    """The rotations of RoFormer (2104.09864, section 3.2) for ``positions [T]``, in float32.

    The first ``rotary_dim`` channels of a head rotate (default: all).
    """
    half = (head_dim if rotary_dim is None else rotary_dim) // 2
    inv_freq = theta ** (-torch.arange(half, device=positions.device, dtype=torch.float32) / max(half, 1))  # (half)
    angles = positions.float()[:, None] * inv_freq  # (T, half)
    still = angles.new_zeros(len(positions), head_dim - 2 * half)  # (T, D - rotary_dim)
    cos = torch.cat([angles.cos(), angles.cos(), still + 1], dim=1)  # (T, D)
    sin = torch.cat([-angles.sin(), angles.sin(), still], dim=1)  # (T, D)
    return Rotary(cos, sin, half)


def apply_rotary(x: Tensor, rotary: Rotary) -> Tensor:
    """Rotate each pair of channels by an angle that grows with the position: ``[..., T, D]`` -> ``[..., T, D]``.

    The dot product of a rotated query and a rotated key depends on their positions only through the distance.
    """
    half = rotary.half
    first, second, still = x.split((half, half, x.shape[-1] - 2 * half), dim=-1)
    swapped = torch.cat([second, first, still], dim=-1)  # (..., T, D)
    return torch.addcmul(x * rotary.cos, swapped, rotary.sin)


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    """Scale each position's channels to a mean square of 1, then by ``weight [C]`` (1910.07467): ``[..., C]``."""
    # Via the vector's length, and without Python scalars in between, each of which costs as much as an operation:
    # on a CPU, F.rms_norm takes twice as long for a single token.
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)  # (..., 1)
    return x * weight / torch.add(TINY, length, alpha=x.shape[-1] ** -0.5)


TINY = torch.tensor(1e-6)
"""Added to the root mean square, so that an all-zero position stays zero."""


def attention_scores(q: Tensor, k: Tensor) -> Tensor:
    """``q [B, H, T, D]``, ``k [B, H, S, D]`` -> scaled products ``[B, H, T, S]`` (1706.03762, section 3.2.1)."""
    return q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])


def attention_weights(scores: Tensor, mask: Tensor | None) -> Tensor:
    """The softmax of scores ``[B, H, T, S]``, exactly 0 where ``mask [B or 1, 1, T, S]`` forbids."""
    return (scores if mask is None else scores.masked_fill(~mask, -math.inf)).softmax(-1)


def block_attention(q: Tensor, k: Tensor, v: Tensor, mask: BlockMask) -> Tensor:
    """FlexAttention, which skips the blocks that the mask leaves empty: ``[B, H, T, D]`` each.

    Compiled on a GPU. On the CPU it has no gradient, so train with a dense mask there.
    """
    q, k = q.to(v.dtype), k.to(v.dtype)  # under autocast, rotation has made them float32 again
    y: Tensor = _flex_attention(compiled=q.is_cuda)(q, k, v, block_mask=mask)
    return y


def rule_at(mask: BlockMask, q: Tensor, kv: Tensor) -> Tensor:
    """Evaluate the rule behind a block mask on pairs: ``q`` and ``kv``, broadcast to ``[...]`` -> ``[B, ...]``."""
    rows, columns = (each.flatten() for each in torch.broadcast_tensors(q, kv))  # (N) each

    def pair(b: Tensor, h: Tensor, n: Tensor, _: Tensor) -> Tensor:
        return mask.mask_mod(b, h, rows[n], columns[n])

    # Via create_mask, which can index by a scalar tensor under vmap; PyTorch 2.6's vmap alone cannot.
    allowed: Tensor = create_mask(pair, mask.shape[0], 1, len(rows), 1, device=q.device)  # (B, 1, N, 1)
    return allowed.view(-1, *torch.broadcast_shapes(q.shape, kv.shape))


@cache
def _flex_attention(*, compiled: bool) -> Callable[..., Any]:
    attend: Any = flex_attention
    return torch.compile(attend) if compiled else attend


def matrix(rows: int, columns: int) -> nn.Parameter:
    """A weight ``[rows, columns]``, initialised as in ``nn.Linear``: uniform within 1 / sqrt(columns)."""
    return nn.Parameter(nn.init.kaiming_uniform_(torch.empty(rows, columns), a=math.sqrt(5)))
