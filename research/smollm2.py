"""SmolLM2: does a pretrained chat model read conversations better under ISM, once it is fine-tuned for it?

SmolLM2-135M-Instruct learns, by LoRA, to read the conversations of :mod:`research.smollm2_texts`. Four arms compute
equally many tokens, draw the same conversations in the same order, and start from the same adapter:

- ``causal``;
- ``causal, told twice``: each user says everything twice, which costs tokens but needs no mask;
- ``ism``, and ``prefix``, which needs a separate sequence for each turn, both with token 0 causal.

Three contrasts were written down before the first run, in :data:`mini_ism.results.smollm2.CONTRASTS`: ISM minus causal
at turn 1, ISM minus causal at turns 2 to 4, and prefix minus ISM at turns 2 to 4. Told twice is reported alongside, as
something that anybody can do today.

Each arm tries every rate with the first seed, and goes on with more seeds at the rate that was best on validation
conversations, whose nouns neither training nor test shows. Answers are scored given the true history: an answer is
right if each of its tokens is the likeliest. A run takes hours on a CPU: if it is stopped, the same command in the same
folder resumes it from the last point of its curve. On CUDA sums are not taken in the same order each time, so a run is
reproducible only up to rounding.

A model's folder is needed: see :data:`research.smollm2_lora.FOLDER`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from functools import partial
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from mini_ism.files import sha256, write_atomically
from mini_ism.results import Row
from mini_ism.results.rows import Config, Result
from mini_ism.results.smollm2 import ALL, ARMS, FIRST, LATER, best, claims
from mini_ism.training import TrainingConfig, training_step
from research.registry import register_sweep
from research.smollm2_lora import base, batches, loss_on_answers, rule, shares, with_adapter
from research.smollm2_tables import figures, tables
from research.sweep import Sweep, key

RATES = (1e-3, 3e-4, 3e-3)
TRIED, SEEDS = range(1), range(5)
"""The seeds that try every rate, and all seeds."""
STEPS, STEP_TOKENS = 300, 8192
"""Of a training run; their product is the tokens that it computes."""
ASKED = 400  # test conversations, of four questions each
CHOSEN_ON = 200  # validation conversations at the end
POINTS, ASKED_OFTEN = 8, 64  # of the curve, and the validation conversations that each point asks
WARM_UP, CLIP = 0.1, 1.0
KEPT = Path("runs/smollm2")
"""Where an unfinished run keeps its adapter."""


def run(config: Config) -> Result:
    """Fine-tune an arm and count its answers.

    Args:
        config: ``arm``, ``lr``, ``seed``, ``steps`` and tokens per step (``step_tokens``), and how many conversations
            are asked on ``test``, on ``validation``, and at each point of the ``curve`` (``often``), which has so many
            (``points``). Without steps, the model is evaluated before any fine-tuning.

    Returns:
        Exact match by label on ``test`` and ``validation`` at the end; the ``curve``: the same on some of the
        validation conversations, with the tokens computed by then and the mean loss since the last point; the
        ``tokens`` and the ``conversations`` of the training; the ``device`` and the ``packages``.
    """
    arm, steps = config["arm"], config["steps"]
    device = base()[0].device
    model = with_adapter(config["seed"])
    curve = train(model, config) if steps else []
    about = {"tokens": 0, "conversations": 0} if not curve else {k: curve[-1][k] for k in ("tokens", "conversations")}
    result = {
        **about,
        "test": shares(model, arm, "test", config["test"]),
        "validation": shares(model, arm, "validation", config["validation"]),
        "curve": curve,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "packages": {name: metadata.version(name) for name in ("transformers", "peft")},
    }
    _unfinished(config).unlink(missing_ok=True)
    return result


def train(model: torch.nn.Module, config: Config) -> list[dict[str, Any]]:
    """Train an adapter in place, from where it was stopped; returns the curve, which starts before the first step."""
    arm, steps = config["arm"], config["steps"]
    mask = rule(arm)
    recipe = TrainingConfig(steps=steps, lr=config["lr"], warmup=WARM_UP)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=recipe.lr, weight_decay=0.0)
    ends = {round(steps * point / config["points"]) for point in range(1, config["points"] + 1)}
    tokens, conversations = 0, 0
    losses: list[torch.Tensor] = []
    curve: list[dict[str, Any]] = []

    def measure(step: int) -> None:
        scores = shares(model, arm, "validation", config["often"])
        mean = float(torch.stack(losses).mean()) if losses else math.nan
        loss = round(mean, 5) if math.isfinite(mean) else None
        shown = {label: scores[label] for label in (ALL, FIRST, LATER)}
        curve.append({"step": step, "tokens": tokens, "conversations": conversations, "loss": loss, **shown})
        losses.clear()
        _save(config, weights, optimizer, curve)

    if _unfinished(config).exists():
        curve += _resume(config, weights, optimizer)
        tokens, conversations = curve[-1]["tokens"], curve[-1]["conversations"]
    else:
        measure(0)
    done = curve[-1]["step"]
    stream = islice(batches(arm, config["seed"], config["step_tokens"]), done, None)
    for step in range(done, steps):
        batch, conversations = next(stream)
        loss = partial(loss_on_answers, model, mask, batch)
        losses.append(training_step([model], optimizer, [loss], lr=recipe.rate(step), clip=CLIP))
        tokens += batch.token_count
        if step + 1 in ends:
            measure(step + 1)
    return curve


def _unfinished(config: Config) -> Path:
    """The file of an unfinished run: its adapter, its optimiser's state and its curve so far."""
    return KEPT / f"{sha256(key(config).encode())[:16]}.pt"


def _save(
    config: Config, weights: Sequence[torch.Tensor], optimizer: torch.optim.Optimizer, curve: list[dict[str, Any]]
) -> None:
    """Write an unfinished run's file, all of it or nothing."""
    state = io.BytesIO()
    torch.save({"weights": weights, "optimizer": optimizer.state_dict(), "curve": curve}, state)
    write_atomically(_unfinished(config), state.getvalue())


def _resume(config: Config, weights: Sequence[torch.Tensor], optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Load the adapter and the optimiser's state of an unfinished run in place; returns its curve so far."""
    state = torch.load(_unfinished(config), map_location=weights[0].device, weights_only=True)
    with torch.no_grad():
        for weight, value in zip(weights, state["weights"], strict=True):
            weight.copy_(value)
    optimizer.load_state_dict(state["optimizer"])
    curve: list[dict[str, Any]] = state["curve"]
    return curve


# -- what is run -----------------------------------------------------------------------------------


def config(arm: str, lr: float, seed: int, steps: int = STEPS) -> Config:
    """A run's config; whatever is the same for all runs comes from the constants above."""
    sizes = {"test": ASKED, "validation": CHOSEN_ON, "often": ASKED_OFTEN, "points": POINTS}
    return {"arm": arm, "lr": lr, "seed": seed, "steps": steps, "step_tokens": STEP_TOKENS, **sizes}


def further(rows: Sequence[Row]) -> list[Config]:
    """More seeds of each arm, at its best rate, once it has tried them all."""
    tried = [row.config for row in rows]
    return [
        config(arm, runs[0].config["lr"], seed)
        for seed in SEEDS
        for arm, runs in best(rows).items()
        if seed not in TRIED and all(config(arm, lr, first) in tried for lr in RATES for first in TRIED)
    ]


CONFIGS = [
    *(config(arm, 0.0, 0, steps=0) for arm in ARMS),
    *(config(arm, lr, seed) for seed in TRIED for lr in RATES for arm in reversed(ARMS)),
]
register_sweep(
    Sweep(
        "smollm2",
        run,
        CONFIGS,
        [],
        title="SmolLM2: a pretrained chat model, fine-tuned to read conversations",
        tables=tables,
        claims=claims,
        place=90,
        figures=figures,
        further=further,
    )
)
