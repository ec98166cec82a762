"""Regression tasks as prompts: examples of a linear function, in segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mini_ism.checks import real_number, whole_number
from mini_ism.segments import Segments


@dataclass(frozen=True, eq=False)
class Task:
    """Prompts of n examples of a linear function, one function per draw, in float64.

    Args:
        x: inputs ``[B, n, d]``.
        y: labels ``[B, n]``, ``x @ w`` and noise.
        w: the functions ``[B, d]``, to be recovered from the examples.
        query: an input ``[B, d]`` to predict the label of.
        shift: mean of the inputs, the same in every direction.
    """

    x: Tensor
    y: Tensor
    w: Tensor
    query: Tensor
    shift: float = 0.0

    def __len__(self) -> int:
        """n, the number of examples."""
        return int(self.x.shape[1])

    @property
    def width(self) -> int:
        """d, the number of directions."""
        return int(self.x.shape[2])

    def first(self, examples: int) -> Task:
        """The same prompts, cut after this many examples."""
        return Task(self.x[:, :examples], self.y[:, :examples], self.w, self.query, self.shift)

    def query_error(self, weights: Tensor) -> Tensor:
        """Squared error at the query, noise aside: weights ``[..., B, d]`` -> ``[..., B]``."""
        return ((weights - self.w) * self.query).sum(-1) ** 2

    def risk(self, weights: Tensor) -> Tensor:
        """The mean of :meth:`query_error` over all possible queries: weights ``[..., B, d]`` -> ``[..., B]``.

        Directions are independent, each with variance 1/3 about the shift.
        """
        off = weights - self.w
        return off.square().sum(-1) / 3 + (self.shift * off.sum(-1)) ** 2


def draw_tasks(
    draws: int = 64, *, examples: int = 40, width: int = 16, noise: float = 0.0, shift: float = 0.0, seed: int = 0
) -> Task:
    """Tasks as in 2308.06912, its sizes by default: x ~ U(-1, 1) in each of d directions, w ~ N(0, 1), y = <w, x>.

    Args:
        draws: B, functions, with a prompt each.
        examples: n, in each prompt.
        width: d.
        noise: standard deviation of the noise on the labels.
        shift: added to each direction of each input.
        seed: the same seed, the same tasks.

    Raises:
        TypeError: an argument is not a number of the right kind.
        ValueError: a size is less than 1, or the noise is negative or not finite.
    """
    for name, value in (("draws", draws), ("examples", examples), ("width", width)):
        whole_number(name, value, 1)
    noise, shift = real_number("noise", noise, 0), real_number("shift", shift)
    generator = torch.Generator().manual_seed(whole_number("seed", seed, -(2**63), 2**64 - 1))

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(*shape, generator=generator, dtype=torch.float64) - 1 + shift

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, w = uniform(draws, examples, width), normal(draws, width)
    y = (x @ w[:, :, None])[..., 0] + noise * normal(draws, examples)
    return Task(x, y, w, uniform(draws, width), shift)


def example_segments(sizes: Sequence[int]) -> Segments:
    """Examples as a dialogue: one position per example, and one query per group of one of these sizes.

    Raises:
        ValueError: no size, or one that is less than 1.
    """
    sizes = [whole_number("the examples of a segment", size, 1) for size in sizes]
    if not sizes:
        raise ValueError("no examples: give the size of at least one segment")
    ids = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    return Segments(id=ids, is_query=torch.ones_like(ids, dtype=torch.bool))


def split_evenly(examples: int, segments: int) -> list[int]:
    """Sizes of this many segments that differ by at most one: ``(40, 3)`` -> ``[14, 13, 13]``."""
    segments = whole_number("segments", segments, 1, whole_number("examples", examples, 1))
    small, extra = divmod(examples, segments)
    return [small + 1] * extra + [small] * (segments - extra)
