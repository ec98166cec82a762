"""What the chat engine needs from a model, its cache and its tokenizer, so that it can use others than this package's.

:class:`~mini_ism.model.GPT`, :class:`~mini_ism.cache.KVCache` and ``tiktoken.Encoding`` fit as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.graph import increment_version
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

CacheT = TypeVar("CacheT")


def weights_version(model: nn.Module) -> tuple[object, ...]:
    """Where a model's weights are stored and how often they were written to, as PyTorch counts it for autograd.

    Writes through ``.data`` are not counted: write under ``torch.no_grad()`` instead.
    """
    return tuple((p.data_ptr(), 0 if p.is_inference() else p._version) for p in model.parameters())


def _count_writes(optimizer: Optimizer, *_: object) -> None:
    """Count an optimiser's writes, which fused optimisers do not do themselves."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            increment_version(parameter)


register_optimizer_step_post_hook(_count_writes)


class ChatConfig(Protocol):
    """A model's shape, as far as a conversation needs it."""

    @property
    def vocab_size(self) -> int:
        """Tokens in the model's vocabulary."""

    @property
    def context(self) -> int:
        """The most positions a conversation may have."""

    @property
    def mask(self) -> str:
        """The rule the model was trained with, for the record."""


class ChatCache(Protocol):
    """Keys and values of the positions that were read; see :class:`~mini_ism.cache.KVCache`."""

    length: int
    tokens: Tensor

    def truncate(self, length: int) -> None:
        """Keep only the first ``length`` positions."""

    def clone(self: CacheT) -> CacheT:
        """An independent copy."""


class ChatModel(Protocol):
    """A model that reads a chunk of tokens under some rows of a mask; see :class:`~mini_ism.model.GPT`."""

    @property
    def config(self) -> ChatConfig:
        """Its shape."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    def eval(self) -> object:
        """Switch to inference."""

    def version(self) -> object:
        """A value that changes whenever the model would compute different keys and values."""

    def new_cache(self) -> ChatCache:
        """An empty cache for this model."""

    def compute(self, tokens: Tensor, mask: Tensor | None, cache: Any, logits_at: slice) -> Tensor:
        """Read ``[1, T]`` tokens after the cache, under rows ``[T, S]``, None = all is seen; logits ``[1, N, V]``."""

    def flops(self, tokens: int, pairs: int) -> int:
        """Floating-point operations of a forward pass."""

    def kv_bytes(self, positions: int) -> int:
        """Bytes of this many positions' keys and values."""


class TextDecoder(Protocol):
    """Tokens to text, markers included; ``tiktoken.Encoding`` and the tokenizers of transformers fit."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The text that tokens spell."""


class Decoder(TextDecoder, Protocol):
    """Tokens to text and to bytes; see ``tiktoken.Encoding``."""

    @property
    def n_vocab(self) -> int:
        """Tokens in the vocabulary."""

    def decode_single_token_bytes(self, token: int) -> bytes:
        """The bytes of one token, which may be a part of a character."""


class ChatFormat(Decoder, Protocol):
    """A chat format, message by message; see :class:`~mini_ism.dialogue.DialogueFormat`."""

    @property
    def tokenizer(self) -> TextDecoder:
        """The underlying tokenizer, which decodes markers, too."""

    @property
    def end_ids(self) -> Sequence[int]:
        """Tokens that end an answer; the first one is appended to it."""

    @property
    def forbidden_ids(self) -> Sequence[int]:
        """Tokens that no answer contains."""

    def encode_message(self, role: str, text: str, before: Sequence[tuple[str, str]]) -> list[int]:
        """The tokens of a message that follows others, which are given as (role, text)."""
