"""Words: does reading both ways answer what reading backwards cannot, at the same depth and size?

Small GPTs of the package, each trained from scratch on one task of :mod:`research.word_tasks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from random import Random

import torch

from mini_ism.config import GPTConfig
from mini_ism.corpus import Dialogue, chains
from mini_ism.evaluation import Score, evaluate
from mini_ism.line_attention import link_attention
from mini_ism.model import GPT
from mini_ism.results import SWEPT
from mini_ism.results.rows import Config, Result
from mini_ism.tokenizer import load_tokenizer
from mini_ism.training import TrainingConfig
from research.book_attention import book_attention
from research.learning import Scores, learn
from research.registry import register_sweep
from research.sweep import Sweep
from research.word_tables import all_claims, figures, tables
from research.word_tasks import TARGET, TASKS

STAGE_ENDS = (0.05, 0.25)  # shares of the steps after which the next stage begins
ASKED = 300  # dialogues of each of the two held-out draws
ASKED_ONCE = 1200  # dialogues whose first question is asked alone
MAPPED = 50  # dialogues whose attention is measured
WIDTH = 64


def run(config: Config) -> Result:
    """Train on a task, and evaluate on held-out dialogues.

    Args:
        config: as for :func:`train`.

    Returns:
        Exact match by label on ``test`` and ``validation`` draws at the end; ``first``: the same on first questions,
        which no earlier answer can give away; the ``curve``: the target's on validation at each measurement, with the
        tokens computed by then; the mean ``loss`` since the measurement before the last; ``maps``: where the first
        layer attends.
    """
    model, progress = train(config)
    asked, tokenizer = held_out(config["task"], "test"), load_tokenizer()
    attention = link_attention if config["task"].startswith("chains") else book_attention
    return {
        "test": shares(evaluate(model, tokenizer, asked), config["task"]),
        "first": shares(evaluate(model, tokenizer, first_questions(config["task"])), config["task"]),
        **progress,
        "maps": attention(model, tokenizer, asked[:MAPPED]),
    }


def train(config: Config) -> tuple[GPT, Result]:
    """Train on a task, the easy stages first.

    Args:
        config: ``task``, ``mask``, ``layers``, ``heads`` of each, ``lr``, ``seed``, ``steps``, dialogues per step
            (``batch``), and steps between two measurements (``every``).

    Returns:
        The model, and what :func:`run` returns about its training.
    """
    torch.manual_seed(config["seed"])
    model = GPT(
        GPTConfig(
            load_tokenizer().n_vocab, layers=config["layers"], heads=config["heads"], width=WIDTH, mask=config["mask"]
        )
    )
    return model, teach(model, config)


def teach(model: GPT, config: Config, ends: Sequence[float] = STAGE_ENDS) -> Result:
    """Train a model on a task, in place.

    Args:
        model: fresh, or to be trained further.
        config: as for :func:`train`.
        ends: the shares of the steps after which the next stage begins; zeros for the last stage from the start.

    Returns:
        What :func:`run` returns about the training.
    """
    task, draw = config["task"], TASKS[config["task"]]
    recipe = TrainingConfig(
        mask=config["mask"], seed=config["seed"], steps=config["steps"], lr=config["lr"], dialogues=config["batch"]
    )

    def drawn(step: int) -> list[Dialogue]:
        stage = sum(step >= end * recipe.steps for end in ends)
        return [draw(Random(f"{recipe.seed}/{step}/{n}"), stage) for n in range(recipe.dialogues)]

    def summary(scores: Scores) -> Result:
        return {"target": round(target(scores, task).share, 4)}

    learned = learn(model, recipe, config["every"], drawn, held_out(task, "validation"), summary)
    return {
        "validation": shares(learned.scores, task),
        "curve": learned.curve,
        "loss": learned.loss,
        "tokens": learned.tokens,
    }


def held_out(task: str, name: str, count: int = ASKED) -> list[Dialogue]:
    """Dialogues of a task that training never draws."""
    return chains.held_out(name, count, TASKS[task])


def first_questions(task: str) -> list[Dialogue]:
    """Test dialogues up to the answer to their first question."""
    return [chains.first_question(dialogue) for dialogue in held_out(task, "test", ASKED_ONCE)]


def target(scores: Scores, task: str) -> Score:
    """All questions of the kind that the task is about, together."""
    return sum((score for label, score in scores.items() if label.startswith(TARGET[task])), Score(0, 0))


def shares(scores: Scores, task: str) -> dict[str, float]:
    """Shares of answers exactly right, by label and for the target."""
    return {**{label: round(s.share, 5) for label, s in scores.items()}, "target": round(target(scores, task).share, 5)}


# -- what is run -----------------------------------------------------------------------------------

RATES = (3e-3, 1.5e-3, 6e-3, 7.5e-4)  # the last one where 1.5e-3 is the best of the three others
ONE = RATES[:1]
TRIED, OTHERS, SEEDS = range(2), range(2, 5), range(5)
"""Seeds that try every rate, those that take the best of them only, and all."""

BOTH = ("causal", "ism")
STEPS, LONG = 3000, 9000


def grid(
    task: str,
    masks: Sequence[str] = BOTH,
    *,
    rates: Sequence[float] = ONE,
    seeds: Sequence[int] = SEEDS,
    layers: int = 2,
    heads: int = 1,
    steps: int = STEPS,
) -> list[Config]:
    """A task under these masks, seed by seed; by default two layers of one head, the smallest that can learn it."""
    same = {"task": task, "layers": layers, "heads": heads, "steps": steps, "batch": 8, "every": steps // 10}
    return [{**same, "mask": mask, "lr": lr, "seed": seed} for lr, seed, mask in product(rates, seeds, masks)]


CONFIGS = [
    *grid("chains, any", rates=RATES[:2]),
    *grid("chains, any", rates=RATES[2:], seeds=TRIED),
    *grid("chains, any", ["prefix"], rates=RATES[:3], seeds=TRIED),
    *grid("chains, any", ["prefix"], rates=RATES[1:2], seeds=OTHERS),
    *grid("chains, any", ["causal"], rates=RATES[1:2], steps=LONG),  # does it learn the task, given time?
    *grid("chains, any", heads=4),
    *grid("chains, any", rates=RATES[1:3], seeds=TRIED, heads=4),
    *grid("chains, any", ["causal"], rates=RATES[:2], heads=4, steps=LONG),
    *grid("chains, any", layers=3),
    *grid("chains, any", rates=RATES[2:3], seeds=TRIED, layers=3),
    *grid("chains, any", ["causal"], rates=RATES[1:2], layers=3),
    *grid("chains, any", ["causal"], rates=RATES[3:], seeds=TRIED, layers=3),
    *grid("chains, any", ["ism"], rates=RATES[1:2], seeds=TRIED, layers=3),
    *grid("chains, asked back", heads=4),
    *grid("chains, asked back", rates=RATES[1:3], seeds=TRIED, heads=4),
    *grid("chains, outer later", rates=RATES[:2]),
    *grid("chains, outer later", rates=RATES[2:], seeds=TRIED),
    *grid("chains, outer later", ["prefix"], seeds=range(3)),
    *grid("chains, outer later", ["prefix"], rates=RATES[1:2]),
    # the price of looking ahead: other ways to get the same answers
    *grid("chains, told twice", ["causal"], rates=RATES[:3], seeds=TRIED),
    *grid("chains, told twice", ["causal"], seeds=OTHERS),
    *grid("chains, outer later, told twice", ["causal"], rates=RATES[:3], seeds=TRIED),
    *grid("chains, outer later, told twice", ["causal"], rates=RATES[1:2], seeds=OTHERS),
    *grid("chains, outer later", ["causal"], rates=RATES[:3], seeds=TRIED, layers=3),
    *grid("chains, outer later", ["causal"], rates=RATES[1:2], seeds=OTHERS, layers=3),
    *grid("chains, asked first", rates=RATES[:3], seeds=TRIED),
    *grid("chains, asked first", seeds=OTHERS),
    *grid("chains, asked first", ["causal"], rates=RATES[:3], seeds=TRIED, layers=3),
    *grid("chains, asked first", ["causal"], rates=RATES[1:2], seeds=OTHERS, layers=3),
    *grid("codebook before", heads=4),
    *grid("codebook before", rates=RATES[1:3], seeds=TRIED, heads=4),
    *grid("codebook after", heads=4),
    *grid("codebook after", ["causal"], rates=RATES[1:2], heads=4),
    *grid("codebook after", ["causal"], rates=RATES[2:], seeds=TRIED, heads=4),
    *grid("codebook after", ["ism"], rates=RATES[1:3], seeds=TRIED, heads=4),
    *grid("codebook later", heads=4),
    *grid("codebook later", rates=RATES[1:3], seeds=TRIED, heads=4),
    *grid("codebook later", ["prefix"], heads=4),
    *grid("codebook later", ["prefix"], rates=RATES[1:3], seeds=TRIED, heads=4),
    *grid("codebook before", heads=4, steps=LONG),  # do masks tie once all have learned it?
    *grid("codebook before", ["causal"], rates=RATES[1:2], heads=4, steps=LONG),
    *grid("codebook after", heads=4, steps=LONG),
    *grid("codebook after", ["causal"], rates=RATES[1:2], heads=4, steps=LONG),
    *grid("codebook later", SWEPT, rates=RATES[1:2], heads=4, steps=LONG),
    *grid("codebook after", ["causal"], rates=RATES[1:2], layers=3, heads=4, steps=LONG),  # one layer more
]
CUT = grid("chains, any", rates=RATES[1:2], seeds=TRIED)
register_sweep(
    Sweep(
        "words",
        run,
        CONFIGS,
        CUT,
        title="Words: three look-ups in two layers",
        tables=tables,
        claims=all_claims,
        place=30,
        figures=figures,
    )
)
