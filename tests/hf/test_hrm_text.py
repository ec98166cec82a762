"""HRM-Text over several turns: the adapter is exact, and so is the patch for transformers, whose tests fail without."""

import importlib.util
import shutil
import subprocess
import sys
import unittest
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import transformers

from mini_ism import get_mask
from mini_ism.hf import ChatTemplate, diagnose, heed_every_turn
from mini_ism.hf.hrm_text import rows_of_runs
from tests.hf.templates import MESSAGES, tokenizer
from tests.hf.tiny import tiny

PATCH = Path(__file__).parents[2] / "docs" / "upstream" / "hrm_text_every_turn.patch"
ENCODED = ChatTemplate(tokenizer("chatml")).encode(MESSAGES)
TOKENS, SEGMENTS = ENCODED.tokens[None], ENCODED.segments
TYPES = SEGMENTS.is_query[None].long()
ENDS = [0, *(SEGMENTS.id.diff().nonzero().flatten() + 1).tolist(), len(ENCODED)]


@torch.no_grad()
def expected(model: Any) -> torch.Tensor:
    dense = get_mask("ism").dense(SEGMENTS)[None, None]
    logits: torch.Tensor = model(TOKENS, attention_mask=dense, use_cache=False).logits
    return logits


@torch.no_grad()
def turn_by_turn(model: Any) -> torch.Tensor:
    cache = transformers.DynamicCache(config=model.config)
    read = [model(TOKENS[:, a:b], token_type_ids=TYPES[:, a:b], cache=cache).logits for a, b in pairwise(ENDS)]
    return torch.cat(read, 1)


def off(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got - wanted).abs().max())


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_three_turns_are_exact_with_the_adapter_and_wrong_without(attention: str) -> None:
    model = tiny("hrm_text", attention)
    wanted = expected(tiny("hrm_text"))
    assert off(turn_by_turn(model), wanted) > 0.1
    handle = heed_every_turn(model)
    assert off(turn_by_turn(model), wanted) <= 2e-5
    with torch.no_grad():
        assert (
            off(model(TOKENS, token_type_ids=TYPES, use_cache=False).logits, wanted) <= 2e-5
        )  # one pass, three blocks
    handle.remove()
    assert off(turn_by_turn(model), wanted) > 0.1


def test_generate_goes_on_over_a_warm_cache() -> None:
    model = tiny("hrm_text")
    wanted = expected(model)
    heed_every_turn(model)
    cache = transformers.DynamicCache(config=model.config)
    for question in (1, 3, 5):  # ends of the questions
        stop = ENDS[question]
        made = model.generate(
            TOKENS[:, :stop],
            attention_mask=torch.ones(1, stop, dtype=torch.long),
            token_type_ids=TYPES[:, :stop],
            cache=cache,
            max_new_tokens=1,
            output_logits=True,
            return_dict_in_generate=True,
        )
        assert off(made.logits[0], wanted[:, stop - 1]) <= 2e-5
        if question < 5:
            with torch.no_grad():
                model(TOKENS[:, stop : ENDS[question + 1]], cache=cache)


def test_padding_and_static_caches() -> None:
    model = tiny("hrm_text")
    wanted = expected(model)
    heed_every_turn(model)
    pad, stop = 3, ENDS[1]
    padded, types = (torch.nn.functional.pad(row, (pad, 0)) for row in (TOKENS, TYPES))
    mask = (torch.arange(pad + len(ENCODED)) >= pad).long()[None]
    places = (torch.arange(pad + len(ENCODED)) - pad).clamp(min=0)[None]
    with torch.no_grad():
        got = model(padded, token_type_ids=types, attention_mask=mask, position_ids=places).logits
        assert off(got[:, pad:], wanted) <= 2e-5
        static = transformers.StaticCache(config=model.config, max_cache_len=len(ENCODED) + 9)
        first = model(TOKENS[:, :stop], token_type_ids=TYPES[:, :stop], cache=static).logits
        second = model(TOKENS[:, stop:], token_type_ids=TYPES[:, stop:], cache=static).logits
    assert off(torch.cat([first, second], 1), wanted) <= 2e-5


def test_the_doctor_finds_the_adapted_model_healthy() -> None:
    model = tiny("hrm_text")
    heed_every_turn(model)
    found = diagnose(model, tokenizer("chatml"), MESSAGES[:4], "ism", call="token_type_ids")
    assert found.healthy, str(found)


def test_runs_of_marks() -> None:
    rows = rows_of_runs(torch.tensor([[1, 1, 0, 1, 1]]), past=1, columns=7, padding=torch.tensor([[1, 1, 1, 1, 1, 1]]))
    want = ["1110000", "1110000", "1111000", "1111110", "1111110"]
    assert ["".join(map(str, row)) for row in rows[0].int().tolist()] == want


def test_other_models_are_refused() -> None:
    with pytest.raises(ValueError, match="LlamaForCausalLM takes no token_type_ids"):
        heed_every_turn(tiny("llama"))
    with pytest.raises(ValueError, match="prefix_lm=False"):
        heed_every_turn(tiny("hrm_text", prefix_lm=False))


# -- the patch --------------------------------------------------------------------------------------------------------


def module_at(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def outcome(tests: Path) -> tuple[int, int]:
    """How many of a file's tests ran, and how many of them failed."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(module_at(tests, "patched_tests"))
    result = unittest.TestResult()
    suite.run(result)
    assert not result.errors, result.errors[0][1]
    return result.testsRun, len(result.failures)


@pytest.mark.skipif(transformers.__version__ != "5.24.0", reason="the patch is for transformers 5.24.0")
@pytest.mark.skipif(shutil.which("git") is None, reason="needs git to apply a patch")
def test_the_patch_applies_and_its_tests_fail_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers.models.hrm_text.modeling_hrm_text as installed

    there = tmp_path / "src" / "transformers" / "models" / "hrm_text"
    there.mkdir(parents=True)
    for name in ("modeling_hrm_text.py", "modular_hrm_text.py"):
        shutil.copy(Path(installed.__file__).parent / name, there)
    subprocess.run(["git", "apply", str(PATCH)], cwd=tmp_path, check=True)
    tests = tmp_path / "tests" / "models" / "hrm_text" / "test_multi_turn_hrm_text.py"
    assert outcome(tests) == (3, 3)
    patched = module_at(there / "modeling_hrm_text.py", "transformers.models.hrm_text.patched")
    # what a later import finds: transformers replaces its own module while it is imported
    monkeypatch.setattr(sys.modules["transformers"], "HrmTextForCausalLM", patched.HrmTextForCausalLM)
    assert outcome(tests) == (3, 0)
