"""Words: does reading both ways answer what reading backwards cannot, at the same depth and size?

Small GPTs of the package, trained from scratch on one task of :mod:`~mini_ism.experiments.word_tasks` each.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from random import Random

import torch

from mini_ism.corpus import Dialogue
from mini_ism.evaluation import Score, evaluate
from mini_ism.experiments.learning import Scores, learn
from mini_ism.experiments.registry import register_sweep
from mini_ism.experiments.rows import MASKS, Config, Result
from mini_ism.experiments.sweep import Sweep
from mini_ism.experiments.word_figures import figures
from mini_ism.experiments.word_maps import book_attention, link_attention
from mini_ism.experiments.word_tables import claims, tables
from mini_ism.experiments.word_tasks import NOTED, STAGES, TARGET, TASKS
from mini_ism.model import GPT, GPTConfig
from mini_ism.tokenizer import load_tokenizer
from mini_ism.training import TrainingConfig

STAGE_ENDS = (0.05, 0.25)  # shares of the steps after which the next stage comes
ASKED = 300  # dialogues of each of the two held-out draws
ASKED_ONCE = 1200  # dialogues whose first question is asked alone
MAPPED = 50  # of them whose attention is looked at
WIDTH = 64


def run(config: Config) -> Result:
    """Train on a task, and ask held-out dialogues.

    Args:
        config: as for :func:`train`.

    Returns:
        Exact match by label on ``test`` and ``validation`` draws at the end; ``first``, the same on first questions,
        to which no answer before gives anything away; ``curve``, on validation, the target's at each measurement, with
        the tokens computed by then; the last interval's mean ``loss``; where the first layer looks, ``maps``.
    """
    model, progress = train(config)
    asked, tokenizer = held_out(config["task"], "test"), load_tokenizer()
    look = link_attention if config["task"].startswith("chains") else book_attention
    return {
        "test": shares(evaluate(model, tokenizer, asked), config["task"]),
        "first": shares(evaluate(model, tokenizer, first_questions(config["task"])), config["task"]),
        **progress,
        "maps": look(model, tokenizer, asked[:MAPPED]),
    }


def train(config: Config) -> tuple[GPT, Result]:
    """Train on a task, the easy stages first.

    Args:
        config: ``task``, ``mask``, ``layers``, ``heads`` of each, ``lr``, ``seed``, ``steps``, dialogues a step
            (``batch``), and steps between two measurements (``every``).

    Returns:
        The model, and what :func:`run` tells of its training.
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
        ends: the shares of the steps after which the next stage comes; zeros for the last stage from the start.

    Returns:
        What :func:`run` tells of its training.
    """
    task, draw = config["task"], TASKS[config["task"]]
    recipe = TrainingConfig(
        mask=config["mask"], seed=config["seed"], steps=config["steps"], lr=config["lr"], dialogues=config["batch"]
    )

    def drawn(step: int) -> list[Dialogue]:
        stage = sum(step >= end * recipe.steps for end in ends)
        return [draw(Random(f"{recipe.seed}/{step}/{n}"), stage) for n in range(recipe.dialogues)]

    def tell(scores: Scores) -> Result:
        return {"target": round(target(scores, task).share, 4)}

    learned = learn(model, recipe, config["every"], drawn, held_out(task, "validation"), tell)
    return {
        "validation": shares(learned.scores, task),
        "curve": learned.curve,
        "loss": learned.loss,
        "tokens": learned.tokens,
    }


def held_out(task: str, name: str, count: int = ASKED) -> list[Dialogue]:
    """Dialogues of the last stage that no training draws, the same for every run."""
    return [TASKS[task](Random(f"{name}/{n}"), STAGES - 1) for n in range(count)]


def first_question(dialogue: Dialogue) -> Dialogue:
    """A dialogue up to the answer to its first question: later ones may be answered out of the answers before them."""
    turns = 1 + next(turn for turn, label in enumerate(dialogue.skills) if label != NOTED)
    return Dialogue(dialogue.messages[: 2 * turns], dialogue.skills[:turns])


def first_questions(task: str) -> list[Dialogue]:
    """Test dialogues up to the answer to their first question."""
    return [first_question(dialogue) for dialogue in held_out(task, "test", ASKED_ONCE)]


def target(scores: Scores, task: str) -> Score:
    """All questions of the kind that the task is about, together."""
    return sum((score for label, score in scores.items() if label.startswith(TARGET[task])), Score(0, 0))


def shares(scores: Scores, task: str) -> dict[str, float]:
    """Shares of answers exactly right, by label and for the target."""
    return {**{label: round(s.share, 5) for label, s in scores.items()}, "target": round(target(scores, task).share, 5)}


# -- what is run -----------------------------------------------------------------------------------

RATES = (3e-3, 1.5e-3, 6e-3, 7.5e-4)  # the last one where 1.5e-3 is the best of the three others
ONE = RATES[:1]
TRIED, SEEDS = range(2), range(5)
"""Seeds that try every rate, and all of them."""

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
    """A task under some masks, seed by seed: two layers of one head, the smallest models that can, unless changed."""
    same = {"task": task, "layers": layers, "heads": heads, "steps": steps, "batch": 8, "every": steps // 10}
    return [{**same, "mask": mask, "lr": lr, "seed": seed} for lr, seed, mask in product(rates, seeds, masks)]


CONFIGS = [
    *grid("chains, any", rates=RATES[:2]),
    *grid("chains, any", rates=RATES[2:], seeds=TRIED),
    *grid("chains, any", ["prefix"], rates=RATES[:3], seeds=TRIED),
    *grid("chains, any", ["causal"], rates=RATES[1:2], steps=LONG),  # does it come to it in time?
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
    *grid("codebook later", MASKS, rates=RATES[1:2], heads=4, steps=LONG),
    *grid("codebook after", ["causal"], rates=RATES[1:2], layers=3, heads=4, steps=LONG),  # a look-up more
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
        claims=claims,
        place=30,
        figures=figures,
    )
)
