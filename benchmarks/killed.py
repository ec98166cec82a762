"""A training run that is killed again and again, by SIGKILL, at random moments."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random

import torch

from mini_ism.training import Run, TrainingConfig

Config = Mapping[str, int]
"""Fields of :class:`~mini_ism.training.TrainingConfig`, of those whose flags have the same names."""


def train_whole(config: Config, folder: Path) -> Run:
    """An undisturbed run."""
    run = Run(TrainingConfig(**config), folder)  # type: ignore[arg-type]  # all of them count something
    run.train()
    return run


def train_in_pieces(config: Config, folder: Path, kills: int, random: Random) -> Run:
    """The same run, in separate processes that are killed one after the other, and then to its end.

    Each of them saves at least once, so that the run makes progress.

    Raises:
        RuntimeError: the run finished before the last kill, and needs more steps.
    """
    command = [sys.executable, "-m", "mini_ism", "train", f"--threads={torch.get_num_threads()}", f"--out={folder}"]
    command += [f"--{name}={value}" for name, value in config.items()]
    state = folder / "state.safetensors"

    def saved() -> int:
        return state.stat().st_mtime_ns if state.exists() else 0

    for number in range(kills):
        before = saved()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and saved() == before:
                time.sleep(0.01)
            time.sleep(random.uniform(0.0, 0.1))
            process.kill()
        if (folder / "model.safetensors").exists():
            raise RuntimeError(f"the run was at its end after {number + 1} kills of {kills}; give it more steps")
    return train_whole(config, folder)


def mismatches(whole: Run, pieces: Run) -> list[str]:
    """What differs between two runs of one configuration: their weights by name, and what they measured."""
    one, other = whole.model.state_dict(), pieces.model.state_dict()
    found = [name for name, value in one.items() if not torch.equal(value, other[name])]
    for key in ("step", "loss", "exact"):
        if [line.get(key) for line in whole.metrics] != [line.get(key) for line in pieces.metrics]:
            found.append(f"the measured {key}")
    return found
