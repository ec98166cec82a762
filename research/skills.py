"""The package's own dialogues: do masks tie on the control skills, once these are learned?

With these skills alone, and without made-up words, which are learned late, small models learn in minutes what takes an
hour with the whole corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice, product

import torch

from mini_ism.config import GPTConfig
from mini_ism.corpus import Dialogue, generate
from mini_ism.corpus.registry import ACK
from mini_ism.evaluation import CONTROL_SKILLS, Score, evaluate
from mini_ism.model import GPT
from mini_ism.results import SWEPT
from mini_ism.results.rows import Config, Result
from mini_ism.results.skills import ALL, claims
from mini_ism.tokenizer import load_tokenizer
from mini_ism.training import TrainingConfig
from research.learning import Scores, learn
from research.registry import register_sweep
from research.skill_tables import figures, tables
from research.sweep import Sweep

WEIGHTS = dict(zip(CONTROL_SKILLS, (2.0, 4.0, 8.0), strict=True))  # the queue is learned last
LATE = ("queue", "reverse")  # the labels learned last; weights choose skills, not how many questions they ask
ASKED = {"validation": 300, "test": 1200}  # dialogues


def run(config: Config) -> Result:
    """Train from scratch, then evaluate on held-out dialogues.

    Args:
        config: ``mask``, ``layers``, ``lr``, ``seed``, ``steps``, dialogues per step (``batch``), steps between two
            measurements (``every``), and optionally ``drawn``, from how many dialogues they are chosen.

    Returns:
        Exact match by label on ``test`` and ``validation`` dialogues at the end; the ``curve``: the same on validation
        at each measurement, with the tokens computed by then; the mean ``loss`` since the measurement before the last.
    """
    torch.manual_seed(config["seed"])
    tokenizer, recipe = load_tokenizer(), _recipe(config)
    model = GPT(GPTConfig(tokenizer.n_vocab, layers=config["layers"], mask=recipe.mask))
    learned = learn(
        model,
        recipe,
        config["every"],
        dialogues(recipe, config.get("drawn")),
        held_out("validation"),
        lambda scores: {"right": shares(scores)},
    )
    return {
        "test": shares(evaluate(model, tokenizer, held_out("test"))),
        "validation": shares(learned.scores),
        "curve": learned.curve,
        "loss": learned.loss,
        "tokens": learned.tokens,
    }


def _recipe(config: Config) -> TrainingConfig:
    """The package's own training, on the control skills."""
    return TrainingConfig(
        mask=config["mask"],
        seed=config["seed"],
        steps=config["steps"],
        dialogues=config["batch"],
        skills=",".join(WEIGHTS),
        weights=",".join(f"{skill}={weight}" for skill, weight in WEIGHTS.items()),
        coined=0.0,
        corpus=1,
        lr=config["lr"],
    )


def dialogues(recipe: TrainingConfig, drawn: int | None) -> Callable[[int], list[Dialogue]]:
    """What each step learns from: the recipe's own draw or, after its easy steps, a choice from a larger draw.

    Args:
        recipe: with the number of dialogues per step.
        drawn: dialogues drawn per step. Those that ask most often for a label in ``LATE`` are taken; ``None`` for no
            choice.
    """
    if drawn is None:
        return recipe.draw
    larger = replace(recipe, dialogues=drawn)

    def chosen(step: int) -> list[Dialogue]:
        if recipe.is_easy(step):
            return recipe.draw(step)
        asked = sorted(larger.draw(step), key=lambda d: sum(label in LATE for label in d.skills), reverse=True)
        return asked[: recipe.dialogues]

    return chosen


def held_out(split: str) -> list[Dialogue]:
    """Dialogues of a split on the control skills, the same for every run."""
    return list(islice(generate(0, split, WEIGHTS, WEIGHTS, coined=0.0, version=1), ASKED[split]))


def shares(scores: Scores) -> dict[str, float]:
    """Shares of answers exactly right, by label and for all questions together."""
    asked = {label: score for label, score in scores.items() if label != ACK}
    asked[ALL] = sum(asked.values(), Score(0, 0))
    return {label: round(score.share, 5) for label, score in asked.items()}


# -- what is run -----------------------------------------------------------------------------------

RATES = (1.5e-3, 3e-3, 7.5e-4, 6e-3)
TRIED, SEEDS = range(2), range(5)
"""The seeds that try every rate, and all seeds."""


STEPS, LONG = 3000, 9000


def grid(
    layers: int,
    masks: Sequence[str] = ("causal", "ism"),
    *,
    rates: Sequence[float] = RATES[:1],
    seeds: Iterable[int] = SEEDS,
    steps: int = STEPS,
    drawn: int | None = None,
) -> list[Config]:
    """A depth under these masks, seed by seed."""
    same = {"layers": layers, "steps": steps, "batch": 16, "every": min(steps, 300)}
    if drawn is not None:
        same["drawn"] = drawn
    return [{**same, "mask": mask, "lr": lr, "seed": seed} for lr, seed, mask in product(rates, seeds, masks)]


CONFIGS = [
    *grid(2),
    *grid(2, rates=RATES[1:2]),  # two seeds were too few to separate it from the first
    *grid(2, rates=RATES[2:], seeds=TRIED),
    *grid(3),
    *grid(3, rates=RATES[1:3], seeds=TRIED),
]


def _register(name: str, full: list[Config], cut: list[Config], *, title: str, place: int) -> None:
    register_sweep(Sweep(name, run, full, cut, title=title, tables=tables, claims=claims, place=place, figures=figures))


_register("skills", CONFIGS, grid(2, seeds=TRIED, steps=200), title="Words: the package's control skills", place=35)
_register(
    "skills-long",  # are those that are learned last learned in the end?
    [*grid(2, steps=LONG), *grid(3, SWEPT, steps=LONG)],
    [],
    title="The same control skills, three times the steps",
    place=36,
)
_register(
    "skills-late",  # do all of them, where these are asked more often?
    grid(3, steps=LONG, drawn=32),
    [],
    title="The same, with more of what is learned last",
    place=37,
)
