"""A chat model from a folder, with errors that say what is wrong with it. No network."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mini_ism.hf.template import ChatTemplate


def require(*packages: str) -> None:
    """Say how to get what is missing.

    Raises:
        ModuleNotFoundError: a package is not installed.
    """
    for package in packages:
        if find_spec(package) is None:
            raise ModuleNotFoundError(f'{package} is not installed; pip install "mini-ism[hf]" brings it')


def unwrapped(model: Any) -> nn.Module:
    """The model inside peft's wrapper, which holds the adapters as well; any other model as it is."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    assert isinstance(inner, nn.Module)
    return inner


def is_hf_folder(path: str | Path) -> bool:
    """Whether a folder holds a model of transformers, rather than one of this package."""
    return (Path(path) / "config.json").is_file()


def load_chat_model(
    path: str | Path, *, attention: str = "sdpa", dtype: torch.dtype = torch.float32
) -> tuple[nn.Module, ChatTemplate]:
    """A causal language model and its chat template, as ``save_pretrained`` wrote them.

    Args:
        path: a folder; nothing is downloaded.
        attention: ``attn_implementation``: ``"sdpa"``, ``"eager"`` or ``"flex_attention"`` follow any mask.
        dtype: of the weights.

    Raises:
        ModuleNotFoundError: transformers is not installed.
        FileNotFoundError: the folder holds no model.
        ValueError: the model cannot be read, is incomplete, or has no fit chat template.
    """
    require("transformers")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = Path(path)
    if not is_hf_folder(folder):
        raise FileNotFoundError(
            f"{folder} holds no model of transformers: there is no config.json in it; give the folder that "
            "save_pretrained() wrote, or that you downloaded"
        )
    try:
        model, loaded = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, attn_implementation=attention, dtype=dtype, output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # transformers raises what its parts raise: OSError, KeyError, SafetensorError, ...
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"the model in {folder} cannot be read: {first}") from error
    missing = sorted({*loaded["missing_keys"], *(str(key) for key in loaded.get("mismatched_keys", ()))})
    if missing:  # transformers would go on with random numbers
        raise ValueError(f"the model in {folder} is incomplete: {len(missing)} weights are missing, as {missing[0]}")
    return model.eval(), ChatTemplate(tokenizer)
