"""Small transformers trained on in-context regression: error by mask, depth and turn, at each mask's best rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mini_ism.results import SWEPT, Row, grouped, mean_interval
from mini_ism.results.regression import SETTING, best, by_setting, claims, differences, mean_error, value
from mini_ism.results.rows import Config, Result
from mini_ism.views import Figure, interval_figure
from research.markdown import markdown_table, rates_table
from research.registry import register_sweep
from research.regression_dialogues import Shape
from research.regression_models import WORST, Outcome, Recipe, train_readers
from research.sweep import Sweep

SEEDS = range(5)
TRIED = range(2)
"""Seeds that try rates that the others do not."""

LINEAR_RATES = (4e-2, 2e-2, 8e-2, 1e-2, 1.6e-1)
SOFTMAX_RATES = (4e-3, 2e-3, 8e-3, 1e-3)


def configs(
    *, layers: Sequence[int], masks: Sequence[str] = SWEPT, seeds: Sequence[int], rates: Sequence[float], **same: Any
) -> list[Config]:
    """All combinations, ordered by depth and then by rate.

    If time runs out, the finished rates then have all their masks and seeds.
    """
    return [
        {"layers": depth, "mask": mask, "seed": seed, "lr": rate, **same}
        for depth in layers
        for rate in rates
        for seed in seeds
        for mask in masks
    ]


def run_linear(configs: list[Config]) -> list[Result]:
    """Train the runs of a depth and a mask together."""
    first = configs[0]
    recipe = Recipe(first["mask"], first["layers"], first["steps"], Shape(turns=first["turns"]))
    return [_result(outcome) for outcome in train_readers(recipe, [(c["seed"], c["lr"]) for c in configs])]


def run_softmax(config: Config) -> Result:
    """Train one model of the package's own blocks."""
    shape = Shape(turns=config["turns"])
    recipe = Recipe(config["mask"], config["layers"], config["steps"], shape, softmax=True)
    return _result(train_readers(recipe, [(config["seed"], config["lr"])])[0])


def _result(outcome: Outcome) -> Result:
    """An outcome in a form that JSON can represent."""

    def number(value: float) -> float | None:
        return round(value, 5) if math.isfinite(value) else None

    return {
        "validation": number(outcome.validation),
        "error": number(outcome.error),
        "half": number(outcome.half),
        "turns": [number(turn) for turn in outcome.turns],
        "whole": number(outcome.whole),
    }


def _rate(runs: list[Row], tried: list[Row]) -> str:
    """The learning rate of runs, with a remark if it is the largest tried, so that a larger one might be better."""
    chosen, rates = runs[0].config["lr"], {row.config["lr"] for row in tried}
    return f"{chosen:g}" + (", the largest tried" if min(rates) < chosen == max(rates) else "")


def tables(rows: list[Row], *, task: str) -> str:
    """The section of a sweep."""
    chosen, turns = best(rows), range(len(rows[0].result["turns"]))
    tried = grouped(rows, SETTING)
    errors = [
        [
            str(depth),
            mask,
            _rate(runs, tried[depth, mask]),
            str(len(runs)),
            mean_error(runs).text(),
            mean_interval(value(row, "half") for row in runs).text(),
            *(mean_error(runs, turn).text() for turn in turns),
            mean_interval(value(row, "whole") for row in runs).text(),
        ]
        for (depth, mask), runs in chosen.items()
    ]
    pairs = [
        [str(depth), pair, turn, difference.text(3), difference.verdict, "yes" if apart else "no"]
        for depth, pair, turn, difference, apart in differences(rows)
    ]
    return "\n".join(
        [
            f"{task}\n",
            "Mean squared error as a multiple of ridge regression's on the same examples (1 = the best there is), on "
            f"test draws, at the rate that is best for the mask on validation draws. Of both, the worst {WORST:.1%} of "
            "the dialogues are left out, save in the last column:\n",
            markdown_table(
                [
                    "layers",
                    "mask",
                    "rate",
                    "seeds",
                    "error",
                    "after half of the steps",
                    *(f"turn {turn + 1}" for turn in turns),
                    "nothing left out",
                ],
                errors,
            ),
            "Differences of these errors, seed by seed. *Apart*: the masks' own intervals have nothing in common.\n",
            markdown_table(["layers", "difference", "turns", "mean and interval", "verdict", "apart"], pairs),
            rates_table(
                rows,
                SETTING,
                chosen,
                partial(value, name="validation"),
                what="Mean error on validation draws",
                show="{:.2f}".format,
            ),
        ]
    )


def figures(rows: list[Row]) -> dict[str, Figure]:
    """Errors by depth and turn, from two layers on."""
    if not (groups := by_setting(rows)):
        return {}
    label = "mean squared error, as a multiple of ridge regression's"
    return {"errors": interval_figure(groups, x_label=label, share=False, reference=(1, "ridge regression"))}


TASK = (
    "A dialogue of {turns} turns; each brings 6 examples (x, y) of the dialogue's one linear function in 3 directions "
    "(labels with noise of standard deviation 0.2) and a question x. A turn is a query segment; nobody reads a "
    "question's position, and under prefix each turn is a sample of its own. {model} 64 dialogues a step, AdamW "
    "without decay, clipped at 1, {steps} steps."
)


def _register(
    name: str,
    run: Callable[[Any], Any],
    full: list[Config],
    cut: list[Config],
    *,
    title: str,
    model: str,
    place: int,
    together: tuple[str, ...] = (),
) -> Sweep:
    """Register a sweep of this task; its text takes turns and steps from the configs."""
    task = TASK.format(turns=full[0]["turns"], steps=f"{full[0]['steps']:,}", model=model)
    return register_sweep(
        Sweep(
            name,
            run,
            full,
            cut,
            title=title,
            tables=partial(tables, task=task),
            claims=claims,
            together=together,
            place=place,
            figures=figures,
        )
    )


LINES = "Linear attention alone, no MLP, two learned matrices a layer."
BLOCKS = "The package's blocks, 32 wide, 2 heads, no positions."
AGAIN = "Depths and masks have the rates that were best for them in {} steps."

LINEAR = _register(
    "regression-linear",
    run_linear,
    configs(layers=(2, 1, 3, 4), seeds=SEEDS, rates=LINEAR_RATES, steps=3000, turns=3),
    configs(layers=(1, 2), seeds=TRIED, rates=LINEAR_RATES[:1], steps=1000, turns=3),
    title="In-context regression, trained: linear attention",
    model=LINES,
    together=("seed", "lr"),
    place=11,
)

# Have they converged?
_register_again = partial(_register, run=run_linear, together=("seed", "lr"))
_register_again(
    "regression-linear-long",
    full=[
        *configs(layers=(2,), seeds=SEEDS, rates=LINEAR_RATES[1:2], steps=9000, turns=3),
        *configs(layers=(3,), seeds=SEEDS, rates=LINEAR_RATES[2:3], steps=9000, turns=3),
        *configs(layers=(4,), seeds=SEEDS, rates=LINEAR_RATES[:1], steps=9000, turns=3),
        *configs(layers=(4,), masks=["ism"], seeds=SEEDS, rates=LINEAR_RATES[2:3], steps=9000, turns=3),
    ],
    cut=configs(layers=(3,), masks=["causal", "ism"], seeds=TRIED, rates=LINEAR_RATES[2:3], steps=1500, turns=3),
    title="The same, three times the steps",
    model=f"{LINES} {AGAIN.format('3,000')} But ISM's with four layers, 0.08, diverges in more, so it has 0.04 too.",
    place=12,
)
_register_again(
    "regression-linear-longest",
    full=[
        *configs(layers=(4,), seeds=SEEDS, rates=LINEAR_RATES[:1], steps=27000, turns=3),
        *configs(layers=(4,), masks=["ism", "prefix"], seeds=SEEDS, rates=LINEAR_RATES[1:2], steps=27000, turns=3),
        *configs(layers=(4,), masks=["prefix"], seeds=SEEDS, rates=LINEAR_RATES[3:4], steps=27000, turns=3),
    ],
    cut=[],
    title="The same, four layers and nine times the steps",
    model=f"{LINES} Each mask has the largest rate tried at which no seed of five diverges.",
    place=13,
)

SHORT = 2000
OTHERS = SOFTMAX_RATES[:1] + SOFTMAX_RATES[2:]

SOFTMAX = _register(
    "regression-softmax",
    run_softmax,
    [
        *configs(layers=(2, 1), seeds=SEEDS, rates=SOFTMAX_RATES[:2], steps=SHORT, turns=2),
        *configs(layers=(2, 1), seeds=TRIED, rates=SOFTMAX_RATES[2:], steps=SHORT, turns=2),
        *configs(layers=(3, 4), seeds=SEEDS, rates=SOFTMAX_RATES[1:2], steps=SHORT, turns=2),
        *configs(layers=(3, 4), seeds=TRIED, rates=OTHERS, steps=SHORT, turns=2),
    ],
    configs(layers=(2,), seeds=TRIED, rates=SOFTMAX_RATES[1:2], steps=SHORT, turns=2),
    title="In-context regression, trained: softmax attention and MLP",
    model=BLOCKS,
    place=21,
)

LATER = configs(layers=(2,), masks=["causal", "ism"], seeds=TRIED, rates=SOFTMAX_RATES[1:2], steps=2400, turns=2)

# Do the findings of the short trainings still hold later?
for place, (name, times, word, cut) in enumerate((("long", 3, "three", LATER), ("longest", 9, "nine", [])), start=22):
    _register(
        f"regression-softmax-{name}",
        run_softmax,
        configs(layers=(2,), seeds=SEEDS, rates=SOFTMAX_RATES[1:2], steps=times * SHORT, turns=2),
        cut,
        title=f"The same, two layers and {word} times the steps",
        model=f"{BLOCKS} {AGAIN.format(f'{SHORT:,}')}",
        place=place,
    )
