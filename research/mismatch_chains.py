"""Chains under a mask the weights were not trained with: reading ahead taken away, given, and learned afterwards.

The package's dialogues show this only faintly, since nearly all their questions can be answered without reading ahead.
Chains of three links (:mod:`mini_ism.corpus.chains`) cannot.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

from mini_ism.corpus import Dialogue
from mini_ism.evaluation import evaluate
from mini_ism.model import GPT
from mini_ism.results import SWEPT, Row
from mini_ism.results.mismatch import ALL, key
from mini_ism.results.rows import Config, Result
from mini_ism.tokenizer import load_tokenizer
from research.mismatch import OTHER_SEED, Matrix
from research.registry import register_sweep
from research.sweep import Sweep
from research.words import RATES, STEPS, first_questions, grid, shares, teach, train

TASK = "chains, any"
AHEAD = "3 links, ahead"
LAST_STAGE = (0.0, 0.0)
MATRIX = Matrix(
    SWEPT, SWEPT, (AHEAD, "3 links, behind", "2 links", "1 link"), "three links", {AHEAD: "three links, last ahead"}
)


def run(config: Config) -> Result:
    """Train on chains, then measure under each mask, before and after a fine-tune.

    Args:
        config: as for :func:`research.words.train`, and the steps of each fine-tune (``tune``).

    Returns:
        Exact match on first questions of held-out dialogues, named as :func:`mini_ism.results.mismatch.key`
        does; and the ``tokens`` of the training.
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
    return {key(stage, mask, ALL if label == "target" else label): share for label, share in found.items()}


def tables(rows: list[Row]) -> str:
    """The section: the matrices, the comparisons."""
    config = rows[0].config
    return (
        f"The models of the section on words, {config['layers']} layers of one head, trained {config['steps']:,} steps "
        f"at rate {config['lr']:g}, asked first questions under each mask: three links all together, and those whose "
        "last link is told later than the middle one.\n\n"
        f"{MATRIX.tables(rows, 'the same rate')}"
    )


def _configs(masks: Iterable[str], seeds: Iterable[int], steps: int, tune: int) -> list[Config]:
    """Seed by seed, so that complete pairs are available early."""
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
