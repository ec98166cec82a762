"""What a mask lets a KV cache keep when the dialogue grows, derived from the rule alone.

A hard-coded triangle cannot answer this; a rule can, since it can be evaluated on the old dialogue and on the new one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.segments import Segments, check_segments


def reusable(mask: str | Mask, old: Segments, new: Segments) -> int:
    """How many of the keys and values computed for dialogue ``old`` are still right in dialogue ``new``.

    Position i's keys and values are still right iff what i may see is unchanged, and every position that i sees is
    kept and still right. So the answer is the longest prefix whose rows are the same in both dialogues and see nothing
    outside the prefix: all of ``old`` for causal and ISM when a turn is added, 0 for prefix.

    Args:
        mask: the rule both dialogues are read under, or its name.
        old: segments ``[T_old]`` of the dialogue whose keys and values were computed.
        new: segments ``[T_new]`` of the dialogue in which they are to be reused, longer or shorter. The tokens of the
            common prefix are assumed to be the same.

    Returns:
        A number of positions, 0 to ``min(T_old, T_new)``.

    Raises:
        ValueError: the segments are those of a batch.
        TypeError, ValueError: see :func:`~mini_ism.masks.get_mask` and :meth:`Mask.dense`.
    """
    check_segments(old)
    check_segments(new)
    if old.id.ndim != 1 or new.id.ndim != 1:
        raise ValueError(
            f"reusable() compares two states of one dialogue [T], got segments of shapes {tuple(old.id.shape)} and "
            f"{tuple(new.id.shape)}; take one row of a batch with segments.row(0)"
        )
    rule = get_mask(mask)
    return unchanged_prefix(rule.dense(old), rule.dense(new))


def unchanged_prefix(before: Tensor, after: Tensor) -> int:
    """:func:`reusable` on dense masks ``[T_old, T_old]`` and ``[T_new, T_new]``."""
    common = min(len(before), len(after))
    differs = before[:common, :common] ^ after[:common, :common]  # (common, common)
    beyond = before[:common, common:], after[:common, common:]
    if not any(int(part.count_nonzero()) for part in (differs, *beyond)):
        return common  # the usual case, since the engine asks once per generated token
    same = ~(differs.any(-1) | beyond[0].any(-1) | beyond[1].any(-1))  # (common)
    unchanged = int(same.long().cumprod(0).sum())
    return int(borders(after[:common, :common])[: unchanged + 1].nonzero()[-1])


def borders(dense: Tensor) -> Tensor:
    """Where a dialogue may be cut into chunks that are processed one after another.

    A cut before position n is allowed iff no position before n sees n or beyond. Under a causal rule every cut is
    allowed; under ISM, none inside a query.

    Args:
        dense: BoolTensor ``[T, T]``, a mask's matrix.

    Returns:
        BoolTensor ``[T + 1]``, True at n if the first n positions can be computed without the rest. True at 0 and T.
    """
    cuts = torch.arange(len(dense) + 1, device=dense.device, dtype=torch.int32)  # (T + 1)
    if len(dense) == 0:
        return cuts == 0
    reach = (dense * cuts[1:]).amax(-1)  # (T): one past the last position that each row sees
    return torch.cat([cuts[:1], reach.cummax(0).values]) <= cuts  # (T + 1)
