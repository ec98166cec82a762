"""Tiny random models of well-known architectures, which no test has to download."""

from __future__ import annotations

from typing import Any

import pytest
import torch

SHAPE: dict[str, Any] = {
    "vocab_size": 512,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,  # as wide as flex_attention needs it
    "max_position_embeddings": 256,
    "initializer_range": 0.15,
    "bos_token_id": 1,
    "eos_token_id": None,
    "pad_token_id": None,
}
ARCHITECTURES = ("llama", "qwen3", "gemma3", "mistral", "hrm_text", "gpt2")


def config(name: str, **changes: Any) -> Any:
    """The config of a tiny model."""
    import transformers as t

    shape = SHAPE | changes
    match name:
        case "llama":
            return t.LlamaConfig(**shape)
        case "qwen3":
            return t.Qwen3Config(**shape)
        case "gemma3":
            kinds = ["sliding_attention", "full_attention"]
            return t.Gemma3TextConfig(**{"sliding_window": 6, "layer_types": kinds} | shape)
        case "phi3":
            return t.Phi3Config(**shape)
        case "mistral":
            return t.MistralConfig(**{"sliding_window": 6} | shape)
        case "hrm_text":
            shape.pop("num_key_value_heads")
            shape["initializer_range"] = 0.21  # its recurrence ends in a norm, which evens out what came in
            cycles = {"H_cycles": 2, "L_cycles": 2, "num_layers_per_stack": 1, "num_hidden_layers": 6}
            return t.HrmTextConfig(**shape | cycles)
        case _:
            sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 256, "initializer_range": 0.3}
            return t.GPT2Config(vocab_size=shape["vocab_size"], bos_token_id=1, eos_token_id=2, **sizes)


def tiny(name: str, attention: str = "sdpa", **changes: Any) -> Any:
    """A tiny random model, the same each time."""
    import transformers as t

    if name == "hrm_text" and not hasattr(t, "HrmTextConfig"):
        pytest.skip("this version of transformers has no HRM-Text")
    torch.manual_seed(0)
    return t.AutoModelForCausalLM.from_config(config(name, **changes), attn_implementation=attention).eval()
