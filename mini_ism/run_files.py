"""What a training run keeps on the disk, so that it can go on as if it had never stopped.

``state.safetensors`` holds the weights, the optimiser's state, the run's configuration and how far it is;
``metrics.jsonl`` holds what it measured, a line per step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mini_ism.checkpoints import CheckpointError
from mini_ism.distributed import ALONE, Team
from mini_ism.files import fingerprint, write_atomically
from mini_ism.metrics import Measurement, read_metrics, write_metrics

STATE, METRICS = "state.safetensors", "metrics.jsonl"
Facts = Mapping[str, int | float | str]
LATER: Facts = {"precision": "float32"}
"""What a configuration has learned to say since runs were first saved, with what a run that does not say it did."""
RENAMED = {"validation": "validation_size"}
"""What a configuration called otherwise when runs were first saved."""


@dataclass
class Progress:
    """How far a run is.

    Args:
        step: steps done.
        seconds: time spent in steps, over all sittings.
        tokens: positions computed so far, padding left out.
        seen: dialogues seen so far.
    """

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    seen: int = 0


def save_run(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    config: Facts,
    progress: Facts,
    metrics: list[Measurement],
    team: Team = ALONE,
) -> None:
    """Write all that a run needs to go on. All processes of a team must call this, and the first one writes.

    Raises:
        OSError: see :func:`~mini_ism.files.write_atomically`.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    tensors = team.whole(tensors)
    if not team.leads:
        return
    about = {"config": json.dumps(dict(config)), "progress": json.dumps(dict(progress))}
    about["sha256"] = fingerprint(tensors, *about.values())
    write_metrics(folder / METRICS, metrics)  # first: those that are ahead of the state are dropped on resuming
    write_atomically(folder / STATE, save(tensors, about))


def resume_run(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, *, config: Facts, team: Team = ALONE
) -> tuple[Progress, list[Measurement]]:
    """Put a run's saved state, if there is any, into a fresh model and optimiser.

    A team's size and kind do not matter: what is saved is whole, and every process takes its own part of it.

    Returns:
        How far the run was, and what it had measured.

    Raises:
        CheckpointError: the folder holds a run with another configuration, or a damaged one.
        ValueError: not all processes of the team see the same folder.
    """
    found = team.gather((folder / STATE).exists())
    if not any(found):
        return Progress(), []
    if not all(found):
        raise ValueError(f"{folder} holds a run for some processes of this training only; give a folder that all share")
    remedy = "choose another folder with --out, or delete this one to start afresh"
    file = folder / STATE
    try:
        with safe_open(file, "pt") as content:
            about = content.metadata() or {}
            # Copies, or the optimiser would go on living in the file, which Windows then refuses to replace.
            tensors = {key: content.get_tensor(key).clone() for key in content.keys()}  # noqa: SIM118
        saved_config, progress = _config(about["config"]), Progress(**json.loads(about["progress"]))
        if about["sha256"] != fingerprint(tensors, about["config"], about["progress"]):
            raise ValueError("its content has changed since it was saved")
        file = folder / METRICS
        metrics = [line for line in read_metrics(file) if line["step"] <= progress.step]
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise CheckpointError(f"{file} is damaged or not a training run ({error}); {remedy}") from None
    if mismatches := {name for name in {**saved_config, **config} if saved_config.get(name) != config.get(name)}:
        message = ", ".join(
            f"{name}={saved_config.get(name)!r} there, {config.get(name)!r} now" for name in sorted(mismatches)
        )
        raise CheckpointError(f"{folder} holds a run with another config: {message}; {remedy}")
    model.load_state_dict({k: team.spread(tensors[f"model.{k}"], like=v) for k, v in model.state_dict().items()})
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".")
            state.setdefault(int(index), {})[name] = team.spread(value, like=parameters[int(index)])
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return progress, metrics


def _config(text: str) -> dict[str, int | float | str]:
    """A saved configuration in today's names."""
    saved = json.loads(text)
    for old, new in RENAMED.items():
        if new not in saved and old in saved:
            saved[new] = saved.pop(old)
    return {**LATER, **saved}
