"""Sweeps survive what happens to long runs; statistics match published values; the report matches the rows."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mini_ism.__main__ import main
from mini_ism.experiments import (
    Claim,
    Config,
    Row,
    RunFailed,
    Sweep,
    get_sweep,
    read_rows,
    registry,
    results_dir,
    run_sweep,
    sweeps,
)
from mini_ism.experiments.curves import Point, steps_to
from mini_ism.experiments.report import PICTURES, check, markdown_table, pictures, report
from mini_ism.experiments.statistics import (
    Interval,
    at_best_rate,
    by_seed,
    mean_interval,
    paired_difference,
    student,
)
from mini_ism.views import Figure

ROOT = Path(__file__).resolve().parents[1]


def toy(config: Config) -> dict[str, Any]:
    """A run that leaves a mark, and fails or takes long where its config says so."""
    if (log := config.get("log")) is not None:
        with Path(log).open("a") as file:
            file.write(f"{config['seed']}\n")
    if config.get("fails"):
        raise ZeroDivisionError("one seed too many")
    time.sleep(config.get("sleep", 0))
    return {"square": config["seed"] ** 2, "process": os.getpid()}


def together(configs: list[Config]) -> list[dict[str, Any]]:
    return [{"made with": len(configs)} for _ in configs]


def toy_sweep(count: int, **more: Any) -> Sweep:
    configs = [{"mask": "ism", "seed": seed, **more} for seed in range(count)]
    return Sweep("toy", toy, configs, configs[:1])


def seeds(rows: list[Row]) -> list[int]:
    return [row.config["seed"] for row in rows]


# -- running -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 2])
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


def test_seconds_are_measured_one_after_the_other(tmp_path: Path) -> None:
    rows = run_sweep(replace(toy_sweep(2), alone=True), tmp_path, jobs=2)
    assert {row.result["process"] for row in rows} == {os.getpid()}


def test_the_file_is_in_the_order_of_the_configs(tmp_path: Path) -> None:
    sweep = toy_sweep(4)
    path = tmp_path / "toy.jsonl"
    rows = run_sweep(sweep, tmp_path, jobs=1)
    path.write_text("".join(row.line for row in reversed(rows)))
    run_sweep(sweep, tmp_path, jobs=1)
    assert seeds(read_rows(path)) == [0, 1, 2, 3]
    backwards = replace(sweep, configs=sweep.configs[::-1])
    assert seeds(run_sweep(backwards, tmp_path, jobs=1)) == seeds(read_rows(path)) == [3, 2, 1, 0]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_stops_no_other_run(tmp_path: Path, jobs: int) -> None:
    sweep = toy_sweep(4)
    broken = replace(sweep, configs=[*sweep.configs[:2], {"mask": "ism", "seed": 9, "fails": True}, *sweep.configs[2:]])
    told = r"1 of 5 calls of sweep 'toy' failed.*ZeroDivisionError: one seed too many, with config .*'seed': 9"
    with pytest.raises(RunFailed, match=told):
        run_sweep(broken, tmp_path, jobs=jobs)
    assert sorted(seeds(read_rows(tmp_path / "toy.jsonl"))) == [0, 1, 2, 3]
    assert seeds(run_sweep(sweep, tmp_path, jobs=jobs)) == [0, 1, 2, 3]


def dies(config: Config) -> dict[str, Any]:
    os._exit(1)


def test_a_process_that_dies_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"a process of sweep 'toy' died.*the same command goes on"):
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
        "from dataclasses import replace; from pathlib import Path; from mini_ism.experiments import run_sweep\n"
        "from tests.test_experiments import toy_sweep\n"
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
    with pytest.raises(ValueError, match="jobs must be at least 1, got 0"):
        run_sweep(sweep, tmp_path, jobs=0)
    with pytest.raises(ValueError, match="the same config twice"):
        replace(sweep, configs=[sweep.configs[0]] * 2)
    with pytest.raises(RunFailed, match="not JSON compliant"):
        run_sweep(Sweep("odd", lambda config: {"x": math.nan}, [{"seed": 0}], []), tmp_path, jobs=1)


# -- statistics --------------------------------------------------------------------------------------


def test_student_against_published_values() -> None:
    published = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764, 5: 2.5706, 9: 2.2622, 10: 2.2281, 30: 2.0423, 120: 1.9799}
    for freedom, t in published.items():
        assert student(freedom) == pytest.approx(t, abs=5e-5)
    with pytest.raises(ValueError, match="at least 1 degree of freedom"):
        student(0)


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    chance = np.random.default_rng(0)
    inside = sum(i.low <= 3 <= i.high for i in (mean_interval(chance.normal(3, 2, 5)) for _ in range(4000)))
    assert inside / 4000 == pytest.approx(0.95, abs=0.01)


def test_intervals_in_words() -> None:
    assert mean_interval([1.0, 2.0, 3.0]).text() == "2.00 (-0.48 to 4.48)"
    assert mean_interval([2.0]).text(1) == "2.0"
    assert mean_interval([0.5, 0.5]).percent(0) == mean_interval([0.5, 0.5]).share(0) == "50% (50% to 50%)"
    assert mean_interval([0.5, 1.0]).share(0) == "75% (0% to 100%)"  # no share is -243% or 393%
    assert mean_interval([0.5]).share(0) == "50%"
    assert [mean_interval(v).verdict for v in ([1.0, 1.1], [-1.0, -1.1], [-1.0, 1.0], [5.0])] == [
        "more",
        "less",
        "tie",
        "tie",
    ]
    assert mean_interval([1.0, 1.01]).apart(mean_interval([3.0, 3.01]))
    assert not mean_interval([1.0, 1.01]).apart(mean_interval([3.0]))
    for diverged in ([math.inf, 1.0], [math.inf, -math.inf, 1.0], [math.nan]):
        assert mean_interval(diverged).text() == mean_interval(diverged).verdict == "diverged"
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])


def test_pairs_share_their_seed() -> None:
    noise = [0.0, 5.0, -3.0, 2.0]
    a = {seed: 1.1 + n + seed / 100 for seed, n in enumerate(noise)}
    b = {seed: 1.0 + n for seed, n in enumerate([*noise, 7.0])}
    assert paired_difference(a, b).verdict == "more"
    assert paired_difference(a, b).count == 4
    assert not mean_interval(a.values()).apart(mean_interval(b.values()))


def test_steps_to_a_share_are_those_from_which_it_stays() -> None:
    def first(*shares: float) -> int | None:
        return steps_to([Point(step, 0, share) for step, share in zip((10, 20, 30), shares, strict=False)], 0.9)

    assert first(0.95, 0.95, 0.95) == 10
    assert first(0.95, 0.5, 0.9) == 30
    assert first(0.95, 0.95, 0.5) is None
    assert first() is None


def run_at(lr: float, seed: int, validation: float | None, test: float = 0.0) -> Row:
    return Row({"mask": "ism", "lr": lr, "seed": seed}, {"validation": validation, "test": test}, 1.0, {})


def test_the_best_rate_is_chosen_by_validation() -> None:
    rows = [run_at(1e-3, 0, 3.0, 0.1), run_at(1e-3, 1, 3.0, 0.1), run_at(2e-3, 0, 1.0, 9.0), run_at(2e-3, 1, 2.0, 9.0)]

    def rate(rows: list[Row], *, lowest: bool) -> float:
        (chosen,) = at_best_rate(rows, ["mask"], lambda row: row.result["validation"], lowest=lowest).values()
        assert len({row.config["lr"] for row in chosen}) == 1
        return float(chosen[0].config["lr"])

    assert rate(rows, lowest=True) == 2e-3
    assert rate(rows, lowest=False) == 1e-3
    for value in (None, math.inf, math.nan):  # a rate at which one seed diverged
        assert rate([*rows[:2], run_at(2e-3, 0, value), rows[3]], lowest=True) == 1e-3
        assert rate([run_at(2e-3, 0, value), *rows[:2], rows[3]], lowest=False) == 1e-3
    assert rate(rows[:3], lowest=True) == 1e-3  # 2e-3 has not seen two seeds yet
    lucky = [*rows, run_at(1e-3, 2, -9.0)]  # a seed that 2e-3 has not seen, so that it says nothing of the rates
    assert rate(lucky, lowest=True) == 2e-3
    further = [run_at(3e-3, 0, 1.2), run_at(3e-3, 1, 2.2)]
    assert rate([*rows, *further], lowest=True) == 2e-3
    further += [run_at(2e-3, 2, 8.0), run_at(3e-3, 2, 1.0)]  # on the seed that 1e-3 has not seen, the second best wins
    assert rate([*rows, *further], lowest=True) == 3e-3
    assert rate([*rows, *further], lowest=False) == 1e-3  # which has too few seeds, and is the best of all on these
    (chosen,) = at_best_rate(lucky, ["mask"], lambda row: row.result["validation"], lowest=False).values()
    assert [row.config["seed"] for row in chosen] == [0, 1, 2]
    assert by_seed(rows[:2], lambda row: row.result["test"]) == {0: 0.1, 1: 0.1}
    with pytest.raises(ValueError, match="two rows have seed=0"):
        by_seed(rows, lambda row: row.result["test"])


# -- the report --------------------------------------------------------------------------------------


def tables(rows: list[Row]) -> str:
    return markdown_table(["seed", "square"], [[str(row.config["seed"]), str(row.result["square"])] for row in rows])


def claims(rows: list[Row]) -> list[Claim]:
    found = {row.config["seed"]: row.result["square"] for row in rows}
    made = [Claim("squares, 0 against 1", mean_interval([found[0] - found[1], found[0] - found[1] - 0.1]))]
    return made + ([Claim("3 against itself", Interval(0.0, -1.0, 1.0, 2))] if 3 in found else [])


def figures(rows: list[Row]) -> dict[str, Figure]:
    figure = Figure(figsize=(1, 1))
    figure.add_subplot().plot([row.result["square"] for row in rows])
    figure.alt = f"Squares [{len(rows)}]\nof seeds."
    return {"curve": figure} | ({"early": figure} if len(rows) < 4 else {})


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """The toy sweep as the only one there is."""
    sweep = replace(toy_sweep(4), cut=toy_sweep(2).configs, title="Squares", tables=tables, claims=claims)
    sweeps()  # all modules are loaded before theirs are put aside
    monkeypatch.setattr(registry, "_SWEEPS", {"toy": sweep})
    return sweep


def test_report_and_check(known: Sweep, tmp_path: Path) -> None:
    assert "## " not in report(tmp_path)
    run_sweep(known, tmp_path, jobs=1)
    assert "## Squares\n\n`python -m mini_ism experiment run toy` (4 runs, 0 minutes in all, python 3." in report(
        tmp_path
    )
    assert "| 3 | 9 |\n" in report(tmp_path)
    assert report(tmp_path) == report(tmp_path)
    cut = tmp_path / "cut"
    assert [same for _, same in check(cut, tmp_path)] == [None, None]
    run_sweep(known, cut, jobs=1, cut=True)
    told = check(cut, tmp_path)
    assert [same for _, same in told] == [True, None]
    assert told[0][0].endswith("less; cut down -1.050 (-1.685 to -0.415): the same sign")
    (cut / "toy.jsonl").write_text(
        "".join(replace(r, result={"square": -r.config["seed"]}).line for r in read_rows(cut / "toy.jsonl"))
    )
    assert [same for _, same in check(cut, tmp_path)] == [False, None]


TIE, LESS = Interval(0.0, -0.1, 0.1, 5), Interval(-0.2, -0.3, -0.1, 5)


@pytest.mark.parametrize(
    ("full", "cut", "least", "same"),
    [
        (TIE, Interval(0.05, 0.05, 0.05, 2), 0.0, True),  # seeds that agree, within the tie
        (TIE, Interval(0.2, 0.2, 0.2, 2), 0.0, False),
        (TIE, Interval(0.2, 0.1, 0.3, 2), 0.5, False),  # a tie is no small difference
        (LESS, Interval(-0.1, -0.3, 0.1, 2), 0.0, True),
        (LESS, Interval(0.1, -0.1, 0.3, 2), 0.0, False),
        (LESS, Interval(0.1, -0.1, 0.3, 2), 0.2, False),
        (LESS, Interval(0.1, -0.1, 0.3, 2), 0.21, True),  # too small for two seeds, which make it a tie
        (LESS, Interval(0.2, 0.1, 0.3, 2), 0.21, False),  # not so the other sign
    ],
)
def test_what_counts_as_the_same_sign(
    known: Sweep,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    full: Interval,
    cut: Interval,
    least: float,
    same: bool,
) -> None:
    def claimed(rows: list[Row]) -> list[Claim]:
        return [Claim("a difference", full if len(rows) == 4 else cut, least)]

    monkeypatch.setattr(registry, "_SWEEPS", {"toy": replace(known, claims=claimed)})
    run_sweep(known, tmp_path, jobs=1)
    run_sweep(known, tmp_path / "cut", jobs=1, cut=True)
    assert [found for _, found in check(tmp_path / "cut", tmp_path)] == [same]


def test_pictures_stand_before_the_tables(known: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_sweep(known, tmp_path, jobs=1)
    plain = report(tmp_path)
    drawn = replace(known, figures=figures)
    monkeypatch.setattr(registry, "_SWEEPS", {"toy": drawn})
    shown = "![Squares (4) of seeds.](docs/results/toy-curve.png)\n\n"
    assert report(tmp_path) == plain.replace("| seed |", f"{shown}| seed |")
    assert pictures(drawn, []) == pictures(known, read_rows(tmp_path / "toy.jsonl")) == {}


def test_the_report_writes_the_pictures_of_its_page_and_no_others(
    known: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_SWEEPS", {"toy": replace(known, figures=figures)})
    run_sweep(replace(known, configs=known.configs[:2]), tmp_path / "rows", jobs=1)
    folder = Path(PICTURES)
    assert main(["experiment", "report", "--rows", "rows"]) == 0
    assert {path.name for path in folder.iterdir()} == {"toy-curve.png", "toy-early.png"}
    assert capsys.readouterr().out.split() == [
        "RESULTS.md",
        *(str(folder / f"toy-{n}.png") for n in ("curve", "early")),
    ]
    before = (folder / "toy-curve.png").read_bytes()
    assert before.startswith(b"\x89PNG")
    assert main(["experiment", "report", "--rows", "rows"]) == 0
    assert (folder / "toy-curve.png").read_bytes() == before
    run_sweep(known, tmp_path / "rows", jobs=1)
    (folder / "gone-curve.png").write_bytes(before)
    (folder / "README.md").write_text("Kept.")
    assert main(["experiment", "report", "--rows", "rows", "--out", "RESULTS.md"]) == 0
    assert {path.name for path in folder.iterdir()} == {"toy-curve.png", "README.md"}
    assert (folder / "toy-curve.png").read_bytes() != before
    assert main(["experiment", "report", "--rows", "rows", "--out", "elsewhere/PAGE.md"]) == 0
    assert [path.name for path in (Path("elsewhere") / folder).iterdir()] == ["toy-curve.png"]


def test_the_command_line(
    known: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["experiment", "list"]) == 0
    assert "toy 0 of 4 runs, cut down 2: Squares" in capsys.readouterr().out
    assert main(["experiment", "run", "all", "--cut", "--jobs", "1"]) == 0
    assert len(read_rows(tmp_path / "runs" / "cut" / "toy.jsonl")) == 2
    assert main(["experiment", "run", "toy", "--jobs", "1", "--out", "rows"]) == 0
    assert "toy: 4/4" in capsys.readouterr().err
    assert main(["experiment", "report", "--rows", "rows"]) == 0
    assert (tmp_path / "RESULTS.md").read_text() == report(tmp_path / "rows")
    assert main(["experiment", "check"]) == 0  # nothing is committed of the toy: nothing to hold it to
    assert main(["experiment", "run", "toi"]) == 1
    assert capsys.readouterr().err == "mini-ism: unknown sweep 'toi'; known are toy\n"


def test_the_page_is_of_the_committed_rows() -> None:
    assert (ROOT / "RESULTS.md").read_text(encoding="utf-8") == report(results_dir())


def test_the_pictures_are_of_the_committed_rows() -> None:
    """By their names: the bytes depend on matplotlib's version."""
    drawn = [file for sweep in sweeps() for file in pictures(sweep, read_rows(results_dir() / f"{sweep.name}.jsonl"))]
    folder = ROOT / PICTURES
    told = "run `python -m mini_ism experiment report`"
    assert sorted(drawn) == sorted(f"{PICTURES}/{path.name}" for path in folder.iterdir()), told
    for path in folder.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size < 80_000, f"{path.name} is too large"


def test_a_sweep_without_a_cut_down_version_says_so(
    known: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "_SWEEPS", {"toy": replace(known, cut=[])})
    assert main(["experiment", "run", "toy", "--cut", "--out", str(tmp_path)]) == 0
    assert "toy: not cut down" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_every_registered_sweep_is_sound() -> None:
    names = [sweep.name for sweep in sweeps()]
    assert len(set(names)) == len(names)
    longest = {"skills-long", "skills-late", "regression-linear-longest", "regression-softmax-longest"}
    assert {sweep.name for sweep in sweeps() if not sweep.cut} == longest
    for sweep in sweeps():
        assert get_sweep(sweep.name) is sweep
        assert sweep.tables is not None, f"{sweep.name} tells nothing"
        json.dumps([*sweep.configs, *sweep.cut])
        committed = read_rows(results_dir() / f"{sweep.name}.jsonl")
        assert {json.dumps(row.config, sort_keys=True) for row in committed} <= sweep.known.keys()
