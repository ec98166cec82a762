"""What a training run keeps on disk, so that it can resume as if it had never stopped.

``state.safetensors`` holds all of it: the weights, the optimiser's state, the run's configuration, its progress, and
its measurements, a line per step. ``metrics.jsonl`` repeats these lines for other programs to read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mini_ism.checkpoints import MODEL, CheckpointError
from mini_ism.distributed import ALONE, Team
from mini_ism.files import LARGEST, fingerprint, not_finite, remove_leftovers, sha256, write_atomically
from mini_ism.folder_lock import FolderInUseError, locked
from mini_ism.interrupts import uninterrupted
from mini_ism.metrics import Measurement, metrics_bytes, parse_metrics, read_metrics
from mini_ism.strict_json import read_object, to_json

STATE, METRICS = "state.safetensors", "metrics.jsonl"
FILES = (STATE, METRICS, MODEL)
"""What a run leaves in its folder."""
LONGEST_NAME = 60  # characters of a folder's name; see run_name
Facts = Mapping[str, int | float | str]
LATER: Facts = {"precision": "float32", "corpus": 1}
"""Settings that were added since runs were first saved, with the values that earlier runs used."""
RENAMED = {"validation": "validation_size"}
"""Settings that had another name when runs were first saved."""


@dataclass
class Progress:
    """How far a run has come.

    Args:
        step: steps done.
        seconds: time spent in steps, over all restarts.
        tokens: positions computed so far, padding left out.
        seen: dialogues seen so far.
    """

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    seen: int = 0


class DivergedError(ValueError):
    """A loss or a weight is not finite, so the run cannot go on; the message says at which step, and what is kept."""


class RunFiles:
    """A run's folder: what is read from it, and what is written to it.

    Args:
        folder: created when something is written.
        team: the processes of the run; all must call each method, and the first one writes.

    Attributes:
        step: of the state that was read or written last; 0 if there is none.
    """

    def __init__(self, folder: Path, team: Team = ALONE) -> None:
        self.folder, self.team = folder, team
        self._digest, self.step = "", 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """A block during which no other run can write here; it begins by cleaning up what a kill has left behind.

        Raises:
            FolderInUseError: another run is writing here.
            CheckpointError: another run has written here since this one was read or written.
        """
        with ExitStack() as stack:
            error: Exception | None = None
            if self.team.leads:
                try:
                    stack.enter_context(locked(self.folder))
                    self._check_unchanged()
                    remove_leftovers(self.folder, *FILES)
                except (FolderInUseError, CheckpointError, OSError) as found:
                    error = found
            if (told := self.team.gather(error)[0]) is not None:
                raise told
            yield

    def _check_unchanged(self) -> None:
        digest = _read_about(self.folder / STATE).get("sha256", "") if (self.folder / STATE).exists() else ""
        if digest not in ("", self._digest):
            raise CheckpointError(
                f"another run has trained in {self.folder} since this one was opened; open it again to go on from "
                "there, or choose another folder"
            )

    @uninterrupted()
    def save(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        config: Facts,
        progress: Facts,
        metrics: Sequence[Measurement],
    ) -> None:
        """Save everything a run needs to resume; Ctrl-C takes effect when that is done.

        Raises:
            DivergedError: a value is not finite; what was saved before is untouched.
            OSError: see :func:`~mini_ism.files.write_atomically`.
        """
        tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
        tensors, step = self.team.whole(tensors), int(progress["step"])
        if name := self.team.gather(not_finite(tensors))[0]:
            raise self.diverged(f"{name} is not finite after step {step}")
        if not self.team.leads:
            return
        lines = metrics_bytes(metrics)
        tensors[METRICS] = torch.frombuffer(bytearray(lines or b"\n"), dtype=torch.uint8)  # no buffer may be empty
        about = {"config": to_json(dict(config)), "progress": to_json(dict(progress))}
        about["sha256"] = fingerprint(tensors, *about.values())
        write_atomically(self.folder / STATE, save(tensors, about))
        self._digest, self.step = about["sha256"], step
        write_atomically(self.folder / METRICS, lines)

    def diverged(self, what: str) -> DivergedError:
        """The error of a run that has diverged, which says what is kept."""
        kept = f"{self.folder / STATE} keeps step {self.step}" if self._digest else "nothing was saved"
        return DivergedError(
            f"{what}: training has diverged. {kept}; begin another run in another folder, with a lower --lr or --clip"
        )

    def resume(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, *, config: Facts
    ) -> tuple[Progress, list[Measurement]]:
        """Put a run's saved state, if there is any, into a fresh model and optimiser.

        A team's size and kind do not matter: the saved state is unsharded, and every process takes its own part of it.

        Returns:
            How far the run was, and what it had measured.

        Raises:
            CheckpointError: the folder holds a run with another configuration, or a damaged one.
            ValueError: not all processes of the team see the same folder.
        """
        file = self.folder / STATE
        found = self.team.gather(file.exists())
        if not any(found):
            return Progress(), []
        if not all(found):
            raise ValueError(
                f"{self.folder} holds a run for some processes of this training only; give a folder that all share"
            )
        remedy = "choose another folder with --out, or delete this one to start afresh"
        try:
            about = _read_about(file)
            there = _config(about["config"])
            if mismatches := sorted(k for k in {**there, **config} if there.get(k) != config.get(k)):
                listed = ", ".join(f"{k}={there.get(k)!r} there, {config.get(k)!r} now" for k in mismatches)
                raise CheckpointError(f"{self.folder} holds a run with another config: {listed}; {remedy}")
            tensors = _read_tensors(file, model)
            if about["sha256"] != fingerprint(tensors, about["config"], about["progress"]):
                raise ValueError("its content has changed since it was saved")
            if name := not_finite(tensors):
                raise ValueError(f"{name} is not finite")
            counts: Any = read_object(about["progress"])
            progress = Progress(**counts)
            if METRICS in tensors:
                content = tensors.pop(METRICS).numpy().tobytes()
                metrics = parse_metrics(content.lstrip(b"\n"), "its record of measurements")
            else:  # saved before the state held them
                file = self.folder / METRICS
                metrics = [line for line in read_metrics(file) if line["step"] <= progress.step]
            if (metrics[-1]["step"] if metrics else 0) != progress.step:
                raise ValueError(f"its measurements do not end at step {progress.step}")
        except CheckpointError:
            raise
        except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            raise CheckpointError(f"{file} is damaged or not a training run ({error}); {remedy}") from None
        _load(tensors, model, optimizer, self.team)
        self._digest, self.step = about["sha256"], progress.step
        return progress, metrics


def run_name(mask: str, seed: int, data: Path | None = None) -> str:
    """What to call the folder of a run under a mask, on the user's own dialogues if ``data`` is given."""
    name = "".join(c if c.isalnum() else "-" for c in mask)
    name = f"{data.stem}-{name}" if data else name
    if len(name) > LONGEST_NAME:  # too long for file systems; merely cut, two masks might share a name
        name = f"{name[:LONGEST_NAME]}-{sha256(f'{name} {mask}'.encode())[:8]}"
    return f"{name}-seed{seed}"


def _config(text: str) -> dict[str, object]:
    """A saved configuration under the current names."""
    saved = read_object(text)
    for old, new in RENAMED.items():
        if new not in saved and old in saved:
            saved[new] = saved.pop(old)
    return {**LATER, **saved}


def _read_about(file: Path) -> dict[str, str]:
    """A state's metadata."""
    with safe_open(file, "pt") as content:
        return dict(content.metadata() or {})


def _read_tensors(file: Path, model: nn.Module) -> dict[str, Tensor]:
    """A state's tensors; none is read before all have the shapes that a run of this model has."""
    shapes = [tuple(parameter.shape) for parameter in model.parameters()]
    wanted: dict[str, set[tuple[int, ...]]] = {
        **{f"model.{name}": {tuple(value.shape)} for name, value in model.state_dict().items()},
        **{f"optimizer.{n}.{name}": set(shapes) for n in range(len(shapes)) for name in ("exp_avg", "exp_avg_sq")},
        **{f"optimizer.{n}.step": {()} for n in range(len(shapes))},
    }
    with safe_open(file, "pt") as content:
        for name in content.keys():  # noqa: SIM118
            shape = tuple(content.get_slice(name).get_shape())
            fits = len(shape) == 1 and shape[0] <= LARGEST if name == METRICS else shape in wanted.pop(name, ())
            if not fits:
                raise ValueError(f"{name} has shape {shape}, which no run of this model has")
        if missing := [name for name in wanted if name.startswith("model.")]:
            raise ValueError(f"{missing[0]} is missing")
        # Copies, or the optimiser's state would stay mapped to the file, which Windows then refuses to replace.
        return {name: content.get_tensor(name).clone() for name in content.keys()}  # noqa: SIM118


def _load(tensors: Mapping[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer, team: Team) -> None:
    """Each process takes its own part of what was saved."""
    model.load_state_dict({k: team.spread(tensors[f"model.{k}"], like=v) for k, v in model.state_dict().items()})
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".")
            state.setdefault(int(index), {})[name] = team.spread(value, like=parameters[int(index)])
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
