"""Trained models as two small files.

``model.safetensors`` with the weights and ``config.json`` with all else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import tiktoken
import torch
from safetensors import safe_open
from safetensors.torch import load, save
from torch import Tensor

from mini_ism.devices import get_device
from mini_ism.files import sha256, write_together
from mini_ism.model import GPT, GPTConfig
from mini_ism.paths import data_dir
from mini_ism.tokenizer import load_tokenizer, tokenizer_hash

MODELS = ("causal", "prefix", "ism")
"""The shipped models that know the whole corpus, each named for its mask."""

FORMAT = "mini-ism 1"
AGAIN = "; it was cut short or changed after it was saved: copy it again, or train it again"


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged or not one of this package's.

    The message says which file, and what to do.
    """


def shipped_models() -> list[str]:
    """The names of the models that come with the package."""
    return sorted(path.parent.name for path in (data_dir() / "checkpoints").glob("*/config.json"))


def save_model(
    model: GPT, folder: str | Path, *, training: Mapping[str, Any] | None = None, half: bool = False
) -> None:
    """Write a model to a folder.

    Args:
        model: the model.
        folder: made if it is missing.
        training: facts about how it was trained, kept as JSON beside the weights.
        half: store the weights as float16, at half the size.

    Raises:
        OSError: it could not be written; see :func:`~mini_ism.files.write_together`.
    """
    folder = Path(folder)
    dtype = torch.float16 if half else torch.float32
    shape = asdict(model.config)
    weights = save(
        {name: value.detach().to("cpu", dtype).contiguous() for name, value in model.state_dict().items()},
        {"model": json.dumps(shape)},  # so that the weights' hash covers it, too
    )
    about = {
        "format": FORMAT,
        "model": shape,
        "weights_sha256": sha256(weights),
        "tokenizer_sha256": tokenizer_hash(),
        "training": dict(training or {}),
    }
    write_together(
        {
            folder / "model.safetensors": weights,
            folder / "config.json": (json.dumps(about, indent=2) + "\n").encode(),
        }
    )


def load_model(name: str | Path = "ism", device: str | torch.device = "cpu") -> tuple[GPT, tiktoken.Encoding]:
    """A trained model and its tokenizer.

    Args:
        name: a shipped model (``"causal"``, ``"prefix"``, ``"ism"``) or a folder written by
            training.
        device: ``"cpu"``, ``"cuda"``, ``"mps"`` or ``"auto"``.

    Returns:
        The model, in float32 and ready for use, and its tokenizer.

    Raises:
        CheckpointError: there is no such model, or its files are damaged, foreign, or of another tokenizer.
        ValueError: the device is unknown or not there.
    """
    place = get_device(device)
    folder = _folder(name)
    about, weights = read_checkpoint(folder)
    model = GPT(GPTConfig(**about["model"]))
    model.load_state_dict({key: value.float() for key, value in weights.items()})
    return model.to(place).eval(), load_tokenizer()


def load_metrics(name: str | Path = "ism") -> list[dict[str, Any]]:
    """How a model's training went: a line for each measurement, in order.

    Lines have ``step``, ``seconds``, ``tokens`` and ``seen`` (dialogues), counted from the beginning, and ``loss``;
    ``exact``, if it is there, has by skill how many answers of the validation split were right, of how many. A shipped
    model's lines all have it, and their loss is the mean since the line before.

    Args:
        name: a shipped model or the folder of a run, as for :func:`load_model`.

    Raises:
        CheckpointError: there are no metrics, or they are damaged.
    """
    folder = _folder(name)
    file = folder / "metrics.jsonl"
    if not file.is_file():
        raise CheckpointError(
            f"no metrics at {folder}: metrics.jsonl is missing; shipped models are "
            f"{', '.join(shipped_models()) or 'none'}; a run keeps its own in its folder"
        )
    try:
        lines: list[dict[str, Any]] = [json.loads(text) for text in file.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise CheckpointError(f"{file} is not readable JSON, line by line ({error}){AGAIN}") from None
    for number, line in enumerate(lines, 1):
        wrong = _wrong_in(line)
        if wrong:
            raise CheckpointError(f"{file}, line {number}: {wrong}{AGAIN}")
    return lines


def _wrong_in(line: object) -> str:
    """What is wrong with a line of metrics, ``""`` if nothing."""
    if not isinstance(line, dict):
        return "not a JSON object"
    for key in ("step", "seconds", "tokens", "seen", "loss"):
        if not isinstance(line.get(key), int | float):
            return f"{key!r} is not a number"
    exact = line.get("exact", {})
    pairs = list(exact.values()) if isinstance(exact, dict) else [None]
    for pair in pairs:
        if not (isinstance(pair, list) and [type(count) for count in pair] == [int, int] and 0 <= pair[0] <= pair[1]):
            return "'exact' does not hold [right, total] by skill"
    return ""


def _folder(name: str | Path) -> Path:
    """Where a model lies that is shipped, or that somebody has trained."""
    return data_dir() / "checkpoints" / name if str(name) in shipped_models() else Path(name)


def read_checkpoint(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A checkpoint's description and weights, after every check that can be made on them.

    Raises:
        CheckpointError: see :func:`load_model`.
    """
    remedy = f"shipped models are {', '.join(shipped_models()) or 'none'}; train one with `python -m mini_ism train`"
    for file in (folder / "config.json", folder / "model.safetensors"):
        if not file.is_file():
            if (folder / "state.safetensors").is_file():
                remedy = "training there has not come to its end: give the same `train` command again"
            raise CheckpointError(f"no checkpoint at {folder}: {file.name} is missing; {remedy}")
    try:
        about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{folder / 'config.json'} is not readable JSON ({error}){AGAIN}") from None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder / 'config.json'} is not a checkpoint of this package (format "
            f"{about.get('format') if isinstance(about, dict) else about!r}, wanted {FORMAT!r}); {remedy}"
        )
    kinds = {"model": dict, "weights_sha256": str, "tokenizer_sha256": str, "training": dict}
    for key, kind in kinds.items():
        if not isinstance(about.get(key), kind):
            raise CheckpointError(f"{folder / 'config.json'} has no {key!r} of type {kind.__name__}{AGAIN}")
    unknown = set(about["model"]) ^ {field.name for field in fields(GPTConfig)}
    if unknown:
        raise CheckpointError(
            f"{folder / 'config.json'} and this package's GPTConfig differ in {sorted(unknown)}; {remedy}"
        )
    data = (folder / "model.safetensors").read_bytes()
    if sha256(data) != about["weights_sha256"]:
        raise CheckpointError(
            f"{folder / 'model.safetensors'} has sha256 {sha256(data)}, "
            f"but config.json says {about['weights_sha256']}{AGAIN}"
        )
    if about["tokenizer_sha256"] != tokenizer_hash():
        raise CheckpointError(
            f"{folder} was trained with another tokenizer (sha256 {about['tokenizer_sha256']}, installed "
            f"{tokenizer_hash()}); train it again with this one"
        )
    weights = load(data)
    try:
        config = GPTConfig(**about["model"])
    except ValueError as error:
        raise CheckpointError(f"{folder / 'config.json'}: {error}{AGAIN}") from None
    wanted = {name: value.shape for name, value in GPT(config).state_dict().items()}
    found = {name: value.shape for name, value in weights.items()}
    if wanted != found:
        odd = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        raise CheckpointError(
            f"{folder / 'model.safetensors'} does not fit its config.json: {', '.join(odd[:4])}{AGAIN}"
        )
    with safe_open(folder / "model.safetensors", "pt") as file:
        saved = json.loads((file.metadata() or {}).get("model", "{}"))
    changed = sorted(name for name, value in about["model"].items() if saved.get(name) != value)
    if changed:
        raise CheckpointError(f"{folder / 'config.json'} says another {', '.join(changed)} than was saved{AGAIN}")
    return about, weights
