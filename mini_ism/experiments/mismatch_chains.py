"""Chains under another mask than weights were trained with: reading ahead taken away, given, and learned afterwards.

What the package's dialogues show faintly: there nearly all can be answered without reading ahead, here three links
cannot (:mod:`~mini_ism.experiments.word_tasks`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

from mini_ism.corpus import Dialogue
from mini_ism.evaluation import evaluate
from mini_ism.experiments.mismatch import ALL, OTHER_SEED, Matrix, name
from mini_ism.experiments.registry import register_sweep
from mini_ism.experiments.rows import MASKS, Config, Result, Row
from mini_ism.experiments.sweep import Sweep
from mini_ism.experiments.words import RATES, STEPS, first_questions, grid, shares, teach, train
from mini_ism.model import GPT
from mini_ism.tokenizer import load_tokenizer

TASK = "chains, any"
AHEAD = "3 links, ahead"
LAST_STAGE = (0.0, 0.0)
MATRIX = Matrix(
    MASKS, MASKS, (AHEAD, "3 links, behind", "2 links", "1 link"), "three links", {AHEAD: "three links, last ahead"}
)


def run(config: Config) -> Result:
    """Train on chains, then measure under each mask, before and after a fine-tune.

    Args:
        config: as for :func:`~mini_ism.experiments.words.train`, and the steps of each fine-tune (``tune``).

    Returns:
        Exact match on first questions of held-out dialogues, as :func:`~mini_ism.experiments.mismatch.name` has them;
        and of the training its ``tokens``.
    """
    model, progress = train(config)
    asked = first_questions(TASK)
    result: Result = {"tokens": progress["tokens"]}
    for mask in MATRIX.run:
        result |= _shares("zero-shot", mask, model, asked)
    for mask in MATRIX.tuned:
        tuned, seed, steps = copy.deepcopy(model), config["seed"] + OTHER_SEED, config["tune"]
        teach(tuned, {**config, "mask": mask, "seed": seed, "steps": steps, "every": steps}, LAST_STAGE)
        result |= _shares("tuned", mask, tuned, asked)
    return result


def _shares(stage: str, mask: str, model: GPT, asked: list[Dialogue]) -> dict[str, float]:
    found = shares(evaluate(model, load_tokenizer(), asked, mask), TASK)
    return {name(stage, mask, ALL if label == "target" else label): share for label, share in found.items()}


def tables(rows: list[Row]) -> str:
    """The section: the matrices, the comparisons."""
    some = rows[0].config
    return (
        f"The models of the section on words, {some['layers']} layers of one head, trained {some['steps']:,} steps at "
        f"rate {some['lr']:g}, asked first questions under each mask: three links all together, and those whose last "
        "link is told later than the middle one.\n\n"
        f"{MATRIX.tables(rows, 'the same rate')}"
    )


def _configs(masks: Iterable[str], seeds: Iterable[int], steps: int, tune: int) -> list[Config]:
    """Seed by seed, so that whole pairs are there early."""
    return [{**config, "tune": tune} for config in grid(TASK, [*masks], rates=RATES[1:2], seeds=[*seeds], steps=steps)]


register_sweep(
    Sweep(
        "mismatch-chains",
        run,
        [*_configs(("causal", "ism"), range(5), STEPS, 600), *_configs(("prefix",), range(5), STEPS, 600)],
        _configs(("causal", "ism"), range(1), 1500, 200),
        title="Weights under another mask: chains",
        tables=tables,
        claims=MATRIX.claims,
        place=55,
        figures=MATRIX.figures,
    )
)
