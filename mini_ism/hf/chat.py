"""A conversation with a Hugging Face chat model under any rule, over one cache, exact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mini_ism.chat import ChatSession
from mini_ism.dialogue import Message
from mini_ism.hf.model import HFModel
from mini_ism.hf.template import ChatTemplate
from mini_ism.mask import Mask

DEFAULT_MASK = "ism(sink=True)"
"""ISM, with token 0 causal: pretrained causal models use it as an attention sink."""

WITH_SINK = {"causal": "causal", "prefix": "prefix & ((kv <= q) | (s.position[q] > 0))", "ism": DEFAULT_MASK}
"""The masks of the course, each with token 0 of every dialogue causal."""


class HFChatSession(ChatSession):
    """A :class:`~mini_ism.ChatSession` with a transformers model and tokenizer.

    The rule decides what the cache keeps from turn to turn: under causal and ISM a turn computes only what is new,
    under prefix everything again.

    Args:
        model: a causal language model, or an :class:`HFModel`.
        tokenizer: with a chat template, or a :class:`ChatTemplate`.
        mask: a name, an expression or a :class:`~mini_ism.Mask`; default, ISM with token 0 causal. ``"ism"`` lets token
            0 read ahead, which degrades a model that was trained causally.
        system, messages, chunk: as :class:`~mini_ism.ChatSession` has them.
        context: positions the conversation may have; default, the model's own limit, at most 4,096.

    Raises:
        TypeError, ValueError: an argument does not fit. A template without borders raises a :class:`TemplateError`, an
            attention that would drop the mask an :class:`UnfitAttentionError`.
    """

    model: HFModel  # type: ignore[assignment]  # everything else is as in a session with a GPT
    tokenizer: ChatTemplate  # type: ignore[assignment]

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        mask: str | Mask = DEFAULT_MASK,
        *,
        system: str | None = None,
        messages: Sequence[Message] | None = None,
        chunk: int | None = None,
        context: int | None = None,
    ) -> None:
        if isinstance(model, HFModel) and context is not None:
            raise ValueError("the context belongs to the HFModel that is handed in; set it there")
        self.model = model if isinstance(model, HFModel) else HFModel(model, context)
        self.tokenizer = tokenizer if isinstance(tokenizer, ChatTemplate) else ChatTemplate(tokenizer)
        self._start(self.model, self.tokenizer, mask, system, messages, chunk)
