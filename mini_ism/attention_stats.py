"""What the heads of a model did in one forward pass, and numbers that summarise a head.

These are measurements of a model, for pictures, notebooks and experiments alike; nothing here draws. Shapes: T tokens,
H heads, D channels per head.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import tiktoken
import torch
from torch import Tensor

from mini_ism.checks import check_kind
from mini_ism.dialogue import END, EncodedDialogue, Message, encode_dialogue
from mini_ism.interfaces import TextDecoder
from mini_ism.markers import marker_id
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.model import GPT


@dataclass(frozen=True, eq=False)
class AttentionRecord:
    """One dialogue as a model's heads read it under a mask.

    Args:
        allowed: BoolTensor ``[T, T]``, the mask, True = the row may attend to the column.
        scores: ``[layers, H, T, T]``, query times key over the square root of D, before the mask is applied.
        weights: ``[layers, H, T, T]``, the model's own attention weights: exactly 0 where the mask forbids, rows
            sum to 1.
        logits: ``[T, V]``, the next-token logits of the same forward pass.
    """

    allowed: Tensor
    scores: Tensor
    weights: Tensor
    logits: Tensor


A_MODEL = 'model, tokenizer = load_model("ism") gives one'
"""The remedy for whatever else was given."""


@torch.no_grad()
def read_attention(model: GPT, dialogue: EncodedDialogue, mask: str | Mask | None = None) -> AttentionRecord:
    """Let a model read a dialogue, and record what its heads did.

    Args:
        model: on any device.
        dialogue: one, with tensors ``[T]``.
        mask: any rule, even one the model has never seen; default, the one it was trained with.

    Raises:
        TypeError: the model, the dialogue or the mask is of another kind.
        ValueError: a batch was given, the mask cannot be read or does not fit, or the dialogue is longer than the
            model's context.
    """
    check_kind("model", model, GPT, A_MODEL)
    check_kind("dialogue", dialogue, EncodedDialogue, "encode_dialogue(messages, tokenizer) makes one")
    if dialogue.tokens.ndim != 1:
        raise ValueError(
            f"attention is read one dialogue at a time, tokens [T], but they have shape {tuple(dialogue.tokens.shape)}"
        )
    if len(dialogue) > model.config.context:
        raise ValueError(
            f"the dialogue's {len(dialogue)} tokens exceed the model's context of {model.config.context}; shorten a "
            "message or leave out its first turns"
        )
    rule = get_mask(model.config.mask if mask is None else mask)
    allowed = rule.dense(dialogue.segments)
    scores: list[Tensor] = []

    weights: list[Tensor] = []
    tokens = dialogue.tokens[None].to(model.device)  # (1, T)
    logits = model(tokens, allowed, output_attentions=weights, output_scores=scores)  # (1, T, V)
    return AttentionRecord(allowed.cpu(), torch.cat(scores).cpu(), torch.cat(weights).cpu(), logits[0].cpu())


@runtime_checkable
class AttentionReader(Protocol):
    """A model with its tokenizer, as the attention explorer needs them.

    :class:`GPTAttention` is one, ``mini_ism.hf.HFAttention`` another.
    """

    @property
    def mask(self) -> Mask:
        """The rule it was trained with."""

    @property
    def context(self) -> int:
        """Positions it can read."""

    @property
    def tokenizer(self) -> TextDecoder:
        """What turns tokens into text."""

    def encode(self, messages: Sequence[Message]) -> EncodedDialogue:
        """A dialogue as the model takes it, ``[T]``."""

    def read(self, dialogue: EncodedDialogue, mask: Mask | None = None) -> AttentionRecord:
        """What its heads do with a dialogue ``[T]`` under a mask, default its own."""


@dataclass(frozen=True, eq=False)
class GPTAttention:
    """A :class:`~mini_ism.GPT` with its tokenizer, as an :class:`AttentionReader`.

    Raises:
        TypeError: the model or the tokenizer is of another kind.
        ValueError: the tokenizer lacks the markers of a dialogue.
    """

    model: GPT
    tokenizer: tiktoken.Encoding

    def __post_init__(self) -> None:
        check_kind("model", self.model, GPT, A_MODEL)
        marker_id(self.tokenizer, END)

    @property
    def mask(self) -> Mask:
        """The rule it was trained with."""
        return get_mask(self.model.config.mask)

    @property
    def context(self) -> int:
        """Positions it can read."""
        return self.model.config.context

    def encode(self, messages: Sequence[Message]) -> EncodedDialogue:
        """A dialogue as the model takes it, ``[T]``."""
        return encode_dialogue(messages, self.tokenizer)

    def read(self, dialogue: EncodedDialogue, mask: Mask | None = None) -> AttentionRecord:
        """What its heads do with a dialogue; see :func:`read_attention`."""
        return read_attention(self.model, dialogue, mask)


# -- numbers ---------------------------------------------------------------------------------------


def entropy(weights: Tensor) -> Tensor:
    """The entropy of each row's attention, in bits: 0 = all on one token, log2(n) = evenly over n.

    ``[..., T, S]`` -> ``[..., T]``.
    """
    nats: Tensor = torch.special.entr(weights).sum(-1)
    return nats / math.log(2)


def look_ahead(weights: Tensor) -> Tensor:
    """The share of each row's attention that lies on later tokens: ``[..., T, T]`` -> ``[..., T]``.

    Raises:
        ValueError: the last two dimensions differ, so that "later" is not the upper triangle.
    """
    if weights.shape[-1] != weights.shape[-2]:
        raise ValueError(f"look_ahead needs the weights of all rows, [..., T, T], got {tuple(weights.shape)}")
    return weights.triu(1).sum(-1)


def may_look_ahead(allowed: Tensor) -> Tensor:
    """Which rows of a mask see a later token: ``[..., T, T]`` -> bool ``[..., T]``."""
    return allowed.triu(1).any(-1)


def look_ahead_share(weights: Tensor, allowed: Tensor) -> Tensor:
    """The mean of :func:`look_ahead` over the rows that may look ahead at all; 0 where none may.

    Averaging over all rows would say more about the mask (how many rows it lets look ahead) than about the head.

    Args:
        weights: ``[..., T, T]``.
        allowed: BoolTensor ``[T, T]``.

    Returns:
        ``[...]``, a share per head.
    """
    rows = may_look_ahead(allowed)
    return look_ahead(weights)[..., rows].mean(-1) if bool(rows.any()) else weights.new_zeros(weights.shape[:-2])


def uniform_attention(allowed: Tensor) -> Tensor:
    """The attention of a head that treats all tokens it sees alike: ``[..., T, S]``, rows sum to 1.

    A baseline: ``look_ahead_share(uniform_attention(allowed), allowed)`` is what the mask alone puts ahead.
    """
    return allowed / allowed.sum(-1, keepdim=True)
