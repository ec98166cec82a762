"""What a run keeps on disk: whole after a full disk, refused when damaged or another run's."""

import errno
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as save_tensors

from mini_ism.checkpoints import CheckpointError
from mini_ism.run_files import save_run
from mini_ism.training import Run, TrainingConfig
from tests.small_runs import TINY, stop_at


def test_a_folder_with_another_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Run(TrainingConfig(**TINY), tmp_path).train(stop_at(1))
    with pytest.raises(CheckpointError, match=rf"lr={TrainingConfig.lr} there, 0.1 now; choose another folder"):
        Run(TrainingConfig(lr=0.1, **TINY), tmp_path)


def test_a_run_from_before_there_was_a_precision_goes_on_in_float32(tmp_path: Path) -> None:
    old = Run(TrainingConfig(**TINY), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        old.train(stop_at(1))
    config = asdict(old.config)
    del config["precision"]
    save_run(tmp_path, old.model, old.optimizer, config=config, progress=asdict(old.progress), metrics=old.metrics)
    assert Run(TrainingConfig(**TINY), tmp_path).progress.step == 1
    with pytest.raises(CheckpointError, match="precision='float32' there, 'bf16' now"):
        Run(TrainingConfig(precision="bf16", **TINY), tmp_path)


DAMAGES: list[tuple[str, Any]] = [
    ("state.safetensors", lambda b: b[: len(b) // 2]),
    ("state.safetensors", lambda b: b""),
    ("state.safetensors", lambda b: b"{}" + b),
    ("state.safetensors", lambda b: b[:-100] + bytes([b[-100] ^ 1]) + b[-99:]),
    ("state.safetensors", lambda b: b.replace(b'\\"step\\": 1', b'\\"step\\": 3')),
    ("state.safetensors", lambda b: save_tensors({"weight": torch.ones(3)})),
    ("metrics.jsonl", lambda b: b[:-9]),
    ("metrics.jsonl", lambda b: b"\xff" + b),
    ("metrics.jsonl", lambda b: b"[1, 2]\n"),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_a_damaged_run_is_refused(tmp_path: Path, name: str, damage: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        Run(TrainingConfig(**TINY), tmp_path).train(stop_at(1))
    content = (tmp_path / name).read_bytes()
    damaged = damage(content)
    assert damaged != content
    (tmp_path / name).write_bytes(damaged)
    with pytest.raises(
        CheckpointError, match=rf"{name} is damaged or not a training run.*choose another folder"
    ) as caught:
        Run(TrainingConfig(**TINY), tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert (tmp_path / name).read_bytes() == damaged  # and nothing is touched


def test_a_run_without_its_metrics_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Run(TrainingConfig(**TINY), tmp_path).train(stop_at(1))
    (tmp_path / "metrics.jsonl").unlink()
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl is damaged .*No such file.*choose another folder"):
        Run(TrainingConfig(**TINY), tmp_path)


def test_a_full_disk_leaves_the_last_save_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        Run(TrainingConfig(**TINY), tmp_path).train(stop_at(2))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    run = Run(TrainingConfig(**TINY), tmp_path)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mini_ism.files.os.fsync", full)
    with pytest.raises(OSError, match=r"No space left on device.*Free some space"):
        run.train()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
