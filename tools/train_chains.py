"""Train the two models that follow chains, and write them: `python -m tools.train_chains`, some minutes.

They are runs of the sweep `words`, repeated to keep the weights: of its first setting, at each mask's best rate, the
seed that answers most of the validation draws.
"""

from __future__ import annotations

import time
from functools import partial

import torch

from mini_ism.checkpoints import save_model
from mini_ism.paths import data_dir
from mini_ism.results import Row, load_rows
from mini_ism.results.words import SETTING, best, exact
from research.words import CONFIGS, train

SHIPPED = ("causal", "ism")


def chosen() -> dict[str, Row]:
    """By name, the rows whose models are shipped."""
    first = tuple(CONFIGS[0][name] for name in SETTING[:-1])
    runs = best(load_rows("words"))
    validation = partial(exact, held_out="validation")
    return {f"chains-{mask}": max(runs[(*first, mask)], key=validation) for mask in SHIPPED}


def main() -> None:
    """Train, compare with the row, write."""
    torch.set_num_threads(1)  # as the sweep does
    for name, row in chosen().items():
        clock = time.perf_counter()
        model, progress = train(row.config)
        if progress["curve"] != row.result["curve"]:
            print(f"{name}: not the row's run to the last answer; another machine or version rounds otherwise")
        about = {**row.config, "tokens": progress["tokens"], "seconds": round(time.perf_counter() - clock, 1)}
        save_model(model, data_dir() / "checkpoints" / name, training=about, bits=16)
        print(f"{name}: {progress['curve'][-1]['target']:.1%} of the validation draws")


if __name__ == "__main__":
    main()
