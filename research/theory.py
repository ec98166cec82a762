"""Exact in-context regression, no training: the curves of 2308.06912 with every mask between causal and prefix.

There are 64 experiments of 64 prompts each, and a band holds 95% of their means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from scipy.stats import t
from torch import Tensor

from mini_ism.regression import (
    draw_tasks,
    example_segments,
    lsa_weights,
    split_evenly,
    stationary_weights,
    turn_weights,
)
from mini_ism.results import Claim, Row, mean_interval
from mini_ism.results.rows import Config, Result
from research.markdown import claims_table, markdown_table
from research.registry import register_sweep
from research.sweep import Sweep

ETA, LAYERS, EXAMPLES = 0.04, 50, 40  # as in 2308.06912: eta = 1.6 / n
PROMPTS = 64  # of an experiment
SETTINGS = {
    "causal": ("causal", 40),
    "ISM 10 x 4": ("ism", 10),
    "ISM 5 x 8": ("ism", 5),
    "ISM 2 x 20": ("ism", 2),
    "prefix": ("prefix", 1),
}
"""Masks between causal and prefix, by name: the rule, and the number of segments that hold the examples."""

NOISE, SHIFTS = 0.3, (0.0, 0.25, 0.5, 1.0)
SETTLED = {"causal": [12], "ism": [2, 3, 1, 6], "prefix": [12]}
"""Prompts small enough for 20,000 layers to converge: for each rule, the sizes of the segments."""


def configs(experiments: int) -> list[Config]:
    """The configs of all figures."""
    made: list[Config] = []
    for noise in (0.0, NOISE):
        made += [{"figure": "layers", "mask": name, "noise": noise} for name in SETTINGS]
    made += [{"figure": "shift", "mask": name, "shift": shift} for shift in SHIFTS for name in SETTINGS]
    made += [{"figure": "turns", "mask": rule, "noise": noise} for noise in (0.0, NOISE) for rule in SETTLED]
    made += [{"figure": "settled", "mask": rule, "noise": noise} for noise in (0.0, NOISE) for rule in SETTLED]
    return [{**config, "experiments": experiments} for config in made]


def run(config: Config) -> Result:
    """Compute one curve, the means of the experiments; or whether layers converge to the closed form."""
    figure, count = config["figure"], config["experiments"]
    noise, shift = config.get("noise", 0.0), config.get("shift", 0.0)
    if figure == "settled":
        task, s = draw_tasks(8, examples=12, width=5, noise=noise), example_segments(SETTLED[config["mask"]])
        settled = lsa_weights(task, s, config["mask"], eta=0.15, layers=20_000)[-1]
        off = (settled - stationary_weights(task, s, config["mask"])).abs().max()
        return {"agrees to 1e-6": bool(off < 1e-6)}
    task = draw_tasks(count * PROMPTS, examples=EXAMPLES, noise=noise, shift=shift)

    def means(weights: Tensor) -> list[float]:
        """The mean risk of each experiment, to six digits, which are the same on any machine."""
        return [float(f"{mean:.6g}") for mean in task.risk(weights).view(count, PROMPTS).mean(1).tolist()]

    if figure == "turns":
        s = example_segments([8] * 5)
        ends = turn_weights(task, s, config["mask"], eta=ETA, layers=LAYERS)
        return {"turns": [means(weights) for weights in ends]}
    rule, segments = SETTINGS[config["mask"]]
    s = example_segments(split_evenly(EXAMPLES, segments))
    rest = stationary_weights(task, s, rule)
    if figure == "shift":
        return {"rest": means(rest), "nothing": means(torch.zeros_like(rest))}
    layers = lsa_weights(task, s, rule, eta=ETA, layers=LAYERS)
    return {"layer 10": means(layers[10]), "layer 50": means(layers[50]), "rest": means(rest)}


# -- what the rows say -----------------------------------------------------------------------------


def band(values: Sequence[float]) -> tuple[float, float]:
    """The interval that holds 95% of the experiments' means."""
    low, high = np.quantile(values, (0.025, 0.975)).tolist()
    return float(low), float(high)


def _cell(values: Sequence[float], show: Callable[[float], str] = "{:.3g}".format) -> str:
    mean, (low, high) = float(np.mean(values)), band(values)
    return "0" if mean < 1e-12 else f"{show(mean)} ({show(low)} to {show(high)})"


def _found(rows: list[Row]) -> dict[tuple[str, str, float], Result]:
    """Results by figure, mask, and noise or shift."""
    found = {}
    for row in rows:
        c = row.config
        found[c["figure"], c["mask"], c["shift"] if "shift" in c else c["noise"]] = row.result
    return found


def claims(rows: list[Row]) -> list[Claim]:
    """Differences experiment by experiment: all masks read the same prompts. Empty until all runs are made."""
    found = _found(rows)
    if len(found) < len(configs(1)):
        return []

    def claim(text: str, one: Sequence[float], other: Sequence[float]) -> Claim:
        pairs = [a - b for a, b in zip(one, other, strict=True)]
        return Claim(text, mean_interval(pairs, t=float(t.ppf(0.975, len(pairs) - 1))))

    made = []
    for a, b in pairwise(SETTINGS):
        where = "layer 50" if b == "prefix" else "rest"  # at rest both are 0
        one, other = found["layers", a, 0.0], found["layers", b, 0.0]
        made.append(claim(f"error at {where}, {a} - {b}", one[where], other[where]))
    worst = found["layers", "ISM 2 x 20", NOISE]["rest"]
    for b in ("causal", "ISM 5 x 8", "prefix"):
        made.append(claim(f"error at rest with noise, ISM 2 x 20 - {b}", worst, found["layers", b, NOISE]["rest"]))
    for name in ("causal", "ISM 5 x 8"):
        shares = [
            [rest / nothing for rest, nothing in zip(r["rest"], r["nothing"], strict=True)]
            for r in (found["shift", name, 1.0], found["shift", name, 0.0])
        ]
        made.append(claim(f"share of the error left at rest, inputs shifted by 1 - centred, {name}", *shares))
    for noise in (0.0, NOISE):
        for a, b in (("causal", "ism"), ("ism", "prefix")):
            one, other = found["turns", a, noise]["turns"], found["turns", b, noise]["turns"]
            for turn in range(5):
                if (a, turn) != ("ism", 0):  # one segment is read the same way by both
                    text = f"error, turn {turn + 1}, noise {noise:g}, {a} - {b}"
                    made.append(claim(text, one[turn], other[turn]))
    return made


def tables(rows: list[Row]) -> str:
    """The section: one table per figure, then the differences."""
    found, count = _found(rows), rows[0].config["experiments"]
    if len(found) < len(configs(1)):
        return "The tables come when all runs are made."
    parts = [
        f"Exact: {count} experiments of {PROMPTS} prompts, each of {EXAMPLES} examples in 16 directions, inputs "
        f"uniform in (-1, 1), step {ETA:g}. Errors are squared, averaged over all queries there could be (who knows "
        "nothing errs by 5.33). Mean, and in brackets the band in which 95% of the experiments lie.\n"
    ]
    for noise, title in ((0.0, "Without noise on the labels"), (NOISE, f"With noise of standard deviation {NOISE:g}")):
        lines = [
            [name, *(_cell(found["layers", name, noise][where]) for where in ("layer 10", "layer 50", "rest"))]
            for name in SETTINGS
        ]
        parts += [f"{title}:\n", markdown_table(["mask", "layer 10", "layer 50", "at rest"], lines)]
    lines = []
    for shift in SHIFTS:
        results = [found["shift", name, shift] for name in SETTINGS]
        shares = ([a / b for a, b in zip(r["rest"], r["nothing"], strict=True)] for r in results)
        lines.append([f"{shift:g}", *(_cell(share, "{:.1%}".format) for share in shares)])
    parts += [
        "Inputs whose mean is shifted: the share that is left, at rest, of the error of who knows nothing:\n",
        markdown_table(["shift", *SETTINGS], lines),
        f"A dialogue of five turns of 8 examples, after {LAYERS} layers, asked at the end of each turn:\n",
        markdown_table(
            ["mask", "noise", *(f"turn {turn + 1}" for turn in range(5))],
            [
                [rule, f"{noise:g}", *(_cell(turn) for turn in found["turns", rule, noise]["turns"])]
                for noise in (0.0, NOISE)
                for rule in SETTLED
            ],
        ),
        "20,000 layers against the closed form (triangular system, block Kaczmarz, least squares), 8 prompts of 12 "
        "examples in 5 directions:\n",
        markdown_table(
            ["mask", "segments", "noise", "agree to 1e-6"],
            [
                [rule, " + ".join(map(str, sizes)), f"{noise:g}", _yes(found["settled", rule, noise])]
                for rule, sizes in SETTLED.items()
                for noise in (0.0, NOISE)
            ],
        ),
        f"Differences, experiment by experiment ({count}; all masks read the same prompts):\n",
        claims_table(claims(rows), lambda difference: difference.text(4)),
    ]
    return "\n".join(parts)


def _yes(result: Result) -> str:
    return "yes" if result["agrees to 1e-6"] else "no"


THEORY = register_sweep(
    Sweep(
        "theory",
        run,
        configs(64),
        configs(8),
        title="In-context regression, exactly",
        tables=tables,
        claims=claims,
        place=10,
    )
)
