"""What is missing is named, with what brings it."""

from pathlib import Path

import pytest

from mini_ism.__main__ import main
from mini_ism.hf import ChatTemplate, load_chat_model, loading
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
