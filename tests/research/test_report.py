"""The report matches the rows, and the command line of the sweeps does what it says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mini_ism.results import Claim, Interval, Row, mean_interval, read_rows, results_dir
from mini_ism.views import Figure
from research import registry
from research import report as report_module
from research.__main__ import main
from research.markdown import markdown_table
from research.registry import get_sweep, register_sweep, sweeps
from research.report import PICTURES, VERDICTS, check, first_sentence, pictures, report
from research.sweep import Sweep, row_line, run_sweep
from tests.research.toy import toy_sweep

ROOT = Path(__file__).resolve().parents[2]


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
def known(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """The toy sweep as the only one there is, and a page that shows nothing else."""
    templates = tmp_path_factory.mktemp("templates")
    (templates / "RESULTS.md").write_text("# Results\n\n{{sweeps}}\n")
    monkeypatch.setattr(report_module, "TEMPLATES", templates)
    sweep = replace(toy_sweep(4), cut=toy_sweep(2).configs, title="Squares", tables=tables, claims=claims)
    sweeps()  # all modules are loaded before theirs are put aside
    monkeypatch.setattr(registry, "_SWEEPS", {"toy": sweep})
    return sweep


def results(folder: Path) -> str:
    """The page of results for the rows in a folder."""
    return report(folder)["RESULTS.md"].decode()


@pytest.mark.usefixtures("known")
def test_a_report_over_no_rows_and_a_check_of_nothing_are_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "RESULTS.md"
    page.write_text("all that was found", encoding="utf-8")
    assert main(["report", "--rows", str(tmp_path / "typo"), "--out", str(tmp_path)]) == 1
    assert f"there are no rows in {tmp_path / 'typo'}, so there is nothing to report" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == "all that was found"
    run_sweep(get_sweep("toy"), tmp_path, jobs=1)
    monkeypatch.setattr("research.report.results_dir", lambda: tmp_path)
    assert main(["check", "--cut", str(tmp_path / "typo")]) == 1
    assert (
        f"nothing was checked: no claim has rows both committed and in {tmp_path / 'typo'}" in capsys.readouterr().err
    )


def test_report_and_check(known: Sweep, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there are no rows in"):
        report(tmp_path)
    run_sweep(known, tmp_path, jobs=1)
    folded = "<summary>Squares</summary>\n\n`python -m research run toy` (4 runs, 0 minutes in all, python 3."
    assert folded in results(tmp_path)
    assert "| 3 | 9 |\n" in results(tmp_path)
    assert report(tmp_path) == report(tmp_path)
    assert report(tmp_path)[VERDICTS].decode().splitlines()[1].startswith('toy,"squares, 0 against 1",2,-1.05,')
    cut = tmp_path / "cut"
    assert [same for _, same in check(cut, tmp_path)] == [None, None]
    run_sweep(known, cut, jobs=1, cut=True)
    found = check(cut, tmp_path)
    assert [same for _, same in found] == [True, None]
    assert found[0][0].endswith("less; cut down -1.050 (-1.685 to -0.415): the same sign")
    (cut / "toy.jsonl").write_text(
        "".join(row_line(replace(r, result={"square": -r.config["seed"]})) for r in read_rows(cut / "toy.jsonl"))
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
    plain = results(tmp_path)
    drawn = replace(known, figures=figures)
    monkeypatch.setattr(registry, "_SWEEPS", {"toy": drawn})
    shown = "![Squares (4) of seeds.](docs/results/toy-curve.png)\n\n"
    assert results(tmp_path) == plain.replace("| seed |", f"{shown}| seed |")
    assert pictures(drawn, []) == pictures(known, read_rows(tmp_path / "toy.jsonl")) == {}


def test_the_report_writes_the_pictures_of_its_page_and_no_others(
    known: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_SWEEPS", {"toy": replace(known, figures=figures)})
    run_sweep(replace(known, configs=known.configs[:2]), tmp_path / "rows", jobs=1)
    folder = Path(PICTURES)
    assert main(["report", "--rows", "rows"]) == 0
    assert {path.name for path in folder.glob("*.png")} == {"toy-curve.png", "toy-early.png"}
    assert capsys.readouterr().out.split() == [
        "RESULTS.md",
        VERDICTS,
        *(str(folder / f"toy-{n}.png") for n in ("curve", "early")),
    ]
    before = (folder / "toy-curve.png").read_bytes()
    assert before.startswith(b"\x89PNG")
    assert main(["report", "--rows", "rows"]) == 0
    assert (folder / "toy-curve.png").read_bytes() == before
    run_sweep(known, tmp_path / "rows", jobs=1)
    (folder / "gone-curve.png").write_bytes(before)
    (folder / "README.md").write_text("Kept.")
    assert main(["report", "--rows", "rows", "--out", "."]) == 0
    assert {path.name for path in folder.iterdir()} == {"toy-curve.png", "README.md", "verdicts.csv"}
    assert (folder / "toy-curve.png").read_bytes() != before
    assert main(["report", "--rows", "rows", "--out", "elsewhere"]) == 0
    assert [path.name for path in (Path("elsewhere") / folder).glob("*.png")] == ["toy-curve.png"]


def test_the_command_line(
    known: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["list"]) == 0
    assert "toy 0 of 4 runs, cut down 2: Squares" in capsys.readouterr().out
    assert main(["run", "all", "--cut", "--jobs", "1"]) == 0
    assert len(read_rows(tmp_path / "runs" / "cut" / "toy.jsonl")) == 2
    assert main(["run", "toy", "--jobs", "1", "--out", "rows"]) == 0
    assert "toy: 4/4" in capsys.readouterr().err
    assert main(["report", "--rows", "rows"]) == 0
    assert (tmp_path / "RESULTS.md").read_text() == results(tmp_path / "rows")
    assert main(["check"]) == 1  # nothing is committed of the toy: nothing to hold it to
    assert "nothing was checked: no claim has rows both committed and in" in capsys.readouterr().err
    assert main(["run", "toi"]) == 1
    assert capsys.readouterr().err == "research: unknown sweep 'toi'; known are toy\n"


@pytest.fixture(scope="module")
def committed() -> dict[str, bytes]:
    """The report on the committed rows."""
    return report(results_dir())


@pytest.mark.slow
def test_pages_and_verdicts_are_of_the_committed_rows(committed: dict[str, bytes]) -> None:
    for file, content in committed.items():
        if not file.endswith(".png"):
            text = (ROOT / file).read_text(encoding="utf-8")
            assert text == content.decode(), f"{file} is not what its rows say; run `python -m research report`"


@pytest.mark.slow
def test_the_pictures_are_of_the_committed_rows(committed: dict[str, bytes]) -> None:
    """By their names: the bytes depend on matplotlib's version."""
    drawn = sorted(file for file in committed if file.endswith(".png"))
    there = sorted(f"{PICTURES}/{path.name}" for path in (ROOT / PICTURES).glob("*.png"))
    assert drawn == there, "run `python -m research report`"
    for file in there:
        assert (ROOT / file).read_bytes().startswith(b"\x89PNG")
        assert (ROOT / file).stat().st_size < 80_000, f"{file} is too large"


@pytest.mark.parametrize(
    ("alt", "sentence"),
    [
        ("Errors, mean and interval. 2 layers: 2.41.", "Errors, mean and interval."),
        ("A share of 0.5 of them. More.", "A share of 0.5 of them."),
        ("No stop", "No stop."),
    ],
)
def test_the_first_sentence_of_a_text_alternative(alt: str, sentence: str) -> None:
    assert first_sentence(alt) == sentence


def test_a_sweep_without_a_cut_down_version_says_so(
    known: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "_SWEEPS", {"toy": replace(known, cut=[])})
    assert main(["run", "toy", "--cut", "--out", str(tmp_path)]) == 0
    assert "toy: there is no cut-down sweep" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_every_registered_sweep_is_sound() -> None:
    names = [sweep.name for sweep in sweeps()]
    assert len(set(names)) == len(names)
    longest = {"skills-long", "skills-late", "regression-linear-longest", "regression-softmax-longest", "smollm2"}
    assert {sweep.name for sweep in sweeps() if not sweep.cut} == longest
    for sweep in sweeps():
        assert get_sweep(sweep.name) is sweep
        assert sweep.tables is not None, f"{sweep.name} has no tables"
        json.dumps([*sweep.configs, *sweep.cut])
        committed = read_rows(results_dir() / f"{sweep.name}.jsonl")
        assert {json.dumps(row.config, sort_keys=True) for row in committed} <= sweep.known(committed).keys()


def test_a_name_is_registered_once(known: Sweep) -> None:
    with pytest.raises(ValueError, match="there is a sweep 'toy' already"):
        register_sweep(known)
