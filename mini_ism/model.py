"""The GPT: a decoder whose attention mask is an argument.

Pre-norm residual blocks (2002.04745) with RMSNorm (1910.07467), rotary positions (2104.09864), squared-ReLU MLPs
(2109.08668), tied input and output embeddings (1608.05859), no biases. Shapes: B batch, T tokens of the chunk,
S = positions before the chunk + T, C width, H heads, D = C / H, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask

from mini_ism.cache import KVCache
from mini_ism.checks import check_kind
from mini_ism.config import GPTConfig
from mini_ism.functional import (
    Rotary,
    apply_rotary,
    attention_scores,
    attention_weights,
    block_attention,
    matrix,
    rms_norm,
    rotary_table,
    rule_at,
)
from mini_ism.interfaces import weights_version
from mini_ism.model_inputs import check_inputs, check_outputs


@dataclass
class LayerInputs:
    """What every layer receives besides the residual stream.

    Args:
        rotary: the rotations for the chunk's positions.
        mask: BoolTensor ``[B or 1, 1, T, S]``, or a ``BlockMask``; ``None`` = everything may be seen.
        cache: the keys and values of the positions before the chunk.
        scores, attentions: lists, if given, to which each layer appends its scores (before the mask) and its weights.
    """

    rotary: Rotary
    mask: Tensor | BlockMask | None
    cache: KVCache | None = None
    scores: list[Tensor] | None = None
    attentions: list[Tensor] | None = None


class Attention(nn.Module):
    """Multi-head attention (1706.03762, section 3.2) in which the mask alone decides who attends to whom."""

    def __init__(self, config: GPTConfig, layer: int = 0) -> None:
        super().__init__()
        self.heads, self.layer = config.heads, layer
        self.qkv = matrix(3 * config.width, config.width)
        self.out = matrix(config.width, config.width)

    def forward(self, x: Tensor, inputs: LayerInputs) -> Tensor:
        """Attend from a chunk: ``[B, T, C]`` -> ``[B, T, C]``."""
        B, T, C = x.shape
        H = self.heads
        heads = F.linear(x, self.qkv).view(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4)  # (3, B, H, T, D)
        q, k = apply_rotary(heads[:2], inputs.rotary).unbind()  # (B, H, T, D) each
        v = heads[2]  # (B, H, T, D)
        if inputs.cache is not None:
            k, v = inputs.cache.write(self.layer, k, v)  # (B, H, S, D)
        if isinstance(inputs.mask, BlockMask):
            y = block_attention(q, k, v, inputs.mask)  # (B, H, T, D)
        elif inputs.attentions is None:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=inputs.mask)  # (B, H, T, D)
        else:
            y = self.spelled_out(q, k, inputs.mask, inputs) @ v  # (B, H, T, D)
        return F.linear(y.transpose(1, 2).reshape(B, T, C), self.out)  # (B, T, C)

    def spelled_out(self, q: Tensor, k: Tensor, mask: Tensor | None, inputs: LayerInputs) -> Tensor:
        """The same attention step by step: its weights ``[B, H, T, S]``, kept in the lists that were given."""
        scores = attention_scores(q, k)  # (B, H, T, S)
        weights = attention_weights(scores, mask)  # (B, H, T, S)
        for kept, found in ((inputs.scores, scores), (inputs.attentions, weights)):
            if kept is not None:
                kept.append(found)
        return weights


class MLP(nn.Module):
    """Two linear maps with a squared ReLU between them (Primer, 2109.08668)."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.up = matrix(4 * config.width, config.width)
        self.down = matrix(config.width, 4 * config.width)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each position on its own: ``[..., C]`` -> ``[..., C]``."""
        h = F.relu(F.linear(x, self.up))  # (..., 4 C)
        return F.linear(h * h, self.down)


class Block(nn.Module):
    """Attention, then the MLP: each reads the normalised residual stream, and its output is added to the stream."""

    def __init__(self, config: GPTConfig, layer: int = 0) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.Parameter(torch.ones(config.width)) for _ in range(2))
        self.attention, self.mlp = Attention(config, layer), MLP(config)

    def forward(self, x: Tensor, inputs: LayerInputs, at: Tensor | None = None) -> Tensor:
        """``[B, T, C]`` -> ``[B, T, C]``, or ``[N, C]`` for the N of the B * T positions that ``at`` lists."""
        y = self.attention(rms_norm(x, self.norm1), inputs)  # (B, T, C)
        if at is not None:
            x, y = (each.flatten(0, 1).index_select(0, at) for each in (x, y))  # (N, C)
        x = x + y
        x = x + self.mlp(rms_norm(x, self.norm2))
        return x


class TokenShift(nn.Module):
    """Adds to each token, through a learned map, the tokens just before it, *where the mask lets it see them*.

    Related to RWKV's token shift (2305.13048) and to Canon layers (2512.17351). In "The key is in the box", *box* knows
    about *key* before any attention, which makes look-ups by neighbour easy to learn. Gated by the mask, it opens no
    path that attention does not have.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.reach = config.token_shift
        self.weight = nn.Parameter(torch.zeros(config.width, self.reach * config.width))  # the nearest token first

    def forward(self, line: Tensor, T: int, mask: Tensor | BlockMask | None) -> Tensor:
        """Add their predecessors to the last T embeddings of a ``line [B, P + T, C]`` -> ``[B, T, C]``.

        ``mask [B or 1, T, S]`` holds the mask's rows for the chunk, or is a ``BlockMask``; ``None`` = all may be seen.
        """
        x = line[:, -T:]  # (B, T, C)
        if self.reach == 0:
            return x
        missing = self.reach + T - line.shape[1]  # predecessors that the dialogue's beginning has not
        if missing:
            line = F.pad(line, (0, 0, missing, 0))  # (B, reach + T, C)
        near = torch.stack([line.narrow(1, self.reach - back, T) for back in range(1, self.reach + 1)], dim=2)
        if mask is not None:
            near = near * self._gates(mask, T, x.device)[..., None]  # (B, T, reach, C)
        return x + F.linear(near.flatten(2), self.weight)  # (B, T, reach, C) -> (B, T, reach * C) -> (B, T, C)

    def _gates(self, mask: Tensor | BlockMask, T: int, device: torch.device) -> Tensor:
        """Whether the mask lets each token see each of its predecessors, the nearest first: ``[B or 1, T, reach]``."""
        row = torch.arange(T, device=device)[:, None]  # (T, 1)
        place = row + (mask.shape[-1] - T)  # in the dialogue
        before = place - torch.arange(1, self.reach + 1, device=device)  # (T, reach)
        before = before.clamp(min=0)  # a column before the start stands for padding, which is 0
        return mask[:, row, before] if isinstance(mask, Tensor) else rule_at(mask, place, before)


class GPT(nn.Module):
    """A compact GPT whose attention mask is passed in with the tokens."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        check_kind("config", config, GPTConfig, 'of a named size take GPTConfig.preset("tiny")')
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.width)
        self.shift = TokenShift(config)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.norm = nn.Parameter(torch.ones(config.width))
        self.apply(self._initialise)
        rotary = rotary_table(torch.arange(config.context), config.head_dim, config.rotary_dim, config.rope_theta)
        self.register_buffer("cos", rotary.cos, persistent=False)  # (context, D)
        self.register_buffer("sin", rotary.sin, persistent=False)

    def _initialise(self, module: nn.Module) -> None:
        """Embeddings N(0, 1), linear maps N(0, 1 / fan-in), and a head start that makes copying easy to learn.

        Embeddings are large, so that the first steps, which mostly learn token frequencies, do not blur which token is
        which; the output scales them back. Attention starts out attending to tokens that resemble the query and copying
        them (mimetic initialisation, 2305.09828). The token shift starts near half the identity for the nearest four
        tokens and at zero beyond them: the sum of more would drown the token itself and delay learning.
        """
        std = self.config.width**-0.5
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight)
        elif isinstance(module, MLP):
            nn.init.normal_(module.up, std=std)
            nn.init.zeros_(module.down)
        elif isinstance(module, TokenShift):
            itself = torch.eye(self.config.width).repeat(1, module.reach) / 2
            module.weight.detach().normal_(std=0.7 * std).add_(itself)[:, 4 * self.config.width :] = 0
        elif isinstance(module, Attention):
            nn.init.normal_(module.qkv, std=std)
            q, k, v = module.qkv.detach().chunk(3)
            k.copy_(q)
            module.out.detach().copy_(v.T / 2)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embed.weight.device

    def version(self) -> object:
        """Changes whenever a weight does; see :func:`~mini_ism.interfaces.weights_version`."""
        return weights_version(self)

    def forward(
        self,
        tokens: Tensor,
        mask: Tensor | BlockMask | None = None,
        cache: KVCache | None = None,
        *,
        logits_at: Tensor | None = None,
        output_attentions: list[Tensor] | None = None,
        output_scores: list[Tensor] | None = None,
    ) -> Tensor:
        """Logits of the next token at every position.

        Args:
            tokens: LongTensor ``[B, T]``, the chunk that follows what ``cache`` holds.
            mask: BoolTensor ``[T, S]`` or ``[B, T, S]``, the chunk's rows, True = may attend; or, without a cache,
                FlexAttention's ``BlockMask``, from :meth:`Mask.block_mask`; ``None`` = causal.
            cache: holds the positions before the chunk; the chunk is appended to it.
            logits_at: BoolTensor ``[B, T]``: compute logits at these positions only.
            output_attentions: a list to which each layer appends the attention weights ``[B, H, T, S]`` of this
                forward pass.
            output_scores: with ``output_attentions``, a list for the scores before masking.

        Returns:
            Logits ``[B, T, V]``, or ``[N, V]`` for the N positions of ``logits_at``.

        Raises:
            TypeError: tokens are not integers, or the mask or ``logits_at`` is not bool.
            ValueError: tokens are out of range; a shape, the context or an output does not fit; a row sees nothing.
        """
        start = 0 if cache is None else cache.length
        check_inputs(self.config, tokens, mask, start, None if cache is None else cache.tokens.shape[0])
        check_outputs(tokens, mask, logits_at, output_attentions, output_scores)
        if mask is None:
            mask = tokens.new_ones(tokens.shape[1], start + tokens.shape[1], dtype=torch.bool).tril(start)
        # A chunk that sees everything needs no mask: decoding, and under ISM a whole query over a warm cache.
        if cache is not None and isinstance(mask, Tensor) and bool(mask.all()):
            mask = None
        return self.compute(tokens, mask, cache, logits_at, output_attentions, output_scores)

    def compute(
        self,
        tokens: Tensor,
        mask: Tensor | BlockMask | None,
        cache: KVCache | None,
        logits_at: Tensor | slice | None = None,
        output_attentions: list[Tensor] | None = None,
        output_scores: list[Tensor] | None = None,
    ) -> Tensor:
        """The forward pass itself, for callers whose arguments are known to fit, such as the chat engine.

        As :meth:`forward`, except that ``mask=None`` lets the whole chunk see everything so far, itself included, and
        that ``logits_at`` may be a slice, which selects N of the chunk's positions for logits ``[B, N, V]``.
        """
        T, start = tokens.shape[1], 0 if cache is None else cache.length
        rows = seen = mask
        if isinstance(mask, Tensor):
            rows = mask.to(tokens.device).view(-1, T, start + T)  # (B or 1, T, S)
            seen = rows[:, None]  # (B or 1, 1, T, S)
        P = min(self.config.token_shift, start)
        line = tokens if cache is None or P == 0 else torch.cat([cache.tokens.narrow(1, start - P, P), tokens], dim=1)
        x = self.shift(self.embed(line), T, rows)  # (B, P + T, C) -> (B, T, C)

        rotary = Rotary(self.cos[start : start + T], self.sin[start : start + T], self.config.rotary_dim // 2)
        inputs = LayerInputs(rotary, seen, cache, output_scores, output_attentions)
        # After the last attention no position affects another, so only the requested ones go on.
        at = logits_at.flatten().nonzero()[:, 0] if isinstance(logits_at, Tensor) else None  # (N)
        for layer, block in enumerate(self.blocks, 1):
            x = block(x, inputs, at if layer == self.config.layers else None)  # (B, T, C), at last (N, C)
        if cache is not None:
            cache.advance(tokens)
        if isinstance(logits_at, slice):
            x = x[:, logits_at]  # (B, N, C)
        return F.linear(rms_norm(x, self.norm) * self.config.width**-0.5, self.embed.weight)  # (..., V)

    # -- what it costs -----------------------------------------------------------------------------

    def new_cache(self, batch: int = 1, capacity: int | None = None) -> KVCache:
        """An empty cache for this model, by default with room for its whole context."""
        c, w, room = self.config, self.embed.weight, self.config.context if capacity is None else capacity
        return KVCache(c.layers, c.heads, c.head_dim, batch=batch, capacity=room, device=w.device, dtype=w.dtype)

    def flops(self, tokens: int, pairs: int, logits: int = 1) -> int:
        """Floating-point operations of a forward, a multiply and an add counted as two; norms and softmax are left out.

        Args:
            tokens: positions computed.
            pairs: (query, key) pairs computed by each head, ``T * S`` for a dense chunk.
            logits: positions whose logits are computed.
        """
        c = self.config
        per_token = c.layers * (4 + 8) * c.width**2 + c.token_shift * c.width**2
        return 2 * (tokens * per_token + pairs * 2 * c.layers * c.width + logits * c.width * c.vocab_size)

    def kv_bytes(self, positions: int) -> int:
        """Bytes that the keys and values of this many positions take."""
        return 2 * self.config.layers * self.config.width * positions * self.embed.weight.element_size()

    def parameter_count(self) -> int:
        """How many trainable parameters the model has."""
        return sum(p.numel() for p in self.parameters())
