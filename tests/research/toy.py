"""A sweep of squares, for the tests of the runner and the report."""

import os
import time
from pathlib import Path
from typing import Any

from mini_ism.results import Row
from mini_ism.results.rows import Config
from research.sweep import Sweep


def toy(config: Config) -> dict[str, Any]:
    """A run that leaves a mark, and fails or takes long where its config says so."""
    if (log := config.get("log")) is not None:
        with Path(log).open("a") as file:
            file.write(f"{config['seed']}\n")
    if config.get("fails"):
        raise ZeroDivisionError("one seed too many")
    time.sleep(config.get("sleep", 0))
    return {"square": config["seed"] ** 2, "process": os.getpid()}


def toy_sweep(count: int, **more: Any) -> Sweep:
    configs = [{"mask": "ism", "seed": seed, **more} for seed in range(count)]
    return Sweep("toy", toy, configs, configs[:1])


def seeds(rows: list[Row]) -> list[int]:
    return [row.config["seed"] for row in rows]
