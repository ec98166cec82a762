"""Tiny random chat models in transformers' own classes, made on the spot, to try things out without a download."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from torch import nn

from mini_ism.dialogue import Message
from mini_ism.hf.loading import require
from mini_ism.hf.template import ChatTemplate

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The chat template of many models, in Jinja."""
MARKERS = ("<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
VOCABULARY = 512
SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "initializer_range": 0.1,  # so that random weights do something
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}


def train_tokenizer(
    texts: Iterable[str], template: str | None = CHATML, *, markers: Sequence[str] = MARKERS, size: int = VOCABULARY
) -> object:
    """A small byte-level transformers tokenizer with a chat template.

    Args:
        texts: what it is trained on.
        template: in Jinja; None = no chat template.
        markers: special tokens, ``<s>``, ``</s>`` and ``<pad>`` among them.
        size: of the vocabulary.

    Raises:
        ModuleNotFoundError: transformers is not installed.
    """
    require("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(markers),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    made: Any = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    made.chat_template = template
    return made


def tiny_chat_model(
    chats: Iterable[Sequence[Message]], architecture: Literal["llama", "hrm_text"] = "llama"
) -> tuple[nn.Module, ChatTemplate]:
    """A random model, the same each time, and a tokenizer trained on some chats.

    Args:
        chats: what the tokenizer is trained on; the model is untrained.
        architecture: a causal Llama of two layers, or a small HRM-Text, which takes ``token_type_ids``.

    Raises:
        ModuleNotFoundError: transformers is not installed, or its version does not have the architecture.
    """
    tokenizer: Any = train_tokenizer(message["content"] for messages in chats for message in messages)
    import transformers

    shape: dict[str, Any] = {**SHAPE, "vocab_size": len(tokenizer)}
    if architecture == "llama":
        config = transformers.LlamaConfig(**shape, num_hidden_layers=2)
    elif hasattr(transformers, "HrmTextConfig"):
        cycles = {"H_cycles": 2, "L_cycles": 2, "num_layers_per_stack": 1, "num_hidden_layers": 6}
        config = transformers.HrmTextConfig(**{**shape, "initializer_range": 0.21} | cycles)  # its last norm evens out
    else:
        raise ModuleNotFoundError(
            f"transformers {transformers.__version__} has no HRM-Text; pip install --upgrade transformers brings it"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: nn.Module = transformers.AutoModelForCausalLM.from_config(config).eval()
    return model, ChatTemplate(tokenizer)
