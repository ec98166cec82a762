"""The KV cache: keys and values of the positions a model has already read, so that they need not be computed again."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from mini_ism.checks import whole_number


class KVCache:
    """Keys and values of up to ``capacity`` positions, allocated once, filled from the left. The cache is passed into
    the model, which holds no state. Fill it under ``torch.no_grad()``, or autograd keeps the graph of every chunk.

    Args:
        layers, heads, head_width: the model's; :meth:`GPT.new_cache` fills them in.
        batch: rows, all of the same length.
        capacity: how many positions there is room for.
        device, dtype: of the keys and values.

    Attributes:
        keys, values: ``[layers, B, heads, capacity, head_width]``; entries at or past ``length`` are meaningless.
        tokens: LongTensor ``[B, capacity]``, the tokens of the cached positions.
        length: how many positions are filled.
    """

    def __init__(
        self,
        layers: int,
        heads: int,
        head_width: int,
        *,
        batch: int = 1,
        capacity: int = 512,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        sizes = {"layers": layers, "batch": batch, "heads": heads, "capacity": capacity, "head_width": head_width}
        shape = tuple(whole_number(f"the cache's {name}", size, 1) for name, size in sizes.items())
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.tokens = torch.zeros(batch, capacity, dtype=torch.long, device=device)
        self.length = 0

    @property
    def capacity(self) -> int:
        """How many positions there is room for."""
        return int(self.tokens.shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes held by the filled positions' keys and values."""
        return 2 * self.keys[..., : self.length, :].numel() * self.keys.element_size()

    def write(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Put a chunk's keys and values ``[B, heads, T, head_width]`` after the filled positions of one layer.

        They count as filled only after :meth:`advance`, so a forward pass that fails midway leaves the cache as it was.

        Returns:
            All keys and all values of the layer, chunk included, each ``[B, heads, length + T, head_width]``.

        Raises:
            ValueError: the chunk does not fit after the filled positions, or the cache was made for another batch size
                or model.
        """
        start, T = self.length, k.shape[2]
        stop = start + T
        if stop > self.capacity:
            raise ValueError(
                f"the KV cache is full: {start} of {self.capacity} positions are filled and {T} more "
                "do not fit; truncate() it, or allocate a larger one"
            )
        # narrow() is a cheaper slice, which matters where a chunk is a single token.
        keys, values = self.keys[layer].narrow(2, 0, stop), self.values[layer].narrow(2, 0, stop)  # (B, heads, S, D)
        room = keys.narrow(2, start, T)  # (B, heads, T, D)
        if room.shape != k.shape:
            batch, heads, _, width = room.shape
            raise ValueError(
                f"the cache holds {batch} rows with {heads} heads of width {width}, but the chunk has "
                f"{k.shape[0]} rows with {k.shape[1]} heads of width {k.shape[3]}; "
                "make one with model.new_cache(batch)"
            )
        room.copy_(k)
        values.narrow(2, start, T).copy_(v)
        return keys, values

    def advance(self, tokens: Tensor) -> None:
        """Count a chunk of tokens ``[B, T]`` as filled, after every layer has written it."""
        T = tokens.shape[1]
        self.tokens.narrow(1, self.length, T).copy_(tokens)
        self.length += T

    def truncate(self, length: int) -> None:
        """Keep only the first ``length`` positions."""
        self.length = whole_number("the positions that the cache keeps", length, 0, self.length)

    def clone(self) -> KVCache:
        """An independent copy, for what-if experiments."""
        twin = copy.copy(self)
        twin.keys, twin.values, twin.tokens = self.keys.clone(), self.values.clone(), self.tokens.clone()
        return twin
