"""Several processes train what one trains; one of them writes; whatever stops them, the same command goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from mini_ism.distributed import Team, join, unsynced
from mini_ism.metrics import read_metrics
from mini_ism.training import Run, TrainingConfig
from tests.small_runs import TINY, stop_at
from tests.team_runs import CASES, case

ROOT = Path(__file__).parent.parent
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
PATIENCE = 100.0  # seconds; a team that hangs does so for ten minutes
needs_gloo = pytest.mark.skipif(not dist.is_available() or not dist.is_gloo_available(), reason="no gloo")


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def close(one: Path, two: Path, weights: float = 1e-5) -> None:
    """Two saved states are alike: weights, up to ``weights``, and the moments of their gradients."""
    first, second = load_file(one / "state.safetensors"), load_file(two / "state.safetensors")
    assert first.keys() == second.keys()
    del first["metrics.jsonl"]  # seconds differ
    for name, value in first.items():
        atol = weights if name.startswith("model.") else 1e-5
        torch.testing.assert_close(second[name], value, atol=atol, rtol=1e-3, msg=name)


# -- one process -----------------------------------------------------------------------------------


def test_shares_divide_a_step_without_overlap() -> None:
    for size in (1, 2, 3, 5):
        for items in (range(5), range(9)):
            shares = [Team(rank, size).share(items) for rank in range(size)]
            assert sorted(item for share in shares for item in share) == list(items)
            assert all(0 < Team(0, size).parts(len(items), 4) <= len(share) for share in shares)


def test_a_process_alone_is_a_team() -> None:
    with join("cpu") as (team, device):
        assert (team, device) == (Team(), torch.device("cpu"))
        assert team.leads
        assert team.sum(1, 2.5) == [1.0, 2.5]
        assert team.gather("a") == ["a"]
        layer = torch.nn.Linear(2, 2)
        assert team.wrap(layer, [], device) is layer
        with unsynced(layer):
            pass


def test_too_few_dialogues_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"2 dialogues per step cannot be divided among 3 processes; use --dialogues 3"
    ):
        Run(TrainingConfig(**TINY), tmp_path, team=Team(1, 3))


def test_one_process_cannot_shard() -> None:
    with pytest.raises(ValueError, match=r"there is one process, and sharding spreads .*`torchrun"):
        Team(shard=True)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if ``torchrun`` had started this process and another one."""
    monkeypatch.setattr(dist, "is_torchelastic_launched", lambda: True)
    monkeypatch.setattr(dist, "init_process_group", lambda *_, **__: None)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: None)
    for name, value in {"RANK": 1, "LOCAL_RANK": 1, "WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))


@pytest.mark.usefixtures("launched")
def test_a_lost_process_is_told_in_one_line_and_a_mistake_is_not_hidden() -> None:
    def fail(message: str) -> None:
        with join("cpu") as (team, _):
            assert team == Team(1, 2)
            raise RuntimeError(message)

    with pytest.raises(ConnectionError, match=r"process 1 of 2 has lost another one.*same command.*closed by peer\)$"):
        fail("[gloo/transport/tcp/pair.cc:1] Connection closed by peer. More")
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        fail("shapes cannot be multiplied")


@pytest.mark.usefixtures("launched")
def test_a_device_that_carries_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(ValueError, match="can train on cpu or cuda, not on mps"), join("mps"):
        pass


# -- two processes ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every case, trained by two processes."""
    folder = tmp_path_factory.mktemp("two")
    command = [*TORCHRUN, "tests.team_runs", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT, env=environment(), timeout=3 * PATIENCE)
    return folder


@needs_gloo
@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_what_one_trains(name: str, trained: Path, tmp_path: Path) -> None:
    alone = Run(case(name), tmp_path)
    alone.train()
    lines = read_metrics(trained / name / "metrics.jsonl")
    assert [line["loss"] for line in lines] == pytest.approx([line["loss"] for line in alone.metrics], abs=1e-5)
    for key in ("step", "tokens", "seen", "lr", "exact"):
        assert [line.get(key) for line in lines] == [line.get(key) for line in alone.metrics], key
    # AdamW moves a weight whose gradient is next to nothing as far as any other, and rounding says which way.
    close(tmp_path, trained / name, weights=3e-4)
    assert {path.name for path in (trained / name).iterdir()} == {path.name for path in tmp_path.iterdir()}


@needs_gloo
@pytest.mark.slow
def test_processes_share_the_dialogues_and_one_writes(trained: Path) -> None:
    reports = [json.loads((trained / f"report{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]
    assert len(reports[0]["wrote"]) >= 3 * len(CASES)
    assert reports[1]["wrote"] == []
    for name in CASES:
        config, drawn = case(name), [report["drawn"][name] for report in reports]
        parts = len(drawn[0]) // config.steps
        assert parts == min(config.micro_batches, 2)
        for step in range(config.steps):
            took = Counter(d for process in drawn for part in process[step * parts : (step + 1) * parts] for d in part)
            assert took == Counter(json.dumps(dialogue.messages) for dialogue in config.draw(step))


# -- what stops them -------------------------------------------------------------------------------

LONG: dict[str, Any] = {**TINY, "steps": 16, "validate": 16, "save": 1}
at_work = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@contextmanager
def team_at_work(folder: Path, *options: str, **changes: Any) -> Iterator[subprocess.Popen[str]]:
    """Two processes of the command line, some steps into their training."""
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in {**LONG, **changes}.items()]
    command = [*TORCHRUN, "tests.team_runs", str(folder), "train", f"--out={folder / 'run'}", *flags, *options]
    before = saved(folder)
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        give_up = time.monotonic() + PATIENCE
        while process.poll() is None and saved(folder) == before and time.monotonic() < give_up:
            time.sleep(0.01)
        try:
            yield process
        finally:
            process.kill()


def saved(folder: Path) -> int:
    state = folder / "run" / "state.safetensors"
    return state.stat().st_mtime_ns if state.exists() else 0


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    Run(TrainingConfig(**LONG), folder).train()
    return folder


@at_work
@needs_gloo
@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--shard",)], ids=["copies", "shards"])
def test_a_killed_process_ends_all_and_the_next_start_goes_on(
    options: tuple[str, ...], tmp_path: Path, unbroken: Path
) -> None:
    """Killed are first the one that does not write, then the one that does; a single process does the rest."""
    steps = []
    for rank in (1, 0):
        with team_at_work(tmp_path, *options) as process:
            os.kill(int((tmp_path / f"pid{rank}").read_text(encoding="utf-8")), signal.SIGKILL)
            _, printed = process.communicate(timeout=PATIENCE)
        assert process.returncode not in (0, None)
        assert "Signal 9 (SIGKILL)" in printed
        assert printed.count("Traceback (most recent call last)") <= 1  # torchrun's own
        assert not (tmp_path / "run" / "model.safetensors").exists()
        steps.append(Run(TrainingConfig(**LONG), tmp_path / "run").progress.step)
        assert f"step {steps[0] if rank == 0 else 0} of 16" in printed
    assert 0 < steps[0] < steps[1] < 16
    Run(TrainingConfig(**LONG), tmp_path / "run").train()
    close(unbroken, tmp_path / "run")


@at_work
@needs_gloo
@pytest.mark.slow
def test_ctrl_c_saves_once_and_a_team_goes_on_where_one_process_stopped(tmp_path: Path, unbroken: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Run(TrainingConfig(**LONG), tmp_path / "run").train(stop_at(1))
    with team_at_work(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert printed.count("saved at step") == 1
    step = Run(TrainingConfig(**LONG), tmp_path / "run").progress.step
    assert f"saved at step {step};" in printed
    Run(TrainingConfig(**LONG), tmp_path / "run").train()
    close(unbroken, tmp_path / "run")
