"""The shape of a GPT, its named sizes, and the check of what a model of that shape can be given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from mini_ism.checks import check_fields


def _size(default: int, least: int = 1) -> int:
    """A size of the model; no tensor of such sizes has more elements than PyTorch can count."""
    sized: int = field(default=default, metadata={"range": {"least": least, "most": 2**24}})
    return sized


@dataclass(frozen=True)
class GPTConfig:
    """The model's shape. In nanoGPT's names: ``context`` is ``block_size``, ``layers`` ``n_layer``, ``heads``
    ``n_head``, ``width`` ``n_embd``; there is no dropout and no bias.

    Args:
        vocab_size: tokens in the vocabulary.
        context: positions a dialogue may have.
        layers, heads, width: blocks, heads per block, channels.
        token_shift: how many of the tokens just before it each embedding hears of (0 = none). Recall trains ten times
            faster with 2. It never goes round the mask: see :class:`TokenShift`.
        mask: the rule the model was trained with, for the record; :meth:`GPT.forward` takes any.
        rotary_pct: share of each head's channels that rotate with the position; the others match by content at any
            distance. A quarter, as in GPT-NeoX (2204.06745, section 2.1): look-ups are learned sooner.
        rope_theta: wavelength base of the rotary positions.

    Raises:
        TypeError: a field is of another type than its default; a whole number, or NumPy's, may stand for a float.
        ValueError: a field is out of its range or not finite, or ``width`` does not divide into heads of an even width.
    """

    vocab_size: int = _size(512)
    context: int = _size(512)
    layers: int = _size(3)
    heads: int = _size(4)
    width: int = _size(80)
    token_shift: int = _size(4, least=0)
    mask: str = "causal"
    rotary_pct: float = field(default=0.25, metadata={"range": {"least": 0, "most": 1}})
    rope_theta: float = field(default=10_000.0, metadata={"range": {"least": 0, "above": True}})

    def __post_init__(self) -> None:
        check_fields(self, "GPTConfig.")
        if self.width % (2 * self.heads):
            raise ValueError(
                f"width {self.width} does not divide into {self.heads} heads of an even width (rotary positions "
                f"rotate channels in pairs); use a multiple of {2 * self.heads}"
            )

    @property
    def head_dim(self) -> int:
        """D, the channels of a head."""
        return self.width // self.heads

    @property
    def rotary_dim(self) -> int:
        """How many channels of a head rotate, in pairs."""
        return int(self.rotary_pct * self.head_dim) // 2 * 2

    @classmethod
    def preset(cls, name: str, **changes: Any) -> GPTConfig:
        """A named size, from ``"tiny"`` (0.3M parameters) to ``"billion"``, with other fields changed.

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
    "billion": {"layers": 20, "heads": 16, "width": 2048},
}
"""The named sizes of :meth:`GPTConfig.preset`."""


def check_inputs(config: GPTConfig, tokens: object, mask: object, start: int) -> None:
    """Refuse what :meth:`GPT.forward` cannot compute; see there for the errors."""
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
    if config.context < S:
        raise ValueError(f"{start} cached + {T} new positions exceed the model's context of {config.context}")
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
