"""The GPT, on one screen: a decoder whose attention mask is an argument.

Pre-norm residual blocks (2002.04745) with RMSNorm (1910.07467), rotary positions (2104.09864),
squared-ReLU MLPs (2109.08668), tied input and output embeddings (1608.05859), no biases. Shapes: B
batch, T tokens of the chunk, S = positions before the chunk + T, C width, H heads, D = C / H.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mini_ism.cache import KVCache


@dataclass(frozen=True)
class GPTConfig:
    """The model's shape.

    Args:
        vocab_size: tokens in the vocabulary.
        context: positions a dialogue may have.
        layers, heads, width: blocks, heads a block, channels.
        token_shift: how many of the tokens just before it each embedding hears of (0 = none).
            Recall trains ten times faster with 2. It never goes round the mask: see
            :class:`TokenShift`.
        mask: the rule the model was trained with, for the record; :meth:`GPT.forward` takes any.
        rotary: share of each head's channels that turn with the position; the others match by content
            at any distance. A quarter, as in GPT-NeoX (2204.06745, section 2.1): look-ups are learned sooner.
        rope_base: wavelength base of the rotary positions.

    Raises:
        ValueError: a size is not positive, ``width`` does not divide into heads of an even width, or ``rotary`` is no
            share.
    """

    vocab_size: int = 512
    context: int = 512
    layers: int = 3
    heads: int = 4
    width: int = 80
    token_shift: int = 4
    mask: str = "causal"
    rotary: float = 0.25
    rope_base: float = 10_000.0

    def __post_init__(self) -> None:
        least = {"vocab_size": 1, "context": 1, "layers": 1, "heads": 1, "width": 1, "token_shift": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < bound:
                raise ValueError(f"GPTConfig.{name} must be a whole number from {bound} up, got {value!r}")
        if not 0 <= self.rotary <= 1:
            raise ValueError(f"GPTConfig.rotary is a share, from 0 to 1, got {self.rotary!r}")
        if self.width % (2 * self.heads):
            raise ValueError(
                f"width {self.width} does not divide into {self.heads} heads of an even width (rotary positions "
                f"turn channels in pairs); use a multiple of {2 * self.heads}"
            )

    @classmethod
    def preset(cls, name: str, **changes: Any) -> GPTConfig:
        """A named size, ``"tiny"`` (0.3M parameters) to ``"small"`` (10M), with other fields
        changed.

        Raises:
            ValueError: no such preset.
        """
        if name not in PRESETS:
            raise ValueError(f"unknown preset {name!r}; presets are {', '.join(PRESETS)}")
        return cls(**{**PRESETS[name], **changes})


PRESETS: dict[str, dict[str, int]] = {
    "tiny": {"layers": 3, "heads": 4, "width": 80},
    "mini": {"layers": 4, "heads": 4, "width": 128},
    "small": {"layers": 6, "heads": 6, "width": 384},
}
"""The named sizes of :meth:`GPTConfig.preset`."""


def rotate(x: Tensor, positions: Tensor, base: float, channels: int | None = None) -> Tensor:
    """Turn each pair of the first ``channels`` channels (default: all) by an angle that grows with the position.

    The product of a turned query and a turned key depends on their distance only (RoFormer, 2104.09864, section 3.2).
    ``[B, H, T, D]``, ``[T]`` -> ``[B, H, T, D]``.
    """
    half = (x.shape[-1] if channels is None else channels) // 2
    if half == 0:
        return x
    speeds = base ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)  # (D/2)
    angles = positions.float()[:, None] * speeds  # (T, D/2)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    left, right, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    return torch.cat([left * cos - right * sin, right * cos + left * sin, rest], dim=-1)  # (B, H, T, D)


class Attention(nn.Module):
    """Multi-head attention (1706.03762, section 3.2) in which the mask alone says who hears whom."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.heads, self.base = config.heads, config.rope_base
        self.turning = int(config.rotary * config.width / config.heads) // 2 * 2  # channels of a head, in pairs
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(
        self, x: Tensor, positions: Tensor, mask: Tensor | None, cache: KVCache | None, layer: int, maps: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Attend from a chunk ``x [B, T, C]`` at ``positions [T]``; with ``maps`` also the weights ``[B, H, T, S]``."""
        B, T, C = x.shape
        q, k, v = self.project(x, positions)  # (B, H, T, D) each
        if cache is not None:
            k, v = cache.write(layer, k, v)  # (B, H, S, D)
        weights = None
        if maps:  # the same attention, spelled out
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (B, H, T, S)
            weights = (scores if mask is None else scores.masked_fill(~mask, -math.inf)).softmax(-1)
            y = weights @ v  # (B, H, T, D)
        else:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # (B, H, T, D)
        return self.out(y.transpose(1, 2).reshape(B, T, C)), weights  # (B, T, C)

    def project(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys, turned to their positions, and values of a chunk: ``[B, H, T, D]`` each."""
        B, T, C = x.shape
        heads = self.qkv(x).view(B, T, 3 * self.heads, C // self.heads).transpose(1, 2)  # (B, 3H, T, D)
        q, k, v = heads.chunk(3, dim=1)
        return rotate(q, positions, self.base, self.turning), rotate(k, positions, self.base, self.turning), v


class MLP(nn.Module):
    """Two linear maps with a squared ReLU between them (Primer, 2109.08668)."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.width, 4 * config.width, bias=False)
        self.down = nn.Linear(4 * config.width, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Change each position by itself. ``[B, T, C]`` -> ``[B, T, C]``."""
        changed: Tensor = self.down(F.relu(self.up(x)).square())
        return changed


class Block(nn.Module):
    """Attention, then MLP, each on the normalised stream and added to it."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(config.width), nn.RMSNorm(config.width)
        self.attention, self.mlp = Attention(config), MLP(config)

    def forward(
        self, x: Tensor, positions: Tensor, mask: Tensor | None, cache: KVCache | None, layer: int, maps: bool
    ) -> tuple[Tensor, Tensor | None]:
        """As :meth:`Attention.forward`."""
        heard, weights = self.attention(self.norm1(x), positions, mask, cache, layer, maps)
        x = x + heard
        return x + self.mlp(self.norm2(x)), weights


class TokenShift(nn.Module):
    """Each token also hears, through a learned map, of the tokens just before it, *where the mask lets it see them*.

    A cousin of RWKV's token shift (2305.13048) and of Canon layers (2512.17351), which reach as far. "The key is in the
    box": *box* learns of *key* before any attention, which makes look-ups by neighbour easy to learn. Since the
    mask gates it, it opens no path that attention does not have.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(config.width, config.width, bias=False) for _ in range(config.token_shift))

    def forward(self, x: Tensor, before: Tensor, mask: Tensor) -> Tensor:
        """Add its predecessors to each of a chunk's embeddings ``x [B, T, C]``; ``before [B, P, C]`` precede the chunk.

        ``mask [B or 1, T, S]`` is the chunk's rows of the mask.
        """
        T, P, start = x.shape[1], before.shape[1], mask.shape[-1] - x.shape[1]
        row = torch.arange(T, device=x.device)  # (T)
        line = torch.cat([before, x], dim=1)  # (B, P + T, C)
        for back, project in enumerate(self.maps, start=1):
            column = start + row - back
            seen = mask[:, row, column.clamp(min=0)] & (column >= 0)  # (B or 1, T)
            x = x + project(line[:, (P + row - back).clamp(min=0)]) * seen[..., None].to(x.dtype)
        return x


class GPT(nn.Module):
    """A compact GPT whose attention mask is handed in with the tokens."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.width)
        self.shift = TokenShift(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width)
        self.apply(self._initialise)

    def _initialise(self, module: nn.Module) -> None:
        """Embeddings N(0, 1), maps N(0, 1 / fan-in), and head starts that make copying easy to learn.

        Embeddings are large, so that the first steps, which mostly learn how often each token is written, do not wash
        out which token is which; the output scales them back. Attention starts by looking for what resembles the
        reader, and by handing on what it finds (mimetic initialisation, 2305.09828). A shifted token starts half
        as itself, so that it resembles itself, too.
        """
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
        elif isinstance(module, MLP):
            nn.init.zeros_(module.down.weight)
        elif isinstance(module, TokenShift):
            for weight in module.parameters():
                weight.detach().mul_(0.7).add_(torch.eye(self.config.width) / 2)
        elif isinstance(module, Attention):
            q, k, v = module.qkv.weight.detach().chunk(3)
            k.copy_(q)
            module.out.weight.detach().copy_(v.T / 2)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embed.weight.device

    def forward(
        self,
        tokens: Tensor,
        mask: Tensor | None = None,
        cache: KVCache | None = None,
        *,
        at: Tensor | None = None,
        attention_maps: bool = False,
    ) -> Any:
        """Scores of the next token at every position.

        Args:
            tokens: LongTensor ``[B, T]``, the chunk that follows what ``cache`` holds.
            mask: BoolTensor ``[T, S]`` or ``[B, T, S]``, the chunk's rows, True = may attend;
                ``None`` = causal.
            cache: filled with the positions before the chunk; the chunk is added to it.
            at: BoolTensor ``[B, T]``: compute logits at these positions only.
            attention_maps: also return the attention weights of this very forward.

        Returns:
            Logits ``[B, T, V]``, or ``[N, V]`` for the N positions of ``at``; with
            ``attention_maps`` a pair of them and the weights ``[layers, B, H, T, S]``.

        Raises:
            TypeError: tokens are not integers, or the mask is not bool.
            ValueError: tokens out of range; a shape or the context does not fit; a row sees nothing.
        """
        start = 0 if cache is None else cache.length
        self._check(tokens, mask, start)
        T, S = tokens.shape[1], start + tokens.shape[1]
        positions = torch.arange(start, S, device=tokens.device)  # (T)
        rows = positions[:, None] >= torch.arange(S, device=tokens.device) if mask is None else mask.to(tokens.device)
        rows = rows.view(-1, T, S)  # (B or 1, T, S)

        P = min(self.config.token_shift, start)
        line = tokens if cache is None or P == 0 else torch.cat([cache.tokens[:, start - P : start], tokens], dim=1)
        embedded = self.embed(line)  # (B, P + T, C)
        x = self.shift(embedded[:, P:], embedded[:, :P], rows)  # (B, T, C)

        # A chunk that sees everything needs no mask: decoding, and under ISM a whole query over a warm cache.
        seen = None if cache is not None and bool(rows.all()) else rows[:, None]  # (B or 1, 1, T, S)
        maps = []
        for layer, block in enumerate(self.blocks):
            x, weights = block(x, positions, seen, cache, layer, attention_maps)
            maps.append(weights)
        if cache is not None:
            cache.advance(tokens)
        final = self.norm(x if at is None else x[at]) * self.config.width**-0.5  # (B, T, C) or (N, C)
        logits = F.linear(final, self.embed.weight)  # (B, T, V) or (N, V)
        return (logits, torch.stack(maps)) if attention_maps else logits

    def _check(self, tokens: Any, mask: Any, start: int) -> None:
        if not isinstance(tokens, Tensor) or tokens.dtype != torch.long:
            raise TypeError(f"tokens must be a LongTensor [B, T], got {getattr(tokens, 'dtype', tokens)}")
        if tokens.ndim != 2 or 0 in tokens.shape:
            raise ValueError(
                f"tokens must be a LongTensor [B, T] with T >= 1, got {tuple(tokens.shape)}"
                + ("; add a batch dimension with tokens[None]" if tokens.ndim == 1 else "")
            )
        low, high = (int(bound) for bound in tokens.aminmax())
        if low < 0 or high >= self.config.vocab_size:
            raise ValueError(
                f"token {low if low < 0 else high} is out of range: the model knows 0 to {self.config.vocab_size - 1}; "
                "use its own tokenizer, or make it with GPTConfig(vocab_size=tokenizer.n_vocab)"
            )
        B, T = tokens.shape
        S = start + T
        if self.config.context < S:
            raise ValueError(f"{start} cached + {T} new positions exceed the model's context of {self.config.context}")
        if mask is None:
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

    # -- what it costs -----------------------------------------------------------------------------

    def new_cache(self, batch: int = 1, capacity: int | None = None) -> KVCache:
        """An empty cache for this model, by default with room for its whole context."""
        c, weight = self.config, self.embed.weight
        capacity = c.context if capacity is None else capacity
        shape = (c.layers, c.heads, c.width // c.heads)
        return KVCache(*shape, batch=batch, capacity=capacity, device=weight.device, dtype=weight.dtype)

    def flops(self, tokens: int, pairs: int, logits: int = 1) -> int:
        """Floating-point operations of a forward, a multiply and an add counted as two; norms and
        softmax are left out.

        Args:
            tokens: positions computed.
            pairs: (query, key) pairs computed by each head, ``T * S`` for a dense chunk.
            logits: positions whose scores are computed.
        """
        c = self.config
        per_token = c.layers * (4 + 8) * c.width**2 + c.token_shift * c.width**2
        return 2 * (tokens * per_token + pairs * 2 * c.layers * c.width + logits * c.width * c.vocab_size)

    def kv_bytes(self, positions: int) -> int:
        """Bytes that the keys and values of so many positions take."""
        return 2 * self.config.layers * self.config.width * positions * self.embed.weight.element_size()

    def parameter_count(self) -> int:
        """How many numbers training moves."""
        return sum(p.numel() for p in self.parameters())
