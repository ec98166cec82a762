"""Reading a conversation chunk by chunk, with any way of calling a model, and with small changes to what is read.

:mod:`mini_ism.hf.doctor` compares the results. A model is called as its user would call it; only the output of its
embedding is changed, so that nothing between there and the scores can tell the difference.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask

from mini_ism.hf.masks import FIT, attention_mask
from mini_ism.mask import Mask
from mini_ism.model import GPT
from mini_ism.segments import Segments


@dataclass(frozen=True, eq=False)
class Chunk:
    """A stretch of a conversation that is read in one forward pass.

    Args:
        model: the model that reads it.
        mask: the declared rule.
        segments: ``[stop]``, of everything up to the chunk's end.
        start, stop: its positions in the conversation.
        padding: columns left of position 0; the first chunk holds them.
        capacity: columns of a cache that is allocated in full from the start; 0 if it grows.
    """

    model: Any
    mask: Mask
    segments: Segments
    start: int
    stop: int
    padding: int = 0
    capacity: int = 0

    @property
    def first(self) -> int:
        """The chunk's first column, padding counted."""
        return self.start + self.padding if self.start else 0

    @property
    def last(self) -> int:
        """One past its last column."""
        return self.stop + self.padding

    @cached_property
    def rows(self) -> Tensor:
        """The declared rule, BoolTensor ``[T, S]``, True = may attend; padding sees, and is seen by, only itself."""
        allowed = torch.eye(self.last, max(self.capacity, self.last), dtype=torch.bool)
        allowed[self.padding :, self.padding : self.last] = self.mask.dense(self.segments)
        return allowed[self.first : self.last]

    @property
    def positions(self) -> Tensor:
        """The position of each token in the conversation, LongTensor ``[1, T]``; 0 for padding."""
        return (torch.arange(self.first, self.last)[None] - self.padding).clamp(min=0)

    @property
    def is_query(self) -> Tensor:
        """Whether each token is a question's, BoolTensor ``[1, T]``; not for padding."""
        padded = torch.cat([torch.zeros(self.padding, dtype=torch.bool), self.segments.is_query])
        return padded[None, self.first : self.last]

    @property
    def not_padding(self) -> Tensor:
        """What transformers calls a two-dimensional attention mask: LongTensor ``[1, S]``, 0 for padding."""
        return (torch.arange(self.last)[None] >= self.padding).long()


Call = Callable[[Chunk], Mapping[str, object]]
"""A way of calling a model: the keyword arguments for a chunk, apart from the tokens and the cache."""


def by_rows(chunk: Chunk) -> dict[str, object]:
    """The rule's own rows, in the form that the model takes: the way that is correct on every turn."""
    if isinstance(chunk.model, GPT):
        return {"mask": chunk.rows}
    return {"attention_mask": attention_mask(chunk.model, chunk.rows, chunk.first), "position_ids": chunk.positions}


def by_default(chunk: Chunk) -> dict[str, object]:
    """No mask except for padding, as ``generate`` calls a causal model."""
    return {"attention_mask": chunk.not_padding, "position_ids": chunk.positions}


def by_token_types(chunk: Chunk) -> dict[str, object]:
    """Questions marked with 1 in ``token_type_ids``, as text prefix-LMs are called."""
    return {**by_default(chunk), "token_type_ids": chunk.is_query.long()}


CALLS: dict[str, Call] = {"rows": by_rows, "default": by_default, "token_type_ids": by_token_types}
"""Ways of calling by name."""


@dataclass(frozen=True, eq=False)
class Reader:
    """A model, a way of calling it, and a way of making its cache.

    Args:
        model: a transformers model, or a :class:`~mini_ism.GPT`.
        call: see :data:`Call`.
        new_cache: makes an empty cache for a batch of this many rows; default, one that grows.
    """

    model: Any
    call: Call = by_rows
    new_cache: Callable[[int], Any] | None = None

    @property
    def embedding(self) -> nn.Module:
        """What turns tokens into vectors."""
        found = self.model.embed if isinstance(self.model, GPT) else self.model.get_input_embeddings()
        assert isinstance(found, nn.Module)
        return found

    def cache(self, batch: int, length: int) -> object:
        """An empty cache."""
        if self.new_cache is not None:
            return self.new_cache(batch)
        if isinstance(self.model, GPT):
            return self.model.new_cache(batch, capacity=length)
        from transformers import DynamicCache

        if self.call in (by_default, by_token_types):
            return DynamicCache(config=self.model.config)  # as the model itself makes it: sliding layers forget
        return DynamicCache()  # all positions in each layer, as the rule's rows have them

    def read(self, tokens: Tensor, chunk: Chunk, cache: Any) -> Tensor:
        """The scores ``[B, T, V]`` of a chunk's tokens ``[B, T]``; a ``TypeError`` if ``call`` gives no keywords."""
        keywords: object = self.call(chunk)
        if not isinstance(keywords, Mapping):
            raise TypeError(f"call must return a mapping of keywords for the model's forward, got {keywords!r:.60}")
        given: dict[str, Any] = dict(keywords)
        if isinstance(self.model, GPT):
            return self.model.forward(tokens, cache=cache, **given)
        for key, value in given.items():  # a single row is for the whole batch
            wide = isinstance(value, Tensor) and value.ndim == 2 and len(value) == 1
            given[key] = _moved(value.expand(len(tokens), -1) if wide else value, tokens.device)
        name = "cache" if "cache" in inspect.signature(self.model.forward).parameters else "past_key_values"
        if cache is not None:
            given |= {name: cache, "use_cache": True}
        logits: Tensor = self.model(tokens, **given).logits
        return logits


def _moved(value: Any, device: torch.device) -> Any:
    """A tensor, a block mask or a dict of them, on a device; anything else as it is."""
    if isinstance(value, dict):
        return {key: _moved(inner, device) for key, inner in value.items()}
    return value.to(device) if isinstance(value, Tensor | BlockMask) else value


@contextmanager
def followed(model: Any) -> Iterator[None]:
    """While active, the model uses an attention that follows any mask, if its own does not."""
    config = None if isinstance(model, GPT) else model.config.get_text_config()
    if config is None or config._attn_implementation in FIT:
        yield
        return
    own = config._attn_implementation
    config._attn_implementation = "sdpa"
    try:
        yield
    finally:
        config._attn_implementation = own


@torch.no_grad()
def read_changed(
    reader: Reader,
    tokens: Tensor,
    segments: Segments,
    mask: Mask,
    cuts: Sequence[tuple[int, int]],
    changes: Tensor,
    *,
    padding: int = 0,
    cached: bool = True,
) -> Tensor:
    """The scores of a conversation read chunk by chunk, with something added to its embedded tokens.

    Args:
        reader: the model and how it is called.
        tokens: LongTensor ``[T]``.
        segments: ``[T]``.
        mask: the declared rule.
        cuts: start and stop of each chunk.
        changes: ``[B, T, C]``, what is added, in each row of a batch. In the last row the cache's empty slots are also
            filled with noise.
        padding: columns of padding on the left.
        cached: whether there is a cache; without one there is one chunk.

    Returns:
        Logits ``[B, T, V]``.
    """
    B, T, C = changes.shape
    device = next(reader.embedding.parameters()).device
    padded = torch.cat([torch.zeros(padding, dtype=torch.long), tokens]).to(device).expand(B, -1)  # (B, P + T)
    added = torch.cat([torch.zeros(B, padding, C), changes], dim=1)
    cache = reader.cache(B, padding + T) if cached else None
    capacity = _capacity(cache)
    at = 0  # one past the last column read so far

    def add(module: nn.Module, given: object, out: Tensor) -> Tensor:
        return out + added[:, at - out.shape[1] : at].to(out)

    scores = []
    hook = reader.embedding.register_forward_hook(add)
    try:
        for start, stop in cuts:
            chunk = Chunk(reader.model, mask, segments[:stop], start, stop, padding, capacity)
            at = chunk.last
            scores.append(reader.read(padded[:, chunk.first : at], chunk, cache)[:, -(stop - start) :].float().cpu())
            _fill_empty_slots(cache, at)
    finally:
        hook.remove()
    return torch.cat(scores, dim=1)


def _capacity(cache: Any) -> int:
    """The columns of a static cache; 0 for one that grows."""
    layers = getattr(cache, "layers", [])
    return max((int(layer.max_cache_len) for layer in layers if hasattr(layer, "max_cache_len")), default=0)


def _fill_empty_slots(cache: Any, filled: int) -> None:
    """Put noise into what a static cache has allocated and not written yet, in the last row."""
    if not _capacity(cache):
        return
    for layer in cache.layers:
        for kept in (layer.keys, layer.values):
            kept[-1, :, filled:] = torch.randn_like(kept[-1, :, filled:])
