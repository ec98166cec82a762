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
    """A :class:`~mini_ism.ChatSession` with a model and a tokenizer of transformers.

    What the cache keeps from turn to turn follows from the rule; a turn costs what is new under causal and ISM, and
    everything again under prefix.

    Args:
        model: a causal language model, or an :class:`HFModel`.
        tokenizer: with a chat template, or a :class:`ChatTemplate`.
        mask: a name, an expression or a :class:`~mini_ism.Mask`; default, ISM with token 0 causal. ``"ism"`` lets token
            0 read ahead, which a model that was trained causally does not survive unharmed.
        system, messages, chunk: as :class:`~mini_ism.ChatSession` has them.
        context: positions the conversation may have; default, as many as the model has, at most 4,096.

    Raises:
        TypeError, ValueError: an argument does not fit. A template without borders is a :class:`TemplateError`, an
            attention that would drop the mask an :class:`UnfitAttentionError`.
    """

    model: HFModel  # type: ignore[assignment]  # all else is as in a session with a GPT
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
