"""How a model's weights are stored in a file: in float32, in float16, or in eight bits.

Eight-bit weights are integers from -127 to 127, with a float32 scale for each row of a matrix, which maps the row's
largest value to 127 (absmax, row-wise: 2208.07339, section 2). Vectors, such as the gains of norms, stay float32.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mini_ism.checks import one_of
from mini_ism.files import not_finite

BITS = (32, 16, 8)
"""The supported numbers of bits per stored weight."""
SCALE = ".scale"
LARGEST = 127
FLOATS = ({"F32"}, {"F16"})
"""The dtypes that a file without scales may have throughout."""


def stored(weights: Mapping[str, Tensor], bits: int) -> dict[str, Tensor]:
    """Weights as they are written.

    Args:
        weights: by name, of any floating type.
        bits: see :data:`BITS`.

    Raises:
        ValueError: ``bits`` is not supported; a weight is not finite, or too large for float16.
    """
    one_of("bits", bits, BITS)
    if name := not_finite(weights):
        raise ValueError(f"{name} holds a value that is not finite; a model like that is not saved")
    if bits == 8:
        return {key: value for name, weight in weights.items() for key, value in _in_eight(name, weight.float())}
    dtype = torch.float16 if bits == 16 else torch.float32
    found = {name: weight.to(dtype) for name, weight in weights.items()}
    if name := not_finite(found):
        raise ValueError(
            f"{name} holds a value beyond {torch.finfo(dtype).max:,.0f}, the largest of float16; save it with 32 bits "
            "(the same training with --bits 32 goes on from its last save)"
        )
    return found


def _in_eight(name: str, weight: Tensor) -> list[tuple[str, Tensor]]:
    if weight.ndim < 2:
        return [(name, weight)]
    scale = (weight.abs().amax(1) / LARGEST).clamp(min=torch.finfo(torch.float32).tiny)  # (rows)
    return [(name, (weight / scale[:, None]).round().to(torch.int8)), (name + SCALE, scale)]


def restored(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights that a file holds, in float32, or in float16 if stored that way."""
    return {
        name: value.float() * found[name + SCALE][:, None] if value.dtype == torch.int8 else value
        for name, value in found.items()
        if not name.endswith(SCALE)
    }


def stored_shapes(found: Mapping[str, tuple[str, tuple[int, ...]]]) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights that a file says it holds, before any is read.

    Args:
        found: safetensors' name of the dtype, and the shape, of each tensor.

    Raises:
        ValueError: the dtypes are none of the three storages, or a scale is missing, one too many, or of another shape.
    """
    shapes = {name: shape for name, (_, shape) in found.items()}
    scales = {name: shape for name, shape in shapes.items() if name.endswith(SCALE)}
    kinds = {kind for kind, _ in found.values()}
    if not scales and kinds in FLOATS:
        return shapes
    wanted = {name + SCALE: shape[:1] for name, (kind, shape) in found.items() if kind == "I8"}
    if kinds != {"I8", "F32"} or scales != wanted or any(found[name][0] != "F32" for name in scales):
        raise ValueError(
            f"its weights are {' and '.join(sorted(kinds))}, neither float32 nor float16 throughout, nor eight bits "
            "with a float32 scale for each row"
        )
    return {name: shape for name, shape in shapes.items() if name not in scales}
