"""The package's dialogues under a mask the weights were not trained with, as they are and after a short training.

The paper uses ISM to convert a causal model (2408.00539). Here small models are trained from scratch on the control
skills, by a recipe that takes five minutes, then run under every mask, then trained a little longer under each. The
cut-down sweep uses the shipped models instead.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mini_ism.checkpoints import load_model
from mini_ism.corpus import Dialogue, load_split
from mini_ism.evaluation import CONTROL_SKILLS, Score, evaluate
from mini_ism.model import GPT
from mini_ism.results import Row
from mini_ism.results.mismatch import ALL, key
from mini_ism.results.rows import Config, Result
from mini_ism.sources import Source
from mini_ism.tokenizer import load_tokenizer
from mini_ism.training import Run, TrainingConfig
from research.markdown import markdown_table
from research.mismatch import OTHER_SEED, SINK, Matrix
from research.registry import register_sweep
from research.sweep import Sweep

TUNED = ("causal", "ism", SINK, "prefix")
MATRIX = Matrix((*TUNED, "ism(system_as_query=False)"), TUNED, CONTROL_SKILLS, "control skills", {})


def run(config: Config) -> Result:
    """Train from scratch, then measure under each mask, before and after a fine-tune.

    Args:
        config: ``mask`` and ``seed`` of the training, its ``steps`` and the skills' ``weights``, the steps of each
            fine-tune (``tune``), and how many ``dialogues`` of the test split are asked. With no ``steps``, the mask's
            shipped model is used and nothing is trained before the fine-tune.

    Returns:
        Tokens of training, and its seconds, both wall-clock and processor time, which other load does not lengthen; and
        shares of answers exactly right, named as :func:`mini_ism.results.mismatch.key` does.
    """
    test = questions(config["dialogues"])
    with TemporaryDirectory() as folder:
        place = Path(folder)
        recipe = five_minutes(config["mask"], config["seed"], config["steps"] or config["tune"], config["weights"])
        model, result = _trained(recipe, place / "trained") if config["steps"] else (load_model(config["mask"])[0], {})
        for mask in MATRIX.run:
            result |= shares("zero-shot", mask, model, test)
        for number, mask in enumerate(TUNED):
            tuned = Run(fine_tune(recipe, mask, config["tune"]), place / str(number), source=Source(model=model))
            result |= shares("tuned", mask, tuned.train(), test)
    return result


def _trained(recipe: TrainingConfig, place: Path) -> tuple[GPT, Result]:
    trained, clock = Run(recipe, place), time.process_time()
    model = trained.train()
    return model, {
        "seconds": round(trained.progress.seconds, 2),
        "cpu_seconds": round(time.process_time() - clock, 2),
        "tokens": trained.progress.tokens,
        "seen": trained.progress.seen,
    }


def five_minutes(mask: str, seed: int, steps: int, weights: str) -> TrainingConfig:
    """The package's defaults on the control skills alone, without pausing to validate or save."""
    return TrainingConfig(
        mask=mask,
        seed=seed,
        steps=steps,
        skills=",".join(CONTROL_SKILLS),
        weights=weights,
        coined=0.16,
        corpus=1,
        validate=steps,
        validation_size=1,
        save=steps,
    )


def fine_tune(recipe: TrainingConfig, mask: str, steps: int) -> TrainingConfig:
    """A short training that continues another: a third of the rate, different dialogues, no easy ones first."""
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
    """Those of the first dialogues of the test split that ask for a control skill."""
    return [
        dialogue for dialogue in load_split("test", version=1)[:count] if set(CONTROL_SKILLS) & set(dialogue.skills)
    ]


def shares(stage: str, mask: str, model: GPT, test: list[Dialogue]) -> dict[str, float]:
    """Exact match on the control skills under a mask."""
    scores = evaluate(model, load_tokenizer(), test, mask)
    control = {skill: scores[skill] for skill in CONTROL_SKILLS}
    control[ALL] = sum(control.values(), Score(0, 0))
    return {key(stage, mask, skill): round(score.share, 5) for skill, score in control.items()}


# -- the report ------------------------------------------------------------------------------------


def tables(rows: list[Row]) -> str:
    """The section: the trained models, the two matrices, the comparisons."""
    config = rows[0].config
    recipe = f"{config['steps']:,} steps with weights `{config['weights']}`, one thread"
    models = f"From scratch on the control skills, {recipe}" if config["steps"] else "The shipped models"
    return (
        f"{models}; exact match on the first {config['dialogues']:,} dialogues of the test split, whose "
        "histories also hold other skills. Prefix learns one sample a turn.\n\n"
        f"{_training(rows)}\n"
        "The same weights under each mask, control skills pooled. `sink=True` keeps token 0 causal, "
        "`system_as_query=False` the system prompt.\n\n"
        f"{MATRIX.tables(rows, 'a third of the rate')}"
    )


def _training(rows: list[Row]) -> str:
    header = ["mask", "seed", "seconds", "core-seconds", "tokens", *CONTROL_SKILLS, "pooled"]
    lines = []
    for row in (row for row in rows if row.config["steps"]):
        c, r = row.config, row.result
        found = [f"{r[key('zero-shot', c['mask'], skill)]:.1%}" for skill in (*CONTROL_SKILLS, ALL)]
        took = (f"{r['seconds']:.0f}", f"{r['cpu_seconds']:.0f}", f"{r['tokens']:,}")
        lines.append([c["mask"], str(c["seed"]), *took, *found])
    return markdown_table(header, lines) if lines else ""


WEIGHTS = "recall=2,persona=2,queue=10"  # of the control skills the queue is learned last


def _configs(masks: Iterable[str], seeds: Iterable[int], **sizes: int) -> list[Config]:
    """Seed by seed, so that complete pairs are available early."""
    return [{"mask": mask, "seed": seed, "weights": WEIGHTS, **sizes} for seed in seeds for mask in masks]


FULL = {"steps": 3300, "tune": 330, "dialogues": 1000}

register_sweep(
    Sweep(
        "mismatch",
        run,
        [*_configs(("causal", "ism"), range(5), **FULL), *_configs(("prefix",), range(5), **FULL)],
        _configs(("causal", "ism"), range(1), steps=0, tune=50, dialogues=200),
        title="Weights under another mask: the package's dialogues",
        tables=tables,
        claims=MATRIX.claims,
        place=60,
        figures=MATRIX.figures,
    )
)
