"""Well-known chat templates in a few lines of Jinja, and a small byte-level tokenizer that writes them."""

from __future__ import annotations

import copy
import json
from functools import cache
from typing import Any

from mini_ism.hf.tiny import CHATML, train_tokenizer

LOOP = "{% for m in messages %}"
TEMPLATES = {
    "chatml": CHATML,
    "llama3": (
        "{{ bos_token }}" + LOOP + "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}"
        "<|eot_id|>{% endfor %}{% if add_generation_prompt %}"
        "<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
    ),
    "gemma": (
        "{{ bos_token }}{% if messages[0].role == 'system' %}{% set first = messages[0].content + '\n\n' %}"
        "{% set messages = messages[1:] %}{% else %}{% set first = '' %}{% endif %}" + LOOP + "<start_of_turn>"
        "{{ 'model' if m.role == 'assistant' else m.role }}\n{{ first if loop.first else '' }}{{ m.content | trim }}"
        "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
    ),
    "mistral": (
        "{{ bos_token }}" + LOOP + "{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
        "{% elif m.role == 'assistant' %} {{ m.content }}{{ eos_token }}"
        "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
    ),
    "qwen": (
        "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
        + CHATML
    ),
    "qwen3": (  # the thoughts of all answers but the last are left out of the history
        LOOP + "<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and loop.last %}<think>\n\n"
        "</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n"
        "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
    ),
}  # fmt: skip
MARKERS = [
    *("<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    *("<start_of_turn>", "<end_of_turn>", "[INST]", "[/INST]"),
]
TEXT = ["user assistant system model You are a helpful assistant. Where is the key? It is in the box. Who am I? think"]
VOCAB = 400

MESSAGES = [
    {"role": "user", "content": "Where is the key?"},
    {"role": "assistant", "content": "It is in the box."},
    {"role": "user", "content": "Who am I?"},
    {"role": "assistant", "content": "You are Ada."},
    {"role": "user", "content": "And the box?"},
    {"role": "assistant", "content": "In the hall."},
]


def sentencepiece(template: str) -> Any:
    """The same with a tokenizer that writes a space as ``▁`` and begins a text with one, as Llama 2's does."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=MARKERS, show_progress=False)
    backend.train_from_iterator([*TEXT * 4, "zqusernwer0123456789"], trainer)
    learned = json.loads(backend.to_str())["model"]
    vocab = learned["vocab"] | {f"<0x{byte:02X}>": len(learned["vocab"]) + byte for byte in range(256)}
    backend.model = models.BPE(vocab, [tuple(pair) for pair in learned["merges"]], byte_fallback=True)
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    made = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    made.chat_template = TEMPLATES[template]
    return made


@cache
def _learned() -> Any:
    return train_tokenizer(TEXT * 4, None, markers=MARKERS, size=VOCAB)


def tokenizer(template: str | None) -> Any:
    """A tokenizer with a template: one of the names above, or Jinja of your own."""
    made = copy.deepcopy(_learned())
    if template is not None:
        made.chat_template = TEMPLATES.get(template, template)
    return made
