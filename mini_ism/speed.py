"""Two ways to train the same model faster, on machines where they pay off: bfloat16 and compiled blocks."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import nn

PRECISIONS = ("float32", "bf16")


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """A block whose matrix products and attention are computed in that precision; weights stay in float32."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def compile_blocks(blocks: Iterable[nn.Module], device: torch.device) -> None:
    """Compile a model's blocks with ``torch.compile``, in place; they share the code, for any batch and length.

    Only the blocks: the forward pass around them branches on its inputs' values, which compiled code cannot do.

    Raises:
        ValueError: ``torch.compile`` does not work here.
    """
    # Attention stays as it is: compiled, it expects its first step's length in every later backward (PyTorch 2.13 on a
    # CPU, 2.11 on an H100).
    torch._dynamo.disallow_in_graph(F.scaled_dot_product_attention)
    warnings.filterwarnings("ignore", "Dynamo does not know how to trace the builtin .*scaled_dot_product_attention")
    try:
        torch.compile(torch.sin)(torch.zeros(8, device=device))
    except Exception as error:  # each back end has its own
        reason = " ".join(str(error).split()).partition(" Set TORCH")[0]
        raise ValueError(
            f"torch.compile does not work here ({type(error).__name__}: {reason}); it needs a C++ compiler on the CPU "
            "(g++, clang++ or cl) and Triton on CUDA: install that, or leave --compile out"
        ) from None
    for block in blocks:
        block.compile(dynamic=True)
