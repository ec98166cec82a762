"""The shape of a GPT, and its named sizes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mini_ism.checks import check_fields


def _size(default: int, least: int = 1) -> int:
    """A size of the model, bounded so that no tensor has more elements than PyTorch can count."""
    sized: int = field(default=default, metadata={"range": {"least": least, "most": 2**24}})
    return sized


@dataclass(frozen=True)
class GPTConfig:
    """The model's shape. In nanoGPT's names: ``context`` is ``block_size``, ``layers`` ``n_layer``, ``heads``
    ``n_head``, ``width`` ``n_embd``; there is no dropout and no bias.

    Args:
        vocab_size: tokens in the vocabulary.
        context: the most positions a dialogue may have.
        layers, heads, width: blocks, heads per block, channels.
        token_shift: how many preceding tokens are mixed into each embedding (0 = none). Recall is learned ten times
            faster with 2. It never bypasses the mask: see :class:`TokenShift`.
        mask: the rule the model was trained with, for the record; :meth:`GPT.forward` takes any.
        rotary_pct: share of each head's channels that rotate with the position; the others match by content at any
            distance. A quarter, as in GPT-NeoX (2204.06745, section 2.1): look-ups are learned sooner.
        rope_theta: wavelength base of the rotary positions.

    Raises:
        TypeError: a field is not of its default's type; a whole number or a NumPy number is accepted for a float.
        ValueError: a field is out of range or not finite, or ``width`` does not divide into heads of an even width.
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
