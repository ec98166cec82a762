"""Weights under another mask than they were trained with: as they are, and after a short training with it.

The paper's use of ISM is to convert a causal model. Here small models are trained from scratch on the control skills,
by the recipe that takes five minutes, then run under every mask, then trained a little longer under each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mini_ism.corpus import Dialogue, load_split
from mini_ism.evaluation import CONTROL_SKILLS, Score, evaluate
from mini_ism.experiments.registry import register_sweep
from mini_ism.experiments.report import markdown_table
from mini_ism.experiments.rows import Config, Result, Row
from mini_ism.experiments.statistics import Claim, Interval, by_seed, mean_interval, paired_difference
from mini_ism.experiments.sweep import Sweep
from mini_ism.model import GPT
from mini_ism.tokenizer import load_tokenizer
from mini_ism.training import Run, TrainingConfig
from mini_ism.views import Figure, interval_figure

SINK = "ism(sink=True)"
TRAINED = ("causal", "ism", "prefix")
TUNED = ("causal", "ism", SINK, "prefix")
"""What each model is trained a little longer under. Its own mask is the control: what more training does by itself."""

RUN = (*TUNED, "ism(system_as_query=False)")
"""What each model is run under as it is."""

STAGES = ("zero-shot", "tuned")
OTHER_SEED = 1000  # dialogues of the fine-tune are none of the training's: added to the seed


def run(config: Config) -> Result:
    """Train from scratch, then measure under each mask, before and after a fine-tune.

    Args:
        config: ``mask`` and ``seed`` of the training, its ``steps`` and the skills' ``weights``, the steps of each
            fine-tune (``tune``), and how many ``dialogues`` of the test split are asked.

    Returns:
        Tokens and seconds of training, on the clock and of the core, which other work does not lengthen; and shares of
        answers exactly right as ``"STAGE MASK SKILL"``, where the skill ``all`` is the control skills pooled.
    """
    test = questions(config["dialogues"])
    with TemporaryDirectory() as folder:
        place = Path(folder)
        recipe = five_minutes(config["mask"], config["seed"], config["steps"], config["weights"])
        trained = Run(recipe, place / "trained")
        clock = time.process_time()
        model = trained.train()
        result: Result = {
            "seconds": round(trained.progress.seconds, 2),
            "cpu_seconds": round(time.process_time() - clock, 2),
            "tokens": trained.progress.tokens,
            "seen": trained.progress.seen,
        }
        for mask in RUN:
            result |= shares("zero-shot", mask, model, test)
        for number, mask in enumerate(TUNED):
            tuned = Run(fine_tune(recipe, mask, config["tune"]), place / str(number))
            tuned.model.load_state_dict(model.state_dict())
            result |= shares("tuned", mask, tuned.train(), test)
    return result


def five_minutes(mask: str, seed: int, steps: int, weights: str) -> TrainingConfig:
    """The package's defaults on the control skills alone, without a pause to validate or save."""
    return TrainingConfig(
        mask=mask,
        seed=seed,
        steps=steps,
        skills=",".join(CONTROL_SKILLS),
        weights=weights,
        validate=steps,
        validation=1,
        save=steps,
    )


def fine_tune(recipe: TrainingConfig, mask: str, steps: int) -> TrainingConfig:
    """A short training that goes on from another: a third of the rate, dialogues of its own, no easy ones first."""
    return replace(
        recipe,
        mask=mask,
        seed=recipe.seed + OTHER_SEED,
        lr=recipe.lr / 3,
        easy=0.0,
        steps=steps,
        validate=steps,
        save=steps,
    )


def questions(count: int) -> list[Dialogue]:
    """Of the test split's first so many dialogues, those that ask for a control skill."""
    return [dialogue for dialogue in load_split("test")[:count] if set(CONTROL_SKILLS) & set(dialogue.skills)]


def shares(stage: str, mask: str, model: GPT, test: list[Dialogue]) -> dict[str, float]:
    """Exact match on the control skills under a mask."""
    scores = evaluate(model, load_tokenizer(), test, mask)
    control = {skill: scores[skill] for skill in CONTROL_SKILLS}
    control["all"] = sum(control.values(), Score(0, 0))
    return {f"{stage} {mask} {skill}": round(score.share, 5) for skill, score in control.items()}


# -- the report ------------------------------------------------------------------------------------


def tables(rows: list[Row]) -> str:
    """The section: what five minutes give, the two matrices, the comparisons."""
    some = rows[0].config
    return (
        f"From scratch on the control skills, {some['steps']:,} steps with weights `{some['weights']}`, one thread; "
        f"exact match on the first {some['dialogues']:,} dialogues of the test split, whose histories also hold skills "
        "that were not trained. Prefix learns one sample a turn.\n\n"
        f"{_training(rows)}\n"
        "The same weights under each mask, control skills pooled. `sink=True` keeps token 0 causal, "
        "`system_as_query=False` the system prompt.\n\n"
        f"{_matrix(rows, 'zero-shot', RUN)}\n"
        f"After {some['tune']} steps more under the mask that they are run under, at a third of the rate, on dialogues "
        "that are new to them. On the diagonal is what more training does by itself.\n\n"
        f"{_matrix(rows, 'tuned', TUNED)}\n"
        "Differences in points, in pairs by seed:\n\n"
        f"{_differences(claims(rows))}"
    )


def _training(rows: list[Row]) -> str:
    header = ["mask", "seed", "seconds", "core-seconds", "tokens", *CONTROL_SKILLS, "pooled"]
    lines = []
    for row in rows:
        c, r = row.config, row.result
        found = [f"{r[_name('zero-shot', c['mask'], skill)]:.1%}" for skill in (*CONTROL_SKILLS, "all")]
        took = (f"{r['seconds']:.0f}", f"{r['cpu_seconds']:.0f}", f"{r['tokens']:,}")
        lines.append([c["mask"], str(c["seed"]), *took, *found])
    return markdown_table(header, lines)


def _matrix(rows: list[Row], stage: str, masks: Iterable[str]) -> str:
    lines = [
        [trained, str(next(iter(found.values())).count), *(interval.share() for interval in found.values())]
        for trained, found in _intervals(rows, stage, masks).items()
    ]
    return markdown_table(["trained with", "seeds", *(f"under {mask}" for mask in masks)], lines)


def _intervals(rows: list[Row], stage: str, masks: Iterable[str]) -> dict[str, dict[str, Interval]]:
    """The pooled share right by what weights were trained with, and what they are run under."""
    found = {}
    for trained in TRAINED:
        mine = [row for row in rows if row.config["mask"] == trained]
        if mine:
            found[trained] = {mask: mean_interval(row.result[_name(stage, mask)] for row in mine) for mask in masks}
    return found


def _differences(made: list[Claim]) -> str:
    lines = [[c.text, str(c.difference.count), c.difference.percent(), c.difference.verdict] for c in made]
    return markdown_table(["exact match", "seeds", "difference", ""], lines)


def claims(rows: list[Row]) -> list[Claim]:
    """How the masks compare, each under its own; what a mismatch loses, the sink saves, and a fine-tune gives back."""
    there = {row.config["mask"] for row in rows}
    made = []
    for a, b in (("ism", "causal"), ("prefix", "ism")):
        if {a, b} <= there:
            own = ((a, "zero-shot", a), (b, "zero-shot", b))
            made += [_claim(rows, *own, skill) for skill in (*CONTROL_SKILLS, "all")]
    for trained in (mask for mask in TRAINED if mask in there):
        others = [mask for mask in TRAINED if mask != trained]
        for stage in STAGES:
            made += [_claim(rows, (trained, stage, other), (trained, stage, trained)) for other in others]
            if trained != "ism":
                made.append(_claim(rows, (trained, stage, SINK), (trained, stage, "ism")))
        made += [_claim(rows, (trained, "tuned", other), (trained, "zero-shot", other)) for other in others]
    if {"causal", "ism"} <= there:
        made.append(_claim(rows, ("causal", "tuned", "ism"), ("ism", "tuned", "ism")))
    return made


def figures(rows: list[Row]) -> dict[str, Figure]:
    """Both matrices."""
    stages = {
        "zero-shot": (RUN, "weights as they are"),
        "tuned": (TUNED, f"after {rows[0].config['tune']} steps more under it"),
    }
    drawn = {}
    for stage, (masks, told) in stages.items():
        groups = {
            f"trained with {trained}": {mask: interval.drawn for mask, interval in found.items()}
            for trained, found in _intervals(rows, stage, masks).items()
        }
        drawn[stage] = interval_figure(groups, x_label=f"control skills exactly right under each mask, {told}")
    return drawn


Cell = tuple[str, str, str]
"""What weights were trained with, the stage, and what they are run under."""


def _claim(rows: list[Row], a: Cell, b: Cell, skill: str = "all") -> Claim:
    def told(cell: Cell) -> str:
        trained, stage, mask = cell
        return f"{trained} under {mask}" + (", tuned" if stage == "tuned" else "")

    def found(cell: Cell) -> dict[Any, float]:
        trained, stage, mask = cell
        return by_seed((row for row in rows if row.config["mask"] == trained), _value(_name(stage, mask, skill)))

    of = "" if skill == "all" else f"{skill}, "
    return Claim(f"{of}{told(a)} - {told(b)}", paired_difference(found(a), found(b)))


def _name(stage: str, mask: str, skill: str = "all") -> str:
    return f"{stage} {mask} {skill}"


def _value(name: str) -> Callable[[Row], float]:
    return lambda row: float(row.result[name])


WEIGHTS = "recall=2,persona=2,queue=10"  # of the control skills the queue is learned last


def _configs(masks: Iterable[str], seeds: Iterable[int], **sizes: int) -> list[Config]:
    """Seed by seed, so that whole pairs are there early."""
    return [{"mask": mask, "seed": seed, "weights": WEIGHTS, **sizes} for seed in seeds for mask in masks]


FULL = {"steps": 3300, "tune": 330, "dialogues": 1000}

register_sweep(
    Sweep(
        "mismatch",
        run,
        [*_configs(("causal", "ism"), range(5), **FULL), *_configs(("prefix",), range(5), **FULL)],
        _configs(("causal", "ism"), range(2), steps=500, tune=50, dialogues=150),
        title="Weights under another mask",
        tables=tables,
        claims=claims,
        place=60,
        figures=figures,
    )
)
