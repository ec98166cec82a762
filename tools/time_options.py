"""Time a training step with each of the options that make it faster: `python -m tools.time_options --preset small`.

The options take turns step by step, on the same dialogues, so that a slow moment hits them all. Start-up and first step
are timed by wall clock, since compilers run in separate processes; later steps, on the CPU, by the processor time of
this process, so that other load matters less.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from mini_ism.config import PRESETS
from mini_ism.devices import DEVICES, get_device
from mini_ism.training import Run, TrainingConfig

OPTIONS: dict[str, tuple[str, bool]] = {
    "as it is": ("float32", False),
    "--compile": ("float32", True),
    "--precision bf16": ("bf16", False),
    "both": ("bf16", True),
}
"""Precision, and whether blocks are compiled, by the options on the command line."""


def main() -> None:
    """Print the seconds of start-up plus first step, and the median of the other steps, with their range."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--preset", choices=list(PRESETS), default="tiny")
    parser.add_argument("--steps", type=int, default=30, help="after the first")
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(1)
    device = get_device(given.device)
    with tempfile.TemporaryDirectory() as folder:
        runs, spent = dict[str, Run](), dict[str, list[float]]()
        for name, (precision, compiled) in OPTIONS.items():
            config = TrainingConfig(preset=given.preset, precision=precision, easy=0.0)
            clock = time.perf_counter()
            runs[name] = Run(config, Path(folder) / name, device, compiled=compiled)
            spent[name] = [time.perf_counter() - clock]
        for number in range(1 + given.steps):
            for name, run in runs.items():
                now = time.perf_counter if number == 0 or device.type != "cpu" else time.process_time
                clock = now()
                run._step(iter([run.batches(number)]), run.config.lr)  # returns only once a GPU has finished, too
                spent[name].append(now() - clock)
    print(f"{given.preset} on {device.type}, torch {torch.__version__}, {given.steps} steps; seconds")
    for name, (start, first, *rest) in spent.items():
        print(
            f"  {name:16} start and first step {start + first:5.1f}, then {statistics.median(rest):.3f} "
            f"({min(rest):.3f} to {max(rest):.3f})"
        )


if __name__ == "__main__":
    main()
