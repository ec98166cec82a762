"""A transformers causal language model, behind the interface that the chat engine knows from :class:`~mini_ism.GPT`."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mini_ism.checks import whole_number
from mini_ism.hf.loading import causal_lm, positions
from mini_ism.hf.masks import UnfitAttentionError, attention_mask, by_layer, check_follows
from mini_ism.interfaces import weights_version

LONGEST = 4096
"""The most positions a conversation may have unless more are requested: the engine keeps a matrix over all pairs."""
PROBE = 12
"""Tokens of the forward passes that test what a model does."""
TOLERANCE = 1e-3
"""For the probe, as a share of the logits' spread: above any rounding, below the effect of any change of mask."""


@dataclass(frozen=True)
class HFConfig:
    """A model's shape, as the chat engine expects it."""

    vocab_size: int
    context: int
    mask: str


class HFCache:
    """A transformers dynamic cache whose length the engine counts: whatever lies past it is stale."""

    def __init__(self, capacity: int, device: torch.device) -> None:
        from transformers import DynamicCache

        # Without the model's config each layer keeps everything, sliding ones too, so that a turn can be undone.
        self.inner: Any = DynamicCache()
        self.tokens = torch.zeros(1, capacity, dtype=torch.long, device=device)
        self.length = 0

    def trim(self) -> None:
        """Drop all keys and values past the length, such as those of an interrupted forward pass."""
        for layer in self.inner.layers:
            if layer.get_seq_length() > self.length:
                layer.keys, layer.values = (kept[..., : self.length, :] for kept in (layer.keys, layer.values))

    def advance(self, tokens: Tensor) -> None:
        """Count a chunk ``[1, T]`` as read."""
        stop = self.length + tokens.shape[1]
        self.tokens[:, self.length : stop] = tokens
        self.length = stop

    def truncate(self, length: int) -> None:
        """Keep only the first ``length`` positions."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot keep {length} positions of a cache that holds {self.length}")
        self.length = length

    def clone(self) -> HFCache:
        """An independent copy, for a what-if."""
        twin = copy.copy(self)
        twin.inner, twin.tokens = copy.deepcopy(self.inner), self.tokens.clone()
        return twin


class HFModel:
    """A transformers causal language model that reads chunks under the rows of any mask.

    Args:
        model: a transformers model whose layers all attend; its ``attn_implementation`` must follow masks.
        context: positions a conversation may have; default, the model's own, at most :data:`LONGEST`.
        mask: the rule it was trained with, for the record.

    Attributes:
        mask_free: whether a chunk that sees everything may be read without a mask, over a warm cache.

    Raises:
        UnfitAttentionError: the attention does not follow a custom mask; this is tested.
        TypeError: the model is not a transformers causal language model, or the context is not a whole number.
        ValueError: the model caches something other than keys and values, or has fewer positions than ``context``.
    """

    def __init__(self, model: Any, context: int | None = None, mask: str = "causal") -> None:
        inner: Any = causal_lm(model)
        self.inner = inner.eval()
        text = self.inner.config.get_text_config()
        if not hasattr(text, "num_attention_heads"):
            raise UnfitAttentionError(f"{type(inner).__name__} has no attention heads, so no mask says what it reads")
        longest = positions(inner) or LONGEST
        room = min(longest, LONGEST) if context is None else whole_number("context", context, 1)
        self.config = HFConfig(text.vocab_size, room, mask)
        if room > longest:
            raise ValueError(f"the model has room for {longest} positions, so context cannot be {context}")
        self._names = inspect.signature(self.inner.forward).parameters
        self._cache_name = "cache" if "cache" in self._names else "past_key_values"  # the name in earlier versions
        check_follows(inner)
        # Tested now, so that no turn has to wait for it.
        self.mask_free = self._reads_without_mask()
        self._sizes = self._count()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return torch.device(self.inner.device)

    def eval(self) -> HFModel:
        """Switch to evaluation mode."""
        self.inner.eval()
        return self

    def version(self) -> object:
        """A value that changes with the weights, and with the peft adapters that are active."""
        adapters = [
            (layer.disable_adapters, *layer.active_adapters)
            for layer in self.inner.modules()
            if isinstance(getattr(layer, "disable_adapters", None), bool)  # a method in models of transformers
        ]
        return weights_version(self.inner), adapters

    def new_cache(self) -> HFCache:
        """An empty cache."""
        return HFCache(self.config.context, self.device)

    def compute(self, tokens: Tensor, mask: Tensor | None, cache: HFCache, logits_at: slice = slice(None)) -> Tensor:
        """Read ``[1, T]`` tokens after the cache, under rows ``[T, S]``, None = all is seen; logits ``[1, N, V]``."""
        T, start = tokens.shape[1], cache.length
        alone = T == 1 and self.inner.config.get_text_config()._attn_implementation != "flex_attention"
        if mask is None and not (alone or self.mask_free):  # transformers compiles its own block masks for each length
            mask = torch.ones(T, start + T, dtype=torch.bool)
        return self._forward(tokens, mask, cache, logits_at)

    def _forward(self, tokens: Tensor, mask: Tensor | None, cache: HFCache, logits_at: slice) -> Tensor:
        T, start = tokens.shape[1], cache.length
        cache.trim()
        given: dict[str, Any] = {"position_ids": torch.arange(start, start + T, device=self.device)[None]}
        if mask is not None:
            given["attention_mask"] = attention_mask(self.inner, mask.to(self.device), start)
        elif T > 1:
            given["is_causal"] = False
        if logits_at == slice(-1, None) and "logits_to_keep" in self._names:
            given["logits_to_keep"] = 1
        given[self._cache_name] = cache.inner
        logits: Tensor = self.inner(tokens.to(self.device), use_cache=True, **given).logits
        if not all(layer.get_seq_length() == start + T for layer in cache.inner.layers) or not cache.inner.layers:
            raise ValueError(
                f"{type(self.inner).__name__} did not keep the keys and values of {start + T} positions in its "
                "cache; only models whose layers all attend can chat under a mask"
            )
        cache.advance(tokens)
        return logits[:, logits_at]

    # -- what the model does, by test --------------------------------------------------------------

    def _reads_without_mask(self) -> bool:
        """Whether a chunk that sees everything may be read without a mask, over a warm cache: ``is_causal=False``.

        This is tested, not assumed: a version that does not know the option silently ignores it.
        """
        config = self.inner.config.get_text_config()
        last = torch.ones(1, self.config.context, dtype=torch.bool)
        windows = by_layer(config, last, self.config.context - 1).values()  # the test is too short to notice these
        if config._attn_implementation != "sdpa" or not all(bool(seen.all()) for seen in windows):
            return False
        everything = torch.ones(PROBE, PROBE, dtype=torch.bool)
        tokens = torch.arange(PROBE, device=self.device)[None] % self.config.vocab_size
        half = PROBE // 2
        read = []
        with torch.inference_mode():
            for rows in (everything[half:], None):
                cache = HFCache(PROBE, self.device)
                self._forward(tokens[:, :half], everything[:half, :half], cache, slice(None))
                read.append(self._forward(tokens[:, half:], rows, cache, slice(None)))
        spread = float(read[0].float().std())
        return bool((read[0] - read[1]).abs().max() <= TOLERANCE * spread)

    # -- what it costs -----------------------------------------------------------------------------

    def _count(self) -> tuple[int, int, int]:
        """Multiplications per token in the linear maps and per pair in the attention, and numbers cached per token."""
        calls: list[int] = []
        head = self.inner.get_output_embeddings()

        def count(module: nn.Module, given: object, result: object) -> None:
            calls.append(module.weight.numel())  # type: ignore[operator]

        linear = [m for m in self.inner.modules() if _is_linear(m) and m is not head]
        hooks = [module.register_forward_hook(count) for module in linear]
        cache = self.new_cache()
        try:
            with torch.inference_mode():
                self.compute(torch.zeros(1, 1, dtype=torch.long), None, cache)
        finally:
            for hook in hooks:
                hook.remove()
        config = self.inner.config.get_text_config()
        width = cache.inner.layers[0].keys.shape[-1] * config.num_attention_heads
        kept = sum(part[0, :, 0].numel() for layer in cache.inner.layers for part in (layer.keys, layer.values))
        return sum(calls), 2 * width * len(cache.inner.layers), kept

    def flops(self, tokens: int, pairs: int, logits: int = 1) -> int:
        """Floating-point operations of a forward pass, as :meth:`~mini_ism.GPT.flops` counts them."""
        per_token, per_pair, _ = self._sizes
        head = self.inner.get_output_embeddings().weight.numel()
        return 2 * (tokens * per_token + pairs * per_pair + logits * int(head))

    def kv_bytes(self, positions: int) -> int:
        """Bytes that the keys and values of this many positions take."""
        return self._sizes[2] * positions * int(next(self.inner.parameters()).element_size())


def _is_linear(module: nn.Module) -> bool:
    """``nn.Linear``, or GPT-2's layer with a transposed weight."""
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"
