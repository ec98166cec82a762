"""What a run keeps on disk: whole after a full disk, refused when damaged or another run's."""

import errno
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save as save_tensors

from mini_ism.checkpoints import CheckpointError
from mini_ism.files import fingerprint
from mini_ism.run_files import RunFiles
from mini_ism.training import Run, TrainingConfig
from tests.faults import fail
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
    kept: dict[str, Any] = {"progress": asdict(old.progress), "metrics": old.metrics}
    RunFiles(tmp_path).save(old.model, old.optimizer, config=config, **kept)
    assert Run(TrainingConfig(**TINY), tmp_path).progress.step == 1
    with pytest.raises(CheckpointError, match="precision='float32' there, 'bf16' now"):
        Run(TrainingConfig(precision="bf16", **TINY), tmp_path)


def test_a_run_from_before_validation_named_a_file_goes_on(tmp_path: Path) -> None:
    old = Run(TrainingConfig(**TINY), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        old.train(stop_at(1))
    config = asdict(old.config)
    config["validation"] = config.pop("validation_size")
    assert config["corpus"] == 2
    kept: dict[str, Any] = {"progress": asdict(old.progress), "metrics": old.metrics}
    RunFiles(tmp_path).save(old.model, old.optimizer, config=config, **kept)
    assert Run(TrainingConfig(**TINY), tmp_path).progress.step == 1
    with pytest.raises(CheckpointError, match="validation_size=4 there, 5 now"):
        Run(TrainingConfig(**{**TINY, "validation_size": 5}), tmp_path)


def test_a_run_from_before_the_corpus_had_versions_goes_on_with_the_first(tmp_path: Path) -> None:
    old = Run(TrainingConfig(corpus=1, **TINY), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        old.train(stop_at(1))
    config = asdict(old.config)
    del config["corpus"]
    kept: dict[str, Any] = {"progress": asdict(old.progress), "metrics": old.metrics}
    RunFiles(tmp_path).save(old.model, old.optimizer, config=config, **kept)
    assert Run(TrainingConfig(corpus=1, **TINY), tmp_path).progress.step == 1
    with pytest.raises(CheckpointError, match="corpus=1 there, 2 now"):
        Run(TrainingConfig(**TINY), tmp_path)


DAMAGES: list[tuple[str, Any]] = [
    ("state.safetensors", lambda b: b[: len(b) // 2]),
    ("state.safetensors", lambda b: b""),
    ("state.safetensors", lambda b: b"{}" + b),
    ("state.safetensors", lambda b: b.replace(b'"loss": ', b'"lots": ')),  # a measurement
    ("state.safetensors", lambda b: b[:-100] + bytes([b[-100] ^ 1]) + b[-99:]),
    ("state.safetensors", lambda b: b.replace(b'\\"step\\": 1', b'\\"step\\": 3')),
    ("state.safetensors", lambda b: save_tensors({"weight": torch.ones(3)})),
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


@pytest.mark.slow
@pytest.mark.parametrize("content", [None, b"", b"[1, 2]\n", b"\xff"])
def test_measurements_are_never_lost(tmp_path: Path, content: bytes | None) -> None:
    """They lie in the state; the file of their own is for others to read, and is written anew."""
    run, file = Run(TrainingConfig(**TINY), tmp_path), tmp_path / "metrics.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run.train(stop_at(3))
    before = file.read_bytes()
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    again = Run(TrainingConfig(**TINY), tmp_path)
    assert again.metrics == run.metrics
    again.save()
    assert file.read_bytes() == before


def test_a_run_from_before_the_state_held_measurements_goes_on(tmp_path: Path) -> None:
    run = Run(TrainingConfig(**TINY), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run.train(stop_at(3))
    edit_state(tmp_path, lambda tensors: tensors.pop("metrics.jsonl"))
    again = Run(TrainingConfig(**TINY), tmp_path)
    assert (again.progress, again.metrics) == (run.progress, run.metrics)
    (tmp_path / "metrics.jsonl").write_text("[1, 2]\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl is damaged .*line 1: not a JSON object"):
        Run(TrainingConfig(**TINY), tmp_path)


def edit_state(folder: Path, change: Any) -> None:
    """Change a state's tensors, with the fingerprint that fits them."""
    file = folder / "state.safetensors"
    with safe_open(file, "pt") as content:
        about, tensors = content.metadata(), {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118
    change(tensors)
    about["sha256"] = fingerprint(tensors, about["config"], about["progress"])
    file.write_bytes(save_tensors(tensors, about))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("model.embed.weight", None, r"model\.embed\.weight is missing"),
        (
            "model.embed.weight",
            torch.zeros(3, 4),
            r"model\.embed\.weight has shape \(3, 4\), which no run of this model",
        ),
        ("model.more", torch.zeros(3), r"model\.more has shape \(3,\)"),
        ("optimizer.999.step", torch.zeros(()), r"optimizer\.999\.step has shape"),
        ("optimizer.0.exp_avg", torch.zeros(7), r"optimizer\.0\.exp_avg has shape \(7,\)"),
        ("optimizer.0.step", torch.tensor(torch.nan), r"optimizer\.0\.step is not finite"),
        ("metrics.jsonl", torch.zeros(3, dtype=torch.uint8), "its record of measurements is not readable JSON"),
    ],
)
def test_a_state_of_other_tensors_is_refused(tmp_path: Path, name: str, value: Any, message: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        Run(TrainingConfig(**TINY), tmp_path).train(stop_at(1))
    edit_state(tmp_path, lambda tensors: tensors.pop(name) if value is None else tensors.update({name: value}))
    with pytest.raises(CheckpointError, match=rf"state\.safetensors is damaged or not a training run \({message}"):
        Run(TrainingConfig(**TINY), tmp_path)


def test_what_a_kill_has_left_is_cleaned_up(tmp_path: Path) -> None:
    for name in (".state.safetensors.0a1b2c3d.part", ".metrics.jsonl.0a1b2c3d.part", ".lock", ".notes.txt.1.part"):
        (tmp_path / name).write_text("process 1 on nowhere", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        Run(TrainingConfig(**TINY), tmp_path).train(stop_at(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".notes.txt.1.part",  # not a run's
        "metrics.jsonl",
        "state.safetensors",
    ]


def test_a_run_stopped_before_its_first_step_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mini_ism.training.prepared_ahead", fail(1, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        Run(TrainingConfig(**TINY), tmp_path).train()
    monkeypatch.undo()
    again = Run(TrainingConfig(**TINY), tmp_path)
    assert (again.progress.step, again.metrics) == (0, [])
    with pytest.raises(KeyboardInterrupt):
        again.train(stop_at(1))
    assert Run(TrainingConfig(**TINY), tmp_path).progress.step == 1


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
