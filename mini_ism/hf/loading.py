"""A chat model from a folder, with errors that say what is wrong with it. No network."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mini_ism.hf.template import ChatTemplate
from mini_ism.model import GPT


def require(*packages: str) -> None:
    """Check that packages are installed, and say how to get those that are not.

    Raises:
        ModuleNotFoundError: a package is not installed.
    """
    for package in packages:
        if find_spec(package) is None:
            raise ModuleNotFoundError(f'{package} is not installed; pip install "mini-ism[hf]" brings it')


def unwrapped(model: Any) -> nn.Module:
    """The model inside peft's wrapper, which holds the adapters as well; any other model as it is.

    Raises:
        TypeError: it is not a model.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    if not isinstance(inner, nn.Module):
        swapped = isinstance(inner, ChatTemplate) or hasattr(inner, "chat_template")
        remedy = "the model comes first, then its tokenizer" if swapped else "load_chat_model(folder) reads one"
        raise TypeError(f"the model must be one of transformers, got {_called(inner)}; {remedy}")
    return inner


def causal_lm(model: Any) -> nn.Module:
    """The transformers causal language model, taken out of peft's wrapper if it has one.

    Raises:
        TypeError: it is another kind of model.
    """
    found = unwrapped(model)
    inner: Any = found
    name = type(inner).__name__
    if not hasattr(getattr(inner, "config", None), "get_text_config"):
        own = isinstance(inner, GPT)
        remedy = "a GPT of this package chats in a ChatSession" if own else "load_chat_model(folder) reads one"
        raise TypeError(f"the model must be a causal language model of transformers, got {_called(inner)}; {remedy}")
    if inner.config.is_encoder_decoder:
        raise TypeError(
            f"{name} reads with an encoder of its own, which follows no such mask; take a decoder-only model"
        )
    if inner.get_output_embeddings() is None:
        raise TypeError(f"{name} has no head that predicts tokens; load it with AutoModelForCausalLM")
    return found


def _called(thing: object) -> str:
    return (
        repr(thing) if thing is None or isinstance(thing, str | Path) else f"an object of class {type(thing).__name__}"
    )


def positions(model: Any) -> int | None:
    """How many positions a model was made for; ``None`` if its config sets no limit."""
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return None if longest is None else int(longest)


def check_fits(model: Any, tokens: Tensor) -> None:
    """Check that a model can read the tokens ``[T]`` of a conversation.

    Raises:
        ValueError: there are more of them than it has positions, or one is outside its vocabulary.
    """
    longest, known = positions(model), int(model.config.get_text_config().vocab_size)
    if longest is not None and len(tokens) > longest:
        raise ValueError(f"the conversation has {len(tokens)} tokens, and the model has room for {longest}; shorten it")
    if int(tokens.max()) >= known:
        raise ValueError(
            f"the tokenizer writes token {int(tokens.max())}, and the model knows only {known}; use the tokenizer that "
            "it was trained with"
        )


def is_hf_folder(path: str | Path) -> bool:
    """Whether a folder holds a transformers model, rather than one of this package."""
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
        ValueError: the model cannot be read, is incomplete, or has no usable chat template.
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
    except Exception as error:  # of transformers or its dependencies: OSError, KeyError, SafetensorError, ...
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"the model in {folder} cannot be read: {first}") from error
    missing = sorted({*loaded["missing_keys"], *(str(key) for key in loaded.get("mismatched_keys", ()))})
    if missing:  # transformers would continue with random weights
        raise ValueError(f"the model in {folder} is incomplete: {len(missing)} weights are missing, as {missing[0]}")
    return model.eval(), ChatTemplate(tokenizer)
