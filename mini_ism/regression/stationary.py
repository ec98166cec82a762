"""The stationary points of layers of linear self-attention, in closed form.

Causal examples settle one after the other: a triangular system. Examples that all see each other settle at least
squares. In between, each block of examples that see each other solves its own least squares, starting from where the
block before it stopped: block Kaczmarz, of which causal and least squares are the two ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.regression.tasks import Task
from mini_ism.reuse import borders
from mini_ism.segments import Segments


def causal_weights(task: Task) -> Tensor:
    """The stationary weights of causal layers: ``y_j = sum over k <= j of a_k <x_k, x_j>``, by forward substitution.

    Returns:
        Weights ``[B, d]``.
    """
    scores = (task.x @ task.x.mT).tril()  # (B, n, n)
    a = torch.linalg.solve_triangular(scores, task.y[:, :, None], upper=False)
    weights: Tensor = (task.x.mT @ a)[..., 0]
    return weights


def least_squares_weights(task: Task) -> Tensor:
    """The weights that explain all labels best, for examples that all see each other; of several, the least in norm.

    Returns:
        Weights ``[B, d]``.
    """
    return _solve(task.x, task.y)


def kaczmarz_weights(task: Task, sizes: Sequence[int]) -> Tensor:
    """The weights after each block: the smallest step from the block before that explains this block's labels best.

    ``w_s = w_(s-1) + pinv(X_s) (y_s - X_s w_(s-1))``, from ``w_0 = 0``.

    Args:
        task: the examples.
        sizes: how many examples each block holds.

    Returns:
        Weights after each block, ``[blocks, B, d]``.

    Raises:
        ValueError: the sizes do not add up to the number of examples.
    """
    if sum(sizes) != len(task) or min(sizes) < 1:
        raise ValueError(f"blocks of {list(sizes)} are not {len(task)} examples, at least one a block")
    w = torch.zeros_like(task.w)
    steps = []
    for x, y in zip(task.x.split(list(sizes), 1), task.y.split(list(sizes), 1), strict=True):
        w = w + _solve(x, y - (x @ w[:, :, None])[..., 0])
        steps.append(w)
    return torch.stack(steps)


def _solve(x: Tensor, y: Tensor) -> Tensor:
    """``pinv(x) y``: ``[B, m, d]``, ``[B, m]`` -> ``[B, d]``."""
    weights: Tensor = torch.linalg.lstsq(x, y[:, :, None], driver="gelsy").solution[..., 0]
    return weights


def block_sizes(visible: Tensor) -> list[int]:
    """The blocks that a rule makes of the examples, read off its dense form ``[n, n]``.

    Returns:
        Sizes, all 1 under causal, the segments' under ISM, n under prefix.

    Raises:
        ValueError: some example does not see all of its own block and of the blocks before it. Then there may be a
            stationary point, but not this one.
    """
    cuts = borders(visible).nonzero()[:, 0]
    sizes = cuts.diff()
    end = cuts[1:].repeat_interleave(sizes)  # (n): where each example's block ends
    whole = torch.arange(len(visible)) < end[:, None]
    if not torch.equal(visible, whole):
        j, k = (visible != whole).nonzero()[0].tolist()
        raise ValueError(
            f"example {j} does not see example {k}, so the rule does not cut the examples into blocks that see "
            "themselves and all before; iterate the layers instead (lsa_weights)"
        )
    return [int(size) for size in sizes]


def stationary_weights(task: Task, segments: Segments, mask: str | Mask) -> Tensor:
    """The stationary weights of the layers under any rule that makes blocks.

    Args:
        task: the examples.
        segments: of the examples, ``[n]``.
        mask: the rule.

    Returns:
        Weights ``[B, d]``.

    Raises:
        ValueError: see :func:`block_sizes`.
    """
    return kaczmarz_weights(task, block_sizes(get_mask(mask).dense(segments)))[-1]
