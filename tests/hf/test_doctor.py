"""The mask doctor finds planted faults, names them, and raises no false alarm."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from packaging.version import Version
from torch import Tensor

from mini_ism import get_mask, load_model
from mini_ism.__main__ import main
from mini_ism.corpus.topics import ABOUT
from mini_ism.hf import ChatTemplate, Diagnosis, diagnose
from mini_ism.hf.chat import WITH_SINK
from mini_ism.hf.reading import Chunk, by_rows
from tests.hf.templates import tokenizer
from tests.hf.tiny import ARCHITECTURES, tiny
from tests.strategies import random_model, segments_of_turns

MESSAGES = [
    {"role": "user", "content": "Where is the key?"},
    {"role": "assistant", "content": "the box"},
    {"role": "user", "content": "Who am I?"},
    {"role": "assistant", "content": "You are"},
]
OLD = Version(transformers.__version__) < Version("5.24")
WARM = "turn 2, warm cache"


def check(model: Any, mask: str = "ism(sink=True)", **options: Any) -> Diagnosis:
    return diagnose(model, ChatTemplate(tokenizer("chatml")), MESSAGES, mask, **options)


# -- no false alarm ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_model_that_gets_the_rule_s_rows_is_healthy(name: str, attention: str) -> None:
    if OLD and (name, attention) == ("gpt2", "eager"):
        pytest.skip("there the doctor is right: GPT-2's own triangle is laid over any mask in transformers 5.0")
    found = check(tiny(name, attention))
    assert found.healthy, str(found)
    assert len(found.examinations) == 5
    assert str(found).startswith("all as declared")


HEALTHY = [
    *(("causal", "default"), ("causal", "rows"), ("prefix", "rows"), ("ism", "rows")),
    ("causal & sliding_window(5)", "rows"),
]


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize(("mask", "call"), HEALTHY)
def test_other_rules_and_ways_of_calling_are_healthy_too(name: str, mask: str, call: str) -> None:
    found = check(tiny(name), mask, call=call)
    assert found.healthy, str(found)


@pytest.mark.parametrize("seed", range(4))
def test_weights_do_not_matter(seed: int) -> None:
    model = tiny("llama")
    torch.manual_seed(seed)
    for weight in model.parameters():
        weight.detach().normal_(std=0.02 * 3**seed / 2)
    assert check(model).healthy


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_precision_does_not_matter(dtype: torch.dtype) -> None:
    model = tiny("llama", "eager").to(dtype)
    assert check(model).healthy
    assert next(model.parameters()).dtype == dtype
    assert not check(model, call="token_type_ids").healthy


def test_a_chunk_that_ends_where_the_rule_allows_it_is_no_fault() -> None:
    assert check(tiny("llama"), "causal", chunk=5).healthy


def test_a_static_cache_with_rows_is_no_fault() -> None:
    from transformers import StaticCache

    model = tiny("llama")
    assert check(model, new_cache=lambda batch: StaticCache(config=model.config, max_cache_len=64)).healthy


@pytest.mark.parametrize("mask", ["causal", "prefix", "ism"])
def test_the_same_tool_runs_on_this_package_s_models(mask: str) -> None:
    trained, words = load_model(mask)
    found = diagnose(trained, words)
    assert found.mask == mask
    assert found.healthy, str(found)
    assert [each.situation.name for each in found.examinations][-1] == "prefill in chunks"  # none with padding
    swapped = diagnose(random_model(vocab_size=words.n_vocab, context=96), words, MESSAGES, mask)
    assert swapped.healthy, str(swapped)


# -- planted faults ---------------------------------------------------------------------------------------------------


def faults(found: Diagnosis, situation: str = WARM) -> str:
    return "\n".join(found[situation].faults)


def test_hrm_text_reads_the_second_question_causally() -> None:
    found = check(tiny("hrm_text"), "ism", call="token_type_ids")
    assert not found["turn 1"].faults
    assert "Question 2 is read backwards only" in faults(found)
    assert "Question 1 is read as it should be: what marks questions is heeded on an empty cache only" in faults(found)


def test_two_questions_in_one_block() -> None:
    found = check(tiny("hrm_text"), "ism", call="token_type_ids")
    assert "Question 1 sees question 2, which comes later. The two are marked as one block" in faults(found, "one pass")
    assert "Answer 1 sees question 2, which comes later" in faults(found, "one pass")


def test_a_bool_mask_under_eager() -> None:
    def bare(chunk: Chunk) -> dict[str, Any]:
        return {"attention_mask": chunk.rows[None, None], "position_ids": chunk.positions}

    assert check(tiny("llama", "sdpa"), call=bare).healthy
    assert "Under `eager` a bool mask is added as 0 and 1" in faults(
        check(tiny("llama", "eager"), call=bare), "one pass"
    )


def test_a_chunk_border_inside_a_question() -> None:
    found = check(tiny("qwen3"), chunk=5)
    assert "A chunk ends before position 5, inside question 1" in faults(found, "prefill in chunks")
    assert not found[WARM].faults


@pytest.mark.skipif(OLD, reason="earlier versions ignore is_causal=False")
def test_a_static_cache_that_is_not_causal() -> None:
    from transformers import StaticCache

    def bare(chunk: Chunk) -> dict[str, Any]:
        return {"is_causal": False, "position_ids": chunk.positions}

    model = tiny("llama")
    found = check(model, "ism", call=bare, new_cache=lambda batch: StaticCache(config=model.config, max_cache_len=64))
    assert "Slots of the cache that hold nothing yet are read" in faults(found)


def counted_padding(chunk: Chunk) -> dict[str, Any]:
    """Positions as ``arange`` has them, padding and all."""
    return {**by_rows(chunk), "position_ids": torch.arange(chunk.first, chunk.last)[None]}


def forgot_padding_later(chunk: Chunk) -> dict[str, Any]:
    """The first chunk's positions count the padding, the later ones' do not."""
    return counted_padding(chunk) if chunk.start == 0 else by_rows(chunk)


@pytest.mark.parametrize(
    ("name", "call"), [("gpt2", counted_padding), ("llama", forgot_padding_later), ("gemma3", forgot_padding_later)]
)
def test_left_padding_with_wrong_positions(name: str, call: Callable[[Chunk], dict[str, Any]]) -> None:
    found = check(tiny(name), call=call)
    assert "positions count the padding (position_ids)" in faults(found, "left padding")
    assert not found[WARM].faults
    assert torch.equal(found["left padding"].declared, found["left padding"].measured)


def test_a_triangle_in_the_wrong_corner() -> None:
    from transformers import AttentionInterface

    def corner(
        module: Any, q: Tensor, k: Tensor, v: Tensor, mask: object, scaling: float | None = None, **_: Any
    ) -> Any:
        k, v = (part.repeat_interleave(q.shape[1] // part.shape[1], 1) for part in (k, v))
        out = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1, scale=scaling)
        return out.transpose(1, 2), None

    AttentionInterface.register("corner", corner)
    model = tiny("llama")
    model.config._attn_implementation = "corner"
    found = check(model, "causal", call="default")
    assert not found["one pass"].faults
    assert "Question 2 does not see its own beginning" in faults(found)
    assert "`is_causal=True` puts it in the upper left" in faults(found)
    assert model.config._attn_implementation == "corner"


@pytest.mark.parametrize("name", ["llama", "qwen3", "gemma3", "mistral"])
def test_an_overlay_that_is_dropped(name: str) -> None:
    found = check(tiny(name), call="token_type_ids")
    assert "What marks questions does not reach the attention" in faults(found, "turn 1")


def as_ism(chunk: Chunk) -> dict[str, Any]:
    """The rows of ISM with its defaults, whatever is declared."""
    return by_rows(Chunk(chunk.model, get_mask("ism"), chunk.segments, chunk.start, chunk.stop, chunk.padding))


def test_a_sink_that_reads_ahead() -> None:
    found = check(tiny("llama"), call=as_ism)
    assert "Token 0 reads ahead" in faults(found, "turn 1")


def test_a_causal_model_that_reads_ahead() -> None:
    found = check(tiny("llama"), "causal", call=as_ism)
    assert "Question 1 reads ahead in itself; the rule reads it backwards" in faults(found, "turn 1")


# -- the report -------------------------------------------------------------------------------------------------------


def test_a_report_in_words_and_pictures() -> None:
    found = check(tiny("hrm_text"), "ism", call="token_type_ids")
    assert str(found).startswith("not as declared: mask ism")
    assert found.worst.situation.name == "one pass"
    picture = found[WARM].picture()
    lost = int((found[WARM].declared ^ found[WARM].measured).sum())
    assert f"0 pairs are read that should be hidden, {lost} are hidden that should be read" in picture.alt
    assert "mi-leak" in found._repr_html_()
    with pytest.raises(KeyError, match="no situation 'turn 3'; there are one pass"):
        found["turn 3"]


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="two turns"):
        diagnose(tiny("llama"), tokenizer("chatml"), MESSAGES[:2])
    with pytest.raises(ValueError, match="unknown way of calling 'rowz'"):
        check(tiny("llama"), call="rowz")
    with pytest.raises(ValueError, match="chunk must be at least 1"):
        check(tiny("llama"), chunk=0)
    with pytest.raises(ValueError, match="cannot read mask ''"):
        check(tiny("llama"), "")
    with pytest.raises(TypeError, match="call must be one of rows, default, token_type_ids, or a function, got None"):
        check(tiny("llama"), call=None)
    with pytest.raises(TypeError, match="call must return a mapping of keywords for the model's forward, got None"):
        check(tiny("llama"), call=lambda chunk: None)
    with pytest.raises(ValueError, match="called with rows only, not as 'default'"):
        diagnose(*load_model("ism"), call="default")
    with pytest.raises(ValueError, match="the model knows only 100; use the tokenizer"):
        check(tiny("llama", vocab_size=100))
    with pytest.raises(ValueError, match="tokens, and the model has room for 24"):
        check(tiny("llama", max_position_embeddings=24))


def test_a_sample_of_tokens_finds_the_same_faults() -> None:
    whole, some = (check(tiny("hrm_text"), "ism", call="token_type_ids", sample=sample) for sample in (None, 3))
    assert some.faults == whole.faults
    assert check(tiny("llama"), sample=2).healthy
    with pytest.raises(ValueError, match="sample must be at least 2"):
        check(tiny("llama"), sample=1)


def test_the_model_is_left_as_it_was() -> None:
    model = tiny("llama").train()
    check(model)
    assert model.training
    assert not model.get_input_embeddings()._forward_hooks


# -- the command line -------------------------------------------------------------------------------------------------


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny("hrm_text").save_pretrained(tmp_path)
    tokenizer("chatml").save_pretrained(tmp_path)
    picture = tmp_path / "mask.svg"
    command = ["doctor", "--model", str(tmp_path), "--out", str(picture)]
    assert main([*command, "--mask", "ism", "--call", "token_type_ids"]) == 1  # as the fault is found
    printed = capsys.readouterr().out
    assert "Question 2 is read backwards only" in printed
    assert picture.read_text(encoding="utf-8").startswith("<svg")
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("all as declared: mask ism(sink=True)")
    assert main(["doctor", "--model", "ism"]) == 0
    assert capsys.readouterr().out.startswith("all as declared: mask ism\n")


def test_chat_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny("llama").save_pretrained(tmp_path)
    tokenizer("chatml").save_pretrained(tmp_path)
    typed = iter(["Where is the key?", "Who am I?", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    assert main(["chat", "--model", str(tmp_path)]) == 0
    printed, told = capsys.readouterr()
    assert "Say something;" in told
    assert ABOUT not in told  # the shipped models' limits are not this one's
    assert printed.count("ism(sink=True)> ") == 2
    assert "reused 0, read 17," in printed
    assert printed.count("reused 0,") == 1
    typed = iter(["Where is the key?", ""])
    assert main(["chat", "--model", str(tmp_path), "--mask", "all"]) == 0
    asked = re.findall(r"^(.*)> ", capsys.readouterr().out, re.MULTILINE)
    assert asked == list(WITH_SINK.values())
    for name, rule in WITH_SINK.items():
        dense, segments = get_mask(rule).dense, segments_of_turns(4, 2, 3, 2)
        assert torch.equal(dense(segments)[1:], get_mask(name).dense(segments)[1:])
        assert dense(segments)[0].tolist() == [True] + [False] * 10


def test_the_command_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["doctor", "--model", str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in capsys.readouterr().err
    tiny("llama").save_pretrained(tmp_path)
    assert main(["doctor", "--model", str(tmp_path)]) == 1
    assert re.search("cannot be read|no chat template", capsys.readouterr().err)  # no tokenizer
    tokenizer("chatml").save_pretrained(tmp_path)
    assert main(["doctor", "--model", str(tmp_path), "--attention", "flash_attention_2"]) == 1
    assert "cannot be read" in capsys.readouterr().err
    assert main(["doctor", "--model", "ism", "--attention", "eager"]) == 1
    assert "--attention is for Hugging Face models, and ism is one of this package" in capsys.readouterr().err
    assert main(["doctor", "--model", "ism", "--call", "default"]) == 1
    assert "called with rows only" in capsys.readouterr().err
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for model in ("ism", str(tmp_path)):
        assert main(["doctor", "--model", model, "--device", "cuda"]) == 1
        assert "device 'cuda' is not available here" in capsys.readouterr().err
