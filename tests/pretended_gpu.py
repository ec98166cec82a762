"""A GPU for machines that have none: CPU tensors that say they are elsewhere, and refuse to meet those that are not.

It computes on the CPU, so it tells nothing of a GPU's kernels or rounding. What it does tell is where a tensor was made
on the CPU, or left there, that meets the model's: the fault that code never run on a GPU has.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map_only

GPU = torch.device("cuda", 0)
MAY_MIX = ("copy_", "_has_compatible_shallow_copy_type")
"""What takes tensors of both places: a copy from one to the other, and a module's question as it is moved."""


def is_away(tensor: object) -> bool:
    return bool(getattr(tensor, "_is_away", False))


def placed(found: Any, away: bool) -> Any:
    """The same result, with every tensor in it there (or here)."""

    def place(tensor: Tensor) -> Tensor:
        tensor._is_away = away  # type: ignore[attr-defined]
        return tensor

    return tree_map_only(Tensor, place, found)


class PretendedGPU(TorchFunctionMode):
    """Every call into PyTorch comes past here: it is checked, computed on the CPU, and its result is placed."""

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name, given = func.__name__, dict(kwargs or {})
        if name in ("__get__", "__set__"):
            return self._attribute(func, args)
        if name in ("to", "cpu"):
            return self._moved(func, args, given)
        wanted = None if given.get("device") is None else torch.device(given["device"]).type == GPU.type
        if wanted:
            given["device"] = "cpu"
        tensors = [each for each in tree_flatten((args, given))[0] if isinstance(each, Tensor)]
        away = self._where(name, tensors) if wanted is None else wanted
        if away and name == "numpy":
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")
        if away and given.get("generator") is not None:
            raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
        found = func(*args, **given)
        return placed(found, away) if away or wanted is not None else found

    def _where(self, name: str, tensors: list[Tensor]) -> bool:
        """Where a call computes; a number may come from the CPU, and so may the positions of an index."""
        if name in MAY_MIX:
            return is_away(tensors[0])
        if name in ("__getitem__", "__setitem__"):
            tensors = [tensors[0], *filter(is_away, tensors[1:])]
        places = {is_away(each) for each in tensors if each.ndim or is_away(each)}
        if len(places) > 1:
            where = ", ".join(f"{list(each.shape)} on {GPU if is_away(each) else 'cpu'}" for each in tensors)
            raise RuntimeError(f"{name}: expected all tensors to be on the same device, but found {where}")
        return True in places

    def _attribute(self, func: Any, args: Sequence[Any]) -> Any:
        attribute = func.__self__.__name__
        if attribute == "device" and is_away(args[0]):
            return GPU
        found = func(*args)
        if attribute == "data" and func.__name__ == "__set__":
            placed(args[0], is_away(args[1]))
        return placed(found, True) if is_away(args[0]) else found

    def _moved(self, func: Any, args: Sequence[Any], given: dict[str, Any]) -> Any:
        """Another tensor, if it goes anywhere."""
        source, away = args[0], func.__name__ == "to" and is_away(args[0])
        plain = [source]
        for each in args[1:]:
            if isinstance(each, str | torch.device):
                away, each = torch.device(each).type == GPU.type, "cpu"
            elif isinstance(each, Tensor):
                away = is_away(each)
            plain.append(each)
        if (device := given.get("device")) is not None:
            away, given["device"] = torch.device(device).type == GPU.type, "cpu"
        found = func(*plain, **given)
        return placed(found.clone() if found is source and away != is_away(source) else found, away)


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """A block in which there is a device ``"cuda"``."""
    with patch("torch.cuda.is_available", lambda: True), PretendedGPU():
        yield
