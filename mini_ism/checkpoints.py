"""Trained models, one file each: ``model.safetensors`` holds the weights, and everything else as metadata."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import tiktoken
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mini_ism.config import GPTConfig
from mini_ism.devices import get_device
from mini_ism.distributed import ALONE, Team
from mini_ism.files import fingerprint, not_finite, write_atomically
from mini_ism.metrics import Measurement, read_metrics
from mini_ism.model import GPT
from mini_ism.paths import data_dir
from mini_ism.storage import restored, stored, stored_shapes
from mini_ism.strict_json import read_object, to_json
from mini_ism.tokenizer import build_tokenizer, load_tokenizer, tokenizer_hash, tokenizer_ranks

FORMAT = "mini-ism 2"
MODEL = "model.safetensors"
AGAIN = "; it was cut short or changed after it was saved: copy it again, or train it again"


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged or not one of this package's; the message says which file, and what to do."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a checkpoint holds.

    Args:
        config: the model's shape.
        training: how it was trained: the run's configuration, and how far it came.
        weights: by name, in float32, or in float16 if stored that way.
        tokenizer: the one it was trained with.
    """

    config: GPTConfig
    training: dict[str, object]
    weights: dict[str, Tensor]
    tokenizer: tiktoken.Encoding


def shipped_models() -> list[str]:
    """The names of the models that come with the package."""
    return sorted(path.parent.name for path in (data_dir() / "checkpoints").glob(f"*/{MODEL}"))


def save_model(
    model: GPT,
    folder: str | Path,
    tokenizer: tiktoken.Encoding | None = None,
    *,
    training: Mapping[str, object] | None = None,
    bits: int = 32,
    team: Team = ALONE,
) -> None:
    """Write a model to a folder.

    Args:
        model: the model.
        folder: created if it is missing.
        tokenizer: the one it was trained with, by default the package's; another one is kept in the same file.
        training: facts about how it was trained, stored as JSON with the weights.
        bits: per stored weight, 32, 16 or 8; see :mod:`mini_ism.storage`.
        team: the processes that hold the model between them; all must call this, and the first one writes.

    Raises:
        ValueError: a weight is not finite or too large for float16, ``bits`` is not supported, or the tokenizer is not
            of this package's kind; nothing is written.
        OSError: it could not be written; see :func:`~mini_ism.files.write_atomically`.
    """
    weights, wrong = {}, ""
    try:
        weights = stored(team.whole(model.state_dict()), bits)
    except ValueError as error:
        wrong = str(error)
    if wrong := team.gather(wrong)[0]:  # all processes stop here, not just the first
        raise ValueError(wrong)
    if not team.leads:
        return
    about = {
        "format": FORMAT,
        "model": to_json(asdict(model.config)),
        "tokenizer_sha256": tokenizer_hash(tokenizer),
        "training": to_json(dict(training or {})),
    }
    if tokenizer is not None and about["tokenizer_sha256"] != tokenizer_hash():
        about["tokenizer"] = tokenizer_ranks(tokenizer).decode()
    about["sha256"] = fingerprint(weights, *about.values())
    write_atomically(Path(folder) / MODEL, save(weights, about))


def load_model(name: str | Path = "ism", device: str | torch.device = "cpu") -> tuple[GPT, tiktoken.Encoding]:
    """A trained model and its tokenizer.

    Args:
        name: a shipped model (``"causal"``, ``"prefix"``, ``"ism"``) or a folder written by training.
        device: ``"cpu"``, ``"cuda"``, ``"mps"`` or ``"auto"``.

    Returns:
        The model, in float32 and ready for use, and its tokenizer.

    Raises:
        TypeError: the name is neither a text nor a path.
        CheckpointError: there is no such model, or its file is damaged, foreign, or belongs to another tokenizer.
        ValueError: the device is unknown or not available.
    """
    place = get_device(device)
    checkpoint = read_checkpoint(name)
    model = GPT(checkpoint.config)
    model.load_state_dict({key: value.float() for key, value in checkpoint.weights.items()})
    return model.to(place).eval(), checkpoint.tokenizer


def load_metrics(name: str | Path = "ism") -> list[Measurement]:
    """How a model's training went: one line per measurement, in order.

    A shipped model's lines all have scores, and their loss is the mean since the previous line.

    Args:
        name: as for :func:`load_model`.

    Raises:
        CheckpointError: there are no metrics, or the file is damaged.
    """
    file = _folder(name) / "metrics.jsonl"
    if not file.is_file():
        raise CheckpointError(
            f"no metrics at {file.parent}: metrics.jsonl is missing; shipped models are "
            f"{', '.join(shipped_models()) or 'none'}; a run keeps its own in its folder"
        )
    try:
        return read_metrics(file)
    except ValueError as error:
        raise CheckpointError(f"{error}{AGAIN}") from None


def _folder(name: str | Path) -> Path:
    """The folder of a shipped model, or of one that the user has trained; a :class:`Path` is always a path."""
    if not isinstance(name, str | PathLike):
        raise TypeError(f"name must be a folder, or one of {', '.join(shipped_models())}, got {name!r:.60}")
    if not isinstance(name, str) or name not in shipped_models():
        if Path(name).is_file():
            raise CheckpointError(f"{name} is a file; name the folder with a model's {MODEL}: {Path(name).parent}")
        return Path(name)
    shipped = data_dir() / "checkpoints" / name
    if (own := Path(name) / MODEL).is_file() and not own.samefile(shipped / MODEL):
        warnings.warn(
            f"{name!r} is a model that comes with the package, which is taken; there is one in the folder {name!r} "
            f"here, too: to take that, write './{name}', or Path({name!r}) in Python",
            stacklevel=3,
        )
    return shipped


def read_checkpoint(name: str | Path) -> Checkpoint:
    """A checkpoint as it is on disk. Its metadata is checked before any weight is read.

    Args:
        name: as for :func:`load_model`.

    Raises:
        CheckpointError: see :func:`load_model`.
    """
    file = _folder(name) / MODEL
    remedy = f"shipped models are {', '.join(shipped_models()) or 'none'}; train one with `python -m mini_ism train`"
    if not file.is_file():
        if (file.parent / "state.safetensors").is_file():
            remedy = "training there has not come to its end: give the same `train` command again"
        raise CheckpointError(f"no checkpoint at {file.parent}: {MODEL} is missing; {remedy}")
    try:
        with safe_open(file, "pt") as content:
            about = content.metadata() or {}
            if about.get("format") != FORMAT:
                raise CheckpointError(
                    f"{file} is not a checkpoint of this package (format {about.get('format')!r}, wanted {FORMAT!r}); "
                    f"{remedy}"
                )
            shape: Any = read_object(about["model"])
            config = GPTConfig(**shape)
            slices = {key: content.get_slice(key) for key in content.keys()}  # noqa: SIM118
            shapes = stored_shapes({key: (s.get_dtype(), tuple(s.get_shape())) for key, s in slices.items()})
            if mismatches := _mismatches(config, shapes):
                raise ValueError(f"its weights do not fit its shape: {', '.join(mismatches[:4])}")
            found = {key: content.get_tensor(key) for key in slices}
        training = read_object(about["training"])
        own = about.get("tokenizer")  # stored if it is not the package's
        given = [about[key] for key in ("format", "model", "tokenizer_sha256", "training")]
        if fingerprint(found, *given, *([own] if own else [])) != about["sha256"]:
            raise ValueError("its content has another sha256 than was saved")
        weights = restored(found)
        if bad := not_finite(weights):
            raise ValueError(f"{bad} holds a value that is not finite")
    except CheckpointError:
        raise
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{file} is damaged ({type(error).__name__}: {error}){AGAIN}") from None
    if not own and about["tokenizer_sha256"] != tokenizer_hash():
        raise CheckpointError(
            f"{file} was trained with another tokenizer (sha256 {about['tokenizer_sha256']}, installed "
            f"{tokenizer_hash()}); train it again with this one"
        )
    tokenizer = build_tokenizer(own.encode(), str(file)) if own else load_tokenizer()
    return Checkpoint(config, training, weights, tokenizer)


def _mismatches(config: GPTConfig, found: Mapping[str, tuple[int, ...]]) -> list[str]:
    """The weights whose names or shapes differ between a model of this configuration and the file."""
    if config.layers + config.token_shift > len(found):  # even the meta device cannot build arbitrarily many layers
        return [f"{config.layers} layers and a token shift of {config.token_shift} in {len(found)} tensors"]
    with torch.device("meta"):
        wanted = {key: tuple(value.shape) for key, value in GPT(config).state_dict().items()}
    return sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
