"""The command line of the sweeps: ``python -m research list | run | report | check | mutate``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mini_ism.command_line import run_command
from mini_ism.results import read_rows, results_dir
from research.mutation import survivors
from research.registry import get_sweep, sweeps
from research.report import PICTURES, check, write_report
from research.sweep import RunError, run_sweep

CUT = Path("runs/cut")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0, 1 after an error that the user can fix, or 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    return run_command(lambda: options.run(options), "research", RunError)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m research", description="Sweeps: list them, run them, report what they found."
    )
    commands = parser.add_subparsers(required=True, metavar="list | run | report | check | mutate")
    listed = commands.add_parser("list", help="all sweeps, and how many of their runs are there")
    listed.set_defaults(run=_list)
    ran = commands.add_parser("run", help="run what has not been run yet; Ctrl-C, then the same command, goes on")
    ran.set_defaults(run=_run)
    ran.add_argument("name", nargs="+", help="of sweeps, or 'all'")
    ran.add_argument("--cut", action="store_true", help="the cut-down sweep, minutes instead of hours")
    ran.add_argument("--jobs", type=int, default=2, metavar="N", help="processes of one thread each (default: 2)")
    ran.add_argument("--out", type=Path, metavar="FOLDER", help=f"default: the committed rows, or {CUT} with --cut")
    reported = commands.add_parser("report", help="write the tables and pictures of the committed rows")
    reported.set_defaults(run=_report)
    reported.add_argument("--rows", type=Path, metavar="FOLDER", help="default: the committed rows")
    place = f"of README.md and RESULTS.md (default: here); pictures go to {PICTURES} in it, and older ones are removed"
    reported.add_argument("--out", type=Path, metavar="FOLDER", default=Path(), help=place)
    checked = commands.add_parser("check", help="whether the cut-down sweeps find the signs of the committed rows")
    checked.set_defaults(run=_check)
    checked.add_argument("--cut", type=Path, metavar="FOLDER", default=CUT, help=f"default: {CUT}")
    mutated = commands.add_parser("mutate", help="move every number of the pages, and count what nothing notices")
    mutated.set_defaults(run=_mutate)
    return parser


def _mutate(options: argparse.Namespace) -> None:
    count, escaped = survivors(Path())
    print(f"{count} numbers moved, {count - len(escaped)} noticed")
    if escaped:
        raise ValueError(f"nothing notices when these are moved: {'; '.join(escaped)}")


def _list(options: argparse.Namespace) -> None:
    width = max(len(sweep.name) for sweep in sweeps())
    for sweep in sweeps():
        rows = read_rows(results_dir() / f"{sweep.name}.jsonl")
        wanted = len(sweep.wanted(rows))
        print(f"{sweep.name:{width}} {len(rows)} of {wanted} runs, cut down {len(sweep.cut)}: {sweep.title}")


def _run(options: argparse.Namespace) -> None:
    chosen = sweeps() if options.name == ["all"] else [get_sweep(name) for name in options.name]
    folder = options.out or (CUT if options.cut else results_dir())
    for sweep in chosen:
        if options.cut and not sweep.cut:
            print(f"{sweep.name}: there is no cut-down sweep, since it asks what long trainings reach")
            continue
        rows = run_sweep(sweep, folder, jobs=options.jobs, cut=options.cut)
        print(f"{sweep.name}: {len(rows)} runs in {folder / sweep.name}.jsonl")


def _report(options: argparse.Namespace) -> None:
    for written in write_report(options.out, options.rows):
        print(written)


def _check(options: argparse.Namespace) -> None:
    found = check(options.cut)
    for line, _ in found:
        print(line)
    if not any(same is not None for _, same in found):
        raise ValueError(
            f"nothing was checked: no claim has rows both committed and in {options.cut}; make those with "
            "`python -m research run all --cut`, or name their folder with --cut"
        )
    if False in (same for _, same in found):
        raise ValueError("the cut-down sweep does not reproduce every sign; see the lines above")


if __name__ == "__main__":
    sys.exit(main())
