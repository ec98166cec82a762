"""A sweep: runs that differ in their configs. Each run is a pure function of its config, kept as one line of JSON.

A run that is in the file is not run again, so the same command resumes after a kill, and a longer list of configs adds
to what is there. Lines are appended as runs finish and sorted into the order of the configs at the end, so that the
file does not depend on which run came first.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from mini_ism.checks import whole_number
from mini_ism.files import remove_leftovers, write_atomically
from mini_ism.folder_lock import locked
from mini_ism.results import Claim, Row, read_rows
from mini_ism.results.rows import Config, Result, whole_lines
from mini_ism.strict_json import to_json
from mini_ism.views import Figure


class RunError(RuntimeError):
    """A run of a sweep raised an error, or its process died; the message says which and what to do."""


def key(config: Config) -> str:
    """A config as a string, the same whatever the order of its keys."""
    return json.dumps(config, sort_keys=True)


def row_line(row: Row) -> str:
    """A row as a line of JSON."""
    return to_json(asdict(row)) + "\n"


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that compute here."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "mini_ism": metadata.version("mini-ism"),
    }


@dataclass(frozen=True)
class Sweep:
    """Runs to make, and the report on them.

    Args:
        name: of the sweep and its file.
        run: takes a config and returns what it measured. It is a module-level function, so that another process can
            import it, and it sets its own seed.
        configs: all of them, the most important first.
        cut: the configs for a reader with a few minutes; they may be smaller than any of ``configs``. Empty where the
            question is what long trainings reach.
        title: the heading in the report.
        tables: from rows to the section of the report, in Markdown.
        claims: from rows to comparisons, whose signs the cut-down sweep should reproduce.
        together: keys, such as ``("seed", "lr")``. Runs that differ only in these are made by one call: ``run`` then
            takes a list of configs and returns a list of results.
        place: in the report, the smallest first.
        figures: from rows to the pictures of the report, by names that become part of their files' names.
        alone: whether seconds are measured, so that calls run one at a time, however many processes are allowed.
        further: from the rows of ``configs`` to configs that follow from them, such as more seeds at the best learning
            rate; the same command runs these next.
    """

    name: str
    run: Callable[[Any], Any]
    configs: Sequence[Config]
    cut: Sequence[Config]
    title: str = ""
    tables: Callable[[list[Row]], str] | None = None
    claims: Callable[[list[Row]], list[Claim]] | None = None
    together: tuple[str, ...] = ()
    place: int = 50
    figures: Callable[[list[Row]], dict[str, Figure]] | None = None
    alone: bool = False
    further: Callable[[list[Row]], Sequence[Config]] | None = None

    def __post_init__(self) -> None:
        for configs in (self.configs, self.cut):
            if len({key(config) for config in configs}) < len(configs):
                raise ValueError(f"sweep {self.name!r} has the same config twice")

    def wanted(self, rows: Iterable[Row]) -> list[Config]:
        """The configs of the full sweep, with those that follow from rows."""
        if self.further is None:
            return list(self.configs)
        first = set(map(key, self.configs))
        return [*self.configs, *self.further([row for row in rows if key(row.config) in first])]

    def known(self, rows: Iterable[Row]) -> dict[str, int]:
        """The position of each config, full sweep first, by :func:`key`."""
        return {name: place for place, name in enumerate(dict.fromkeys(map(key, [*self.wanted(rows), *self.cut])))}

    def calls(self, configs: Iterable[Config]) -> list[list[Config]]:
        """The configs, grouped by the call that runs them."""
        groups: dict[str, list[Config]] = {}
        for config in configs:
            apart = {k: v for k, v in config.items() if k not in self.together} if self.together else config
            groups.setdefault(key(apart), []).append(config)
        return list(groups.values())


def _finished(sweep: Sweep, path: Path) -> dict[str, Row]:
    """The rows that exist already, by :func:`key`."""
    rows: dict[str, Row] = {}
    found = read_rows(path)
    known = sweep.known(found)
    for number, row in enumerate(found, start=1):
        if key(row.config) not in known:
            raise ValueError(
                f"{path}, line {number} has a config that sweep {sweep.name!r} has no longer: {row.config}; "
                "delete such lines, or choose another folder with --out"
            )
        rows.setdefault(key(row.config), row)
    return rows


# -- running ---------------------------------------------------------------------------------------


def run_sweep(sweep: Sweep, folder: Path, *, jobs: int = 2, cut: bool = False) -> list[Row]:
    """Run what has not been run yet. Ctrl-C or a kill loses no finished run, and an error stops no other run.

    Args:
        sweep: what to run.
        folder: of ``NAME.jsonl``.
        jobs: processes, of one thread each; with 1, everything runs in this process.
        cut: whether to run the cut-down sweep instead.

    Returns:
        The rows, in the order of the configs.

    Raises:
        ValueError: the file is damaged or of another sweep; or ``jobs`` is less than 1.
        FolderInUseError: another process runs this sweep there.
        RunError: a run raised an error, or its process died.
    """
    jobs = whole_number("jobs", jobs, 1, 1024)
    with locked(folder, f".{sweep.name}.lock"):
        path = folder / f"{sweep.name}.jsonl"
        rows = _run(sweep, path, jobs, sweep.cut if cut else sweep.configs)
        return rows if cut or sweep.further is None else _run(sweep, path, jobs, sweep.wanted(rows))


def _run(sweep: Sweep, path: Path, jobs: int, wanted: Sequence[Config]) -> list[Row]:
    remove_leftovers(path.parent, path.name)
    rows = _finished(sweep, path)
    whole = b"".join(whole_lines(path))
    if path.exists() and path.stat().st_size != len(whole):
        write_atomically(path, whole)  # without the torn line, or the next one would be appended to it
    calls = sweep.calls(config for config in wanted if key(config) not in rows)

    failed: list[RunError] = []
    live = sys.stderr.isatty()
    done = sum(key(config) in rows for config in wanted)
    with tqdm(total=len(wanted), initial=done, desc=sweep.name, unit="run", disable=not live) as bar:
        for fresh in _results(sweep, calls, 1 if sweep.alone else jobs):
            if isinstance(fresh, RunError):
                failed.append(fresh)
                continue
            _append(path, fresh)
            rows |= {key(row.config): row for row in fresh}
            bar.update(len(fresh))
            if not live:
                done += len(fresh)
                last = " ".join(f"{name}={value}" for name, value in fresh[-1].config.items())
                seconds = math.fsum(row.seconds for row in fresh)
                print(f"{sweep.name}: {done}/{len(wanted)}  {seconds:.0f} s  {last}", file=sys.stderr, flush=True)
    if failed:
        summary = f"{len(failed)} of {len(calls)} calls of sweep {sweep.name!r} failed, all others are kept"
        raise RunError(f"{summary}. The first: {failed[0]}")
    known = sweep.known(rows.values())
    ordered = sorted(rows.values(), key=lambda row: known[key(row.config)])
    data = "".join(row_line(row) for row in ordered).encode()
    if not path.exists() or path.read_bytes() != data:
        write_atomically(path, data)
    return [rows[key(config)] for config in wanted]


def _append(path: Path, rows: Iterable[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write("".join(row_line(row) for row in rows).encode())
        file.flush()
        os.fsync(file.fileno())


def _results(sweep: Sweep, calls: list[list[Config]], jobs: int) -> Iterator[list[Row] | RunError]:
    """The rows of each call as it finishes, or why there are none."""
    if jobs == 1 or len(calls) <= 1:
        with _one_thread():
            for configs in calls:
                yield _call(sweep.run, configs, bool(sweep.together))
        return
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # a fork of a process that has used torch may hang
    pool = ProcessPoolExecutor(min(jobs, len(calls)), context, _begin)
    try:
        futures = [pool.submit(_call, sweep.run, configs, bool(sweep.together)) for configs in calls]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        raise RunError(
            f"a process of sweep {sweep.name!r} died, out of memory perhaps; all runs that had finished are kept, "
            "and the same command goes on, with --jobs 1 in less memory"
        ) from None
    except BaseException:  # Ctrl-C, too: do not wait for runs whose results are dropped
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
        raise
    pool.shutdown()


def _begin() -> None:
    """Prepare a process: one thread; Ctrl-C is left to the parent; if the parent is killed, the process ends too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _call(run: Callable[[Any], Any], configs: list[Config], together: bool) -> list[Row] | RunError:
    software, clock = versions(), time.perf_counter()
    try:
        results: list[Result] = list(run(configs)) if together else [run(configs[0])]
        share = round((time.perf_counter() - clock) / len(configs), 3)
        rows = [Row(config, result, share, software) for config, result in zip(configs, results, strict=True)]
        to_json([row.result for row in rows])
    except Exception as error:
        return RunError(f"{type(error).__name__}: {error}, with config {configs[0]}")
    return rows
