"""Faster ways to train: bfloat16 comes close, compiled blocks come out the same, and what is missing is named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mini_ism import GPT, GPTConfig
from mini_ism.speed import autocast
from mini_ism.training import Run, TrainingConfig
from tests.small_runs import TINY

COMPILED = """
import sys
from pathlib import Path
from mini_ism.training import Run, TrainingConfig
from tests.small_runs import TINY

for compiled in (False, True):
    Run(TrainingConfig(**TINY), Path(sys.argv[1]) / str(compiled), compiled=compiled).train()
"""


@pytest.mark.slow
def test_bf16_computes_in_bf16_and_keeps_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: set[torch.dtype] = set()
    entropy = torch.nn.functional.cross_entropy

    def noted(logits: Tensor, *given: Tensor, **options: str) -> Tensor:
        kinds.add(logits.dtype)
        return entropy(logits, *given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("mini_ism.training.F.cross_entropy", noted)
    runs = {name: Run(TrainingConfig(precision=name, **TINY), tmp_path / name) for name in ("float32", "bf16")}
    for run in runs.values():
        run.train()
    losses = {name: torch.tensor([line["loss"] for line in run.metrics]) for name, run in runs.items()}
    assert not torch.equal(losses["bf16"], losses["float32"])
    torch.testing.assert_close(losses["bf16"], losses["float32"], atol=0.1, rtol=0.05)
    assert kinds == {torch.float32}
    assert {value.dtype for value in runs["bf16"].model.state_dict().values()} == {torch.float32}


def test_bf16_holds_inside_the_block_only() -> None:
    model, tokens = GPT(GPTConfig(layers=1)), torch.arange(5)[None]
    with autocast("bf16", torch.device("cpu")):
        assert model(tokens).dtype == torch.bfloat16
    assert model(tokens).dtype == torch.float32
    with autocast("float32", torch.device("cpu")):
        assert model(tokens).dtype == torch.float32


@pytest.mark.slow
def test_compiled_blocks_train_the_same_model(tmp_path: Path) -> None:
    """In a process of its own, as compiling changes PyTorch for the rest of it; six steps of six lengths."""
    pytest.importorskip("torch._inductor")
    result = subprocess.run(
        [sys.executable, "-c", COMPILED, str(tmp_path)], capture_output=True, text=True, timeout=280, check=False
    )
    if "torch.compile does not work here" in result.stderr:
        pytest.skip(result.stderr.splitlines()[-1])
    assert result.returncode == 0, result.stderr
    runs = [Run(TrainingConfig(**TINY), tmp_path / name) for name in ("False", "True")]
    losses = [[line["loss"] for line in run.metrics] for run in runs]
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    assert [line.get("exact") for line in runs[0].metrics] == [line.get("exact") for line in runs[1].metrics]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the compiler is found otherwise there")
def test_a_missing_compiler_is_named(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    environment.pop("CXX", None)
    command = [sys.executable, "-m", "mini_ism", "train", "--compile", f"--out={tmp_path / 'run'}", "--steps=2"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100, check=False)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("mini-ism: torch.compile does not work here")
    assert "C++ compiler" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()
