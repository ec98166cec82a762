"""What the heads of a Hugging Face model do in one forward pass, for the attention explorer and the notebooks' figures.

The model's own layers compute everything; only its attention is replaced, by one that records what it computes, scores
as well as weights. Each reading compares logits to check that the replacement matches the model's own attention.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mini_ism.attention_stats import AttentionRecord
from mini_ism.dialogue import EncodedDialogue, Message
from mini_ism.functional import attention_weights
from mini_ism.hf.chat import DEFAULT_MASK
from mini_ism.hf.loading import check_fits
from mini_ism.hf.masks import UnfitAttentionError, attention_mask
from mini_ism.hf.model import TOLERANCE, HFModel
from mini_ism.hf.template import ChatTemplate
from mini_ism.mask import Mask
from mini_ism.masks import get_mask

NAME = "mini_ism_recording"
"""The recording attention's name, as transformers knows it."""


class HFAttention:
    """A transformers causal language model as an :class:`~mini_ism.attention_stats.AttentionReader`.

    ``AttentionExplorer({"smollm2": HFAttention(model, template)})`` shows its heads. A model that calls its layers
    several times, as a recurrent one does, has as many layers here as calls.

    Args:
        model: a transformers model, or an :class:`~mini_ism.hf.HFModel`.
        tokenizer: with a chat template, or a :class:`~mini_ism.hf.ChatTemplate`.
        mask: the rule taken to be the model's own; default, ISM with token 0 causal.

    Raises:
        TypeError, ValueError: see :class:`~mini_ism.hf.HFChatSession`.
    """

    def __init__(self, model: Any, tokenizer: Any, mask: str | Mask = DEFAULT_MASK) -> None:
        self.model = model if isinstance(model, HFModel) else HFModel(model)
        self.template = tokenizer if isinstance(tokenizer, ChatTemplate) else ChatTemplate(tokenizer)
        self.tokenizer, self.mask = self.template.tokenizer, get_mask(mask)

    @property
    def context(self) -> int:
        """Positions it can read."""
        return self.model.config.context

    def encode(self, messages: Sequence[Message]) -> EncodedDialogue:
        """A dialogue in the model's chat template, ``[T]``."""
        return self.template.encode(messages)

    @torch.no_grad()
    def read(self, dialogue: EncodedDialogue, mask: Mask | None = None) -> AttentionRecord:
        """What its heads do with a dialogue ``[T]`` under a mask, default its own.

        Raises:
            ValueError: the dialogue does not fit the model.
            UnfitAttentionError: the model's attention needs more than queries, keys and a mask, such as capped scores.
        """
        inner = self.model.inner
        check_fits(inner, dialogue.tokens)
        allowed = (self.mask if mask is None else mask).dense(dialogue.segments)  # (T, T)
        tokens = dialogue.tokens[None].to(self.model.device)  # (1, T)
        rows = allowed.to(self.model.device)
        own, plain = attention_mask(inner, rows, 0), attention_mask(inner, rows, 0, "sdpa")
        wanted = inner(tokens, attention_mask=own, use_cache=False).logits[0].float()  # (T, V)
        with _recording(inner) as (scores, weights):
            logits = inner(tokens, attention_mask=plain, use_cache=False).logits[0].float()  # (T, V)
            if not scores or float((logits - wanted).abs().max()) > TOLERANCE * float(wanted.std()):
                raise UnfitAttentionError(
                    f"the attention of {type(inner).__name__} is more than queries, keys and a mask, so its maps would "
                    "not be the model's own"
                )
            return AttentionRecord(allowed, torch.cat(scores), torch.cat(weights), logits.cpu())


@contextmanager
def _recording(model: Any) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """While active, the model uses an attention that records each layer's scores and weights, ``[1, H, T, T]``."""
    from transformers import AttentionInterface

    scores: list[Tensor] = []
    weights: list[Tensor] = []

    def attend(
        module: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scaling: float | None = None, **_: Any
    ) -> tuple[Tensor, Tensor]:
        k, v = (part.repeat_interleave(q.shape[1] // part.shape[1], dim=1) for part in (k, v))  # (1, H, T, D)
        found = (q @ k.transpose(2, 3)).float() * (1 / math.sqrt(q.shape[-1]) if scaling is None else scaling)
        shares = attention_weights(found, mask)  # (1, H, T, T)
        scores.append(found.cpu())
        weights.append(shares.cpu())
        return (shares.to(v.dtype) @ v).transpose(1, 2).contiguous(), shares  # (1, T, H, D)

    AttentionInterface.register(NAME, attend)
    config = model.config.get_text_config()
    own, config._attn_implementation = config._attn_implementation, NAME
    try:
        yield scores, weights
    finally:
        config._attn_implementation = own
        scores.clear()  # transformers keeps the attention registered, and with it what it recorded
        weights.clear()
