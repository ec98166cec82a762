"""A gallery of masks: presets and their relatives in other models, each with its rule and where it is used.

Every rule is text for :func:`~mini_ism.masks.get_mask`, so it can be typed into a Rule box as it stands. What a cache
keeps is computed from the rule, never hard-coded.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mini_ism.checks import whole_number
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.reuse import reusable
from mini_ism.segments import Segments

LENGTHS = (3, 6, 3, 6, 3, 4)
"""Tokens of the messages: system, user, assistant, user, assistant, user. The last arrives when the cache is filled."""


@dataclass(frozen=True)
class Exhibit:
    """A mask in the gallery.

    Args:
        name: what it is usually called.
        rule: the mask as text.
        lives: models or engines that use it, with the source.
        packed: show it on two dialogues in one row, the system prompt's and the rest.
    """

    name: str
    rule: str
    lives: str
    packed: bool = False

    @property
    def mask(self) -> Mask:
        """The rule as a mask."""
        return get_mask(self.rule)

    @property
    def segments(self) -> Segments:
        """What it is shown on, ``[T]``: all messages but the last."""
        return gallery_segments(len(LENGTHS) - 1, packed=self.packed)

    @property
    def kept(self) -> tuple[int, int]:
        """How many cached positions are still right when the last message comes, and how many there are."""
        now = gallery_segments(len(LENGTHS), packed=self.packed)
        return reusable(self.mask, self.segments, now), len(self.segments)


def gallery_segments(messages: int, *, packed: bool = False) -> Segments:
    """The segments of the gallery's first messages.

    Args:
        messages: how many.
        packed: make the first two messages a dialogue of their own in the same row.

    Raises:
        TypeError, ValueError: the gallery has no such number of messages.
    """
    messages = whole_number("messages", messages, 1, len(LENGTHS))
    ids = torch.arange(messages).repeat_interleave(torch.tensor(LENGTHS[:messages]))  # (T)
    document = (ids > 1).long() if packed else None
    return Segments(id=ids, is_query=(ids == 0) | (ids % 2 == 1), is_system=ids == 0, document=document)


GALLERY = (
    Exhibit("causal", "kv <= q", "GPT-2 and nearly every chat model since"),
    Exhibit("bidirectional", "bidirectional", "encoders such as BERT (1810.04805)"),
    Exhibit("prefix", "(kv <= q) | (kv < s.last_query_end[q])", "UniLM (1905.03197), T5's prefix-LM (1910.10683)"),
    Exhibit("first query only", "causal | (same_query & (s.id[q] <= 1))", "HRM-Text (2605.20613) in transformers 5.24"),
    Exhibit("ISM", "(kv <= q) | (s.is_query[q] & (s.id[q] == s.id[kv]))", "this course (2408.00539)"),
    Exhibit("ISM with a sink", "ism(sink=True)", "ISM on weights that were trained causally"),
    Exhibit("MAS", "mas", "Llama 3 tuned to read its prompts both ways (2412.18487)"),
    Exhibit("image block", "causal | inside(1)", "Gemma 3, Transfusion (2408.11039); message 1 is the image"),
    Exhibit("sliding window", "causal & sliding_window(6)", "Mistral 7B (2310.06825)"),
    Exhibit("window and sink", "causal & (sliding_window(6) | sink(2))", "StreamingLLM (2309.17453)"),
    Exhibit("strided", "(kv <= q) & ((q - kv < 4) | ((q - kv) % 4 == 0))", "Sparse Transformer (1904.10509)"),
    Exhibit("block diffusion", "kv // 4 <= q // 4", "BD3-LM (2503.09573), blocks of 4"),
    Exhibit("document", "causal & same_document", "packed training rows, a FlexAttention example", packed=True),
)
