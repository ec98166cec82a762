"""A run's metrics: kept short, loaded again, and refused when damaged."""

import json
from pathlib import Path

import pytest

from mini_ism.checkpoints import CheckpointError, load_metrics, read_checkpoint
from mini_ism.metrics import Measurement
from mini_ism.paths import data_dir
from tools.train_checkpoints import save_metrics


def steps(count: int, every: int) -> list[Measurement]:
    """The lines of a run that is scored now and then."""
    lines: list[Measurement] = [
        {"step": n, "seconds": n / 3, "tokens": 50 * n, "seen": 2 * n, "loss": 1 / n, "lr": 0.003 / n}
        for n in range(1, count + 1)
    ]
    for line in [*lines[every - 1 :: every], lines[-1]]:
        line["exact"] = {"recall": [line["step"] % 4, 4], "ack": [3, 8]}
    return lines


def test_a_long_runs_metrics_are_kept_short(tmp_path: Path) -> None:
    run = steps(28_000, 500)
    save_metrics(run, tmp_path)
    kept = load_metrics(tmp_path)
    assert (tmp_path / "metrics.jsonl").stat().st_size < 60_000
    assert [line["step"] for line in kept] == list(range(500, 28_001, 500))
    for line in kept:
        whole = run[line["step"] - 1]
        for key in ("step", "tokens", "seen", "exact"):
            assert line[key] == whole[key]
        assert line["seconds"] == pytest.approx(whole["seconds"], abs=0.06)
        interval = [each["loss"] for each in run[line["step"] - 500 : line["step"]]]
        assert line["loss"] == pytest.approx(sum(interval) / 500, abs=1e-4)


def test_a_runs_own_metrics_can_be_loaded(tmp_path: Path) -> None:
    run = steps(7, 3)
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in run), encoding="utf-8")
    assert load_metrics(tmp_path) == load_metrics(str(tmp_path)) == run


@pytest.mark.parametrize("name", ["causal", "prefix", "ism"])
def test_metrics_of_a_shipped_model_end_where_its_training_did(name: str) -> None:
    folder = data_dir() / "checkpoints" / name
    if not (folder / "metrics.jsonl").exists():
        pytest.skip("trained before metrics were shipped")
    last = load_metrics(name)[-1]
    training = read_checkpoint(name).training
    assert (folder / "metrics.jsonl").stat().st_size < 60_000
    assert {key: last[key] for key in ("step", "tokens", "seen")} == {
        key: training[key] for key in ("step", "tokens", "seen")
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"no metrics at .*: metrics\.jsonl is missing; shipped models are causal, .*ism, prefix; a run keeps"),
        ('{"step": 1', r"metrics\.jsonl is not readable JSON, line by line .*copy it again, or train it again"),
        ("\udcff", "is not readable JSON, line by line"),
        ("3", r"metrics\.jsonl, line 1: not a JSON object; it was cut short"),
        ('{"step": 1, "seconds": 1, "tokens": 1, "seen": "2"}', "line 1: 'seen' is not a number; it was"),
        ('{"step": 1, "seconds": 1, "tokens": 1, "seen": 2}', "line 1: 'loss' is not a number"),
        *(
            (
                json.dumps({**dict.fromkeys(("step", "seconds", "tokens", "seen", "loss"), 1), "exact": exact}),
                r"line 1: 'exact' does not hold \[right, total\] by skill",
            )
            for exact in ([1, 2], {"recall": 3}, {"recall": [3, 2]}, {"recall": [1, 2, 3]}, {"recall": [0.5, 1]})
        ),
    ],
)
def test_damaged_metrics(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "metrics.jsonl").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CheckpointError, match=message) as caught:
        load_metrics(tmp_path)
    assert str(tmp_path) in str(caught.value)
