"""Candidates timed against each other: interleaved rounds, medians, and ratios round by round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch

Step = Callable[[], object]


def finish() -> None:
    """Wait until a GPU, if one is in use, has finished: launching a kernel does not wait for its result."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def medians(
    candidates: Mapping[str, Step], rounds: int, prepare: Mapping[str, Step] | None = None
) -> dict[str, list[float]]:
    """Seconds of each candidate, round by round, interleaved; the first round only warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, step in candidates.items():
            (prepare or {}).get(name, lambda: None)()
            finish()
            clock = time.perf_counter()
            step()
            finish()
            if number:
                seconds[name].append(time.perf_counter() - clock)
    return seconds


def spread(values: list[float], show: Callable[[float], str]) -> str:
    """``median (lowest to highest)``."""
    return f"{show(statistics.median(values))} ({show(min(values))} to {show(max(values))})"


def ratio(over: list[float], under: list[float]) -> str:
    """The median of the rounds' ratios, and the middle half of them."""
    ratios = sorted(a / b for a, b in zip(over, under, strict=True))
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")  # never beyond what was measured
    return f"{statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})"
