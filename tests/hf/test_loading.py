"""What is missing is named, with what brings it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mini_ism import load_model
from mini_ism.__main__ import main
from mini_ism.hf import ChatCollator, ChatTemplate, HFModel, UnfitAttentionError, diagnose, load_chat_model, loading
from tests.hf.templates import tokenizer
from tests.hf.tiny import tiny


def test_a_package_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    for command in (["doctor", "--model", str(tmp_path)], ["chat", "--model", str(tmp_path)], ["fetch", "smollm2"]):
        assert main(command) == 1
        assert 'transformers is not installed; pip install "mini-ism[hf]" brings it' in capsys.readouterr().err


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_folder_gives_a_model_and_its_template(tmp_path: Path, attention: str) -> None:
    tiny("qwen3").save_pretrained(tmp_path)
    tokenizer("llama3").save_pretrained(tmp_path)
    model, template = load_chat_model(tmp_path, attention=attention)
    assert not model.training
    assert isinstance(template, ChatTemplate)
    assert model.config._attn_implementation == attention  # type: ignore[union-attr]
    made = ChatTemplate(tokenizer("llama3"))
    assert template.encode_message("user", "Hi.") == made.encode_message("user", "Hi.")


def test_what_is_no_folder_of_a_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no model of transformers: there is no config\.json"):
        load_chat_model(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "no such thing"}')
    with pytest.raises(ValueError, match="cannot be read"):
        load_chat_model(tmp_path)


def test_a_folder_without_a_template_says_so(tmp_path: Path) -> None:
    tiny("llama").save_pretrained(tmp_path)
    tokenizer(None).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="no chat template"):
        load_chat_model(tmp_path)


def other_model(name: str) -> Any:
    """A small model that no chat can be held with."""
    import transformers as t

    match name:
        case "T5":
            return t.T5ForConditionalGeneration(t.T5Config(vocab_size=512, d_model=16, d_ff=16, num_layers=1, d_kv=8))
        case "Bloom":
            return t.BloomForCausalLM(t.BloomConfig(vocab_size=512, hidden_size=16, n_layer=1, n_head=2))
        case "headless":
            return tiny("llama").model
        case _:
            return t.GPT2LMHeadModel(t.GPT2Config(n_positions=16, vocab_size=512, n_embd=16, n_layer=1, n_head=2))


NO_MODEL: dict[str, Callable[[], Any]] = {
    "got 'smollm2'; load_chat_model": lambda: "smollm2",
    "got None; load_chat_model": lambda: None,
    "got an object of class ChatTemplate; the model comes first": lambda: ChatTemplate(tokenizer("chatml")),
    "got an object of class .*; the model comes first": lambda: tokenizer("chatml"),
    "got an object of class Linear; load_chat_model": lambda: torch.nn.Linear(2, 2),
    "LlamaModel has no head .* load it with AutoModelForCausalLM": lambda: other_model("headless"),
    "T5ForConditionalGeneration reads with an encoder .* take a decoder-only": lambda: other_model("T5"),
}


@pytest.mark.parametrize("reason", NO_MODEL)
def test_what_is_no_chat_model_is_named_with_a_remedy(reason: str) -> None:
    for take in (HFModel, lambda model: diagnose(model, tokenizer("chatml")), lambda m: ChatCollator(m, None)):
        with pytest.raises(TypeError, match=reason):
            take(NO_MODEL[reason]())


def test_models_that_cannot_be_tried_are_named_with_a_remedy() -> None:
    with pytest.raises(TypeError, match="a GPT of this package chats in a ChatSession"):
        HFModel(load_model("ism")[0])
    with pytest.raises(UnfitAttentionError, match=r"BloomForCausalLM .* cannot be computed here .* take another model"):
        HFModel(other_model("Bloom"))
    with pytest.raises(ValueError, match=r"GPT2LMHeadModel has room for 16 positions, and the trial .* takes 24"):
        HFModel(other_model("short"))
