"""The devices that tensors can live on, by name."""

from __future__ import annotations

import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


def get_device(name: str | torch.device = "auto") -> torch.device:
    """The device of that name; ``"auto"`` is CUDA, else Apple's MPS, else the CPU.

    Raises:
        ValueError: no such device, or this machine does not have it.
    """
    name = str(name)
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if has[kind]))
    kind, _, number = name.partition(":")
    if kind not in has or not (number.isdecimal() or name == kind):
        raise ValueError(f"unknown device {name!r}; devices are {', '.join(DEVICES)}")
    if not has[kind] or (number and int(number) >= (torch.cuda.device_count() if kind == "cuda" else 1)):
        raise ValueError(f"device {name!r} is not available here; use 'cpu', or 'auto' to take the best there is")
    return torch.device(name)
