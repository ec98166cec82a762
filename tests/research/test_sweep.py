"""Sweeps survive what happens to long runs."""

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mini_ism.folder_lock import FolderInUseError, locked
from mini_ism.results import Row, read_rows
from mini_ism.results.rows import Config
from research.sweep import RunError, Sweep, row_line, run_sweep
from tests.research.toy import seeds, toy_sweep

ROOT = Path(__file__).resolve().parents[2]


def together(configs: list[Config]) -> list[dict[str, Any]]:
    return [{"made with": len(configs)} for _ in configs]


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_sweep_is_run_once(tmp_path: Path, jobs: int) -> None:
    sweep = toy_sweep(4, log=str(tmp_path / "log"))
    rows = run_sweep(sweep, tmp_path, jobs=jobs)
    assert [row.result["square"] for row in rows] == [0, 1, 4, 9]
    assert {row.threads for row in rows} == {1}
    assert set(rows[0].versions) == {"python", "torch", "numpy", "mini_ism"}
    assert (os.getpid() in {row.result["process"] for row in rows}) == (jobs == 1)
    before = (tmp_path / "toy.jsonl").read_bytes()
    assert run_sweep(sweep, tmp_path, jobs=jobs) == rows == read_rows(tmp_path / "toy.jsonl")
    assert (tmp_path / "toy.jsonl").read_bytes() == before
    assert sorted((tmp_path / "log").read_text().split()) == ["0", "1", "2", "3"]


def test_two_processes_do_not_run_one_sweep(tmp_path: Path) -> None:
    with locked(tmp_path, ".toy.lock"), pytest.raises(FolderInUseError, match="does the same there; wait for it"):
        run_sweep(toy_sweep(2), tmp_path, jobs=1)
    with locked(tmp_path, ".another.lock"):
        assert len(run_sweep(toy_sweep(2), tmp_path, jobs=1)) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["toy.jsonl"]


def test_seconds_are_measured_one_after_the_other(tmp_path: Path) -> None:
    rows = run_sweep(replace(toy_sweep(2), alone=True), tmp_path, jobs=2)
    assert {row.result["process"] for row in rows} == {os.getpid()}


def test_configs_that_follow_from_rows_are_run_next(tmp_path: Path) -> None:
    """One command: two seeds, then one that depends on them; and again, nothing."""
    plain = toy_sweep(2, log=str(tmp_path / "log"))

    def further(rows: list[Row]) -> list[Config]:
        assert {row.config["seed"] for row in rows} <= {0, 1}
        total = sum(row.result["square"] for row in rows)
        return [{**plain.configs[0], "seed": 10 + total}] if len(rows) == 2 else []

    sweep = replace(plain, further=further)
    assert sweep.wanted([]) == plain.configs
    for _ in range(2):
        rows = run_sweep(sweep, tmp_path, jobs=1)
        assert seeds(rows) == [0, 1, 11] == seeds(read_rows(tmp_path / "toy.jsonl"))
        assert [config["seed"] for config in sweep.wanted(rows)] == [0, 1, 11]
    assert (tmp_path / "log").read_text().split() == ["0", "1", "11"]
    with pytest.raises(ValueError, match="line 3 has a config that sweep 'toy' has no longer"):
        run_sweep(plain, tmp_path, jobs=1)


def test_the_file_is_in_the_order_of_the_configs(tmp_path: Path) -> None:
    sweep = toy_sweep(4)
    path = tmp_path / "toy.jsonl"
    rows = run_sweep(sweep, tmp_path, jobs=1)
    path.write_text("".join(row_line(row) for row in reversed(rows)))
    run_sweep(sweep, tmp_path, jobs=1)
    assert seeds(read_rows(path)) == [0, 1, 2, 3]
    backwards = replace(sweep, configs=sweep.configs[::-1])
    assert seeds(run_sweep(backwards, tmp_path, jobs=1)) == seeds(read_rows(path)) == [3, 2, 1, 0]


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_error_stops_no_other_run(tmp_path: Path, jobs: int) -> None:
    sweep = toy_sweep(4)
    broken = replace(sweep, configs=[*sweep.configs[:2], {"mask": "ism", "seed": 9, "fails": True}, *sweep.configs[2:]])
    message = r"1 of 5 calls of sweep 'toy' failed.*ZeroDivisionError: one seed too many, with config .*'seed': 9"
    with pytest.raises(RunError, match=message):
        run_sweep(broken, tmp_path, jobs=jobs)
    assert sorted(seeds(read_rows(tmp_path / "toy.jsonl"))) == [0, 1, 2, 3]
    assert seeds(run_sweep(sweep, tmp_path, jobs=jobs)) == [0, 1, 2, 3]


def dies(config: Config) -> dict[str, Any]:
    os._exit(1)


@pytest.mark.slow
def test_a_process_that_dies_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"a process of sweep 'toy' died.*the same command goes on"):
        run_sweep(replace(toy_sweep(2), run=dies), tmp_path)


def test_a_torn_line_is_dropped_and_run_again(tmp_path: Path) -> None:
    sweep, path = toy_sweep(3), tmp_path / "toy.jsonl"
    run_sweep(sweep, tmp_path, jobs=1)
    whole = path.read_bytes()
    for cut in (1, 30):  # the end alone is missing; half of the line is
        path.write_bytes(whole[:-cut])
        assert seeds(read_rows(path)) == [0, 1]
        assert seeds(run_sweep(sweep, tmp_path, jobs=1)) == seeds(read_rows(path)) == [0, 1, 2]


def test_runs_made_together(tmp_path: Path) -> None:
    configs = [{"mask": mask, "seed": seed} for mask in ("causal", "ism") for seed in range(3)]
    sweep = Sweep("toy", together, configs, configs[:2], together=("seed",))
    assert [row.result for row in run_sweep(sweep, tmp_path, jobs=1, cut=True)] == [{"made with": 2}] * 2
    assert [row.result["made with"] for row in run_sweep(sweep, tmp_path, jobs=1)] == [2, 2, 1, 3, 3, 3]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_and_kill_leave_finished_runs(tmp_path: Path, blow: signal.Signals) -> None:
    code = (
        "from dataclasses import replace; from pathlib import Path; from research.sweep import run_sweep\n"
        "from tests.research.toy import toy_sweep\n"
        "if __name__ == '__main__':\n"
        "    slow = [{'mask': 'ism', 'seed': seed, 'sleep': 600} for seed in range(5, 8)]\n"
        "    sweep = toy_sweep(3); sweep = replace(sweep, configs=[*sweep.configs, *slow])\n"
        f"    run_sweep(sweep, Path({str(tmp_path)!r}))\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, str(script)], cwd=ROOT, env=environment, stderr=subprocess.PIPE)
    path, patience = tmp_path / "toy.jsonl", time.monotonic() + 120
    while len(read_rows(path)) < 3 and time.monotonic() < patience:
        time.sleep(0.1)
    process.send_signal(blow)
    process.communicate(timeout=60)
    assert sorted(seeds(read_rows(path))) == [0, 1, 2]


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    sweep, path = toy_sweep(2), tmp_path / "toy.jsonl"
    run_sweep(sweep, tmp_path, jobs=1)
    whole = path.read_bytes()
    for damage in (b"{\n", b"[]\n", b'{"config": {}}\n'):
        path.write_bytes(damage + whole)
        with pytest.raises(ValueError, match=r"toy.jsonl, line 1 is damaged .* delete that line"):
            run_sweep(sweep, tmp_path, jobs=1)
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=r"line 1 has a config that sweep 'toy' has no longer: .*'mask': 'ism'"):
        run_sweep(toy_sweep(2, extra=1), tmp_path, jobs=1)
    with pytest.raises(ValueError, match="jobs must be from 1 to 1024, got 0"):
        run_sweep(sweep, tmp_path, jobs=0)
    with pytest.raises(ValueError, match="the same config twice"):
        replace(sweep, configs=[sweep.configs[0]] * 2)
    with pytest.raises(RunError, match="not JSON compliant"):
        run_sweep(Sweep("nan", lambda config: {"x": math.nan}, [{"seed": 0}], []), tmp_path, jobs=1)
