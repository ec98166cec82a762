"""What a training forward pass keeps for its backward pass, counted in bytes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def kept_for_backward(model: nn.Module, step: Callable[[], object]) -> int:
    """Bytes of the numbers that autograd keeps while ``step`` runs, each storage once; the model's weights left out.

    Integers and masks are left out, too: they are the batch's, not the model's.
    """
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if tensor.is_floating_point() and storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        held = step()  # a returned loss keeps its graph until everything is counted
    del held
    return sum(kept.values())
