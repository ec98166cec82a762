"""What no step can leave out: its matrix products and its attention, with nothing around them.

A step cannot be faster than these without fewer operations or better kernels. So they show how much a leaner program
could still gain, and which ratios no program can reach.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.timing import Step
from mini_ism import GPT


def reading_floor(model: GPT, computed: int, seen: int) -> Step:
    """The products and the attention of a forward over a cache, for one position's logits.

    Args:
        model: whose shape and weights are used.
        computed: positions of the chunk; if it begins the conversation, it is read under a mask.
        seen: those before it, and the chunk itself.
    """
    products = [*_products(model, computed, computed, 1)]
    c = model.config
    q = torch.randn(1, c.heads, computed, c.head_dim)
    k, v = torch.randn(2, 1, c.heads, seen, c.head_dim)
    mask = torch.ones(seen, seen).tril().bool() if computed == seen else None

    @torch.inference_mode()
    def step() -> None:
        for weight, x in products:
            F.linear(x, weight)
        for _ in range(c.layers):
            F.scaled_dot_product_attention(q, k, v, attn_mask=mask)

    return step


def training_floor(model: GPT, mask: Tensor, targets: int) -> Step:
    """The products and the attention of a training step, forward and backward.

    Args:
        model: whose shape and weights are used.
        mask: BoolTensor ``[B, T, T]`` of the batch.
        targets: positions whose logits are computed; after its attention the last block computes only these.
    """
    B, T, _ = mask.shape
    products = [(w, x, x.new_zeros(len(x), len(w))) for w, x in _products(model, B * T, targets, targets)]
    c = model.config
    q, k, v = torch.randn(3, B, c.heads, T, c.head_dim, device=mask.device).requires_grad_().unbind()
    change = torch.ones_like(q)

    def step() -> None:
        with torch.no_grad():
            for weight, x, gradient in products:
                F.linear(x, weight)
                gradient @ weight
                gradient.t() @ x
        for _ in range(c.layers):
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None])
            torch.autograd.grad(y, (q, k, v), change)

    return step


def _products(model: GPT, positions: int, last: int, logits: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Each matrix of a model and what it is multiplied with, one row for each position that needs it.

    ``last`` positions go through the last block's MLP, and ``logits`` through the output.
    """
    rows = {"embed.weight": logits, **{f"blocks.{model.config.layers - 1}.mlp.{name}": last for name in ("up", "down")}}
    for name, weight in model.named_parameters():
        if weight.ndim == 2:
            yield weight.detach(), torch.randn(rows.get(name, positions), weight.shape[1], device=weight.device)
