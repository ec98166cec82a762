"""A sweep: runs that differ in their configs, each a pure function of its own, kept as a line of JSON each.

A run that is in the file is not run again, so the same command goes on after a kill, and a longer list of configs adds
to what is there. Lines are appended as runs finish and put in the configs' order at the end: the
file does not depend on which came first.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm.auto import tqdm

from mini_ism.experiments.rows import Config, Result, Row, key, read_rows, versions, whole_lines
from mini_ism.experiments.statistics import Claim
from mini_ism.files import write_atomically

if TYPE_CHECKING:  # not at run time: a chat need not wait for matplotlib
    from mini_ism.views import Figure


class RunFailed(RuntimeError):
    """A run of a sweep raised an error, or its process died; the message says which and what to do."""


@dataclass(frozen=True)
class Sweep:
    """Runs to make, and what is said of them.

    Args:
        name: of the sweep and its file.
        run: a config to what it measured; a function of a module, so that another process can find it. It seeds itself.
        configs: all of them, the most important first.
        cut: those that a reader with a few minutes runs; they may be smaller than any of ``configs``. None where the
            question is what long trainings come to.
        title: its heading in the report.
        tables: rows to the report's section, in Markdown.
        claims: rows to comparisons, whose signs the cut-down sweep is held to.
        together: keys, such as ``("seed", "lr")``: runs that differ in these only are made by one call, ``run``
            then being given a list of configs and giving a list of results.
        place: in the report, the smallest first.
        figures: rows to the report's pictures, by names that become part of their files'.
        alone: what is measured is seconds: one call after the other, however many processes there may be.
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

    def __post_init__(self) -> None:
        for configs in (self.configs, self.cut):
            if len({key(config) for config in configs}) < len(configs):
                raise ValueError(f"sweep {self.name!r} has the same config twice")

    @property
    def known(self) -> dict[str, int]:
        """The place of each config, full sweep first, by :func:`key`."""
        return {name: place for place, name in enumerate(dict.fromkeys(map(key, [*self.configs, *self.cut])))}

    def calls(self, configs: Iterable[Config]) -> list[list[Config]]:
        """The configs in the groups that are run by one call each."""
        groups: dict[str, list[Config]] = {}
        for config in configs:
            apart = {k: v for k, v in config.items() if k not in self.together} if self.together else config
            groups.setdefault(key(apart), []).append(config)
        return list(groups.values())


def _finished(sweep: Sweep, path: Path) -> dict[str, Row]:
    """The rows that are there, by :func:`key`."""
    rows: dict[str, Row] = {}
    for number, row in enumerate(read_rows(path), start=1):
        if key(row.config) not in sweep.known:
            raise ValueError(
                f"{path}, line {number} has a config that sweep {sweep.name!r} has no longer: {row.config}; "
                "delete such lines, or choose another folder with --out"
            )
        rows.setdefault(key(row.config), row)
    return rows


# -- running ---------------------------------------------------------------------------------------


def run_sweep(sweep: Sweep, folder: Path, *, jobs: int = 2, cut: bool = False) -> list[Row]:
    """Run what has not been run yet. Ctrl-C or a kill lose no run that had finished, and an error stops no other run.

    Args:
        sweep: what to run.
        folder: of ``NAME.jsonl``.
        jobs: processes, of one thread each; with 1 it runs in this one.
        cut: the cut-down sweep.

    Returns:
        The rows, in the configs' order.

    Raises:
        ValueError: the file is damaged or of another sweep; or ``jobs`` is less than 1.
        RunFailed: a run raised an error, or its process died.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    wanted = list(sweep.cut if cut else sweep.configs)
    path = folder / f"{sweep.name}.jsonl"
    rows = _finished(sweep, path)
    whole = b"".join(whole_lines(path))
    if path.exists() and path.stat().st_size != len(whole):
        write_atomically(path, whole)  # without the torn line, or the next one would be written behind it
    calls = sweep.calls(config for config in wanted if key(config) not in rows)

    failed: list[RunFailed] = []
    live = sys.stderr.isatty()
    done = sum(key(config) in rows for config in wanted)
    with tqdm(total=len(wanted), initial=done, desc=sweep.name, unit="run", disable=not live) as bar:
        for fresh in _results(sweep, calls, 1 if sweep.alone else jobs):
            if isinstance(fresh, RunFailed):
                failed.append(fresh)
                continue
            _append(path, fresh)
            rows |= {key(row.config): row for row in fresh}
            bar.update(len(fresh))
            if not live:
                done += len(fresh)
                told = " ".join(f"{name}={value}" for name, value in fresh[-1].config.items())
                seconds = math.fsum(row.seconds for row in fresh)
                print(f"{sweep.name}: {done}/{len(wanted)}  {seconds:.0f} s  {told}", file=sys.stderr, flush=True)
    if failed:
        told = f"{len(failed)} of {len(calls)} calls of sweep {sweep.name!r} failed, all others are kept"
        raise RunFailed(f"{told}. The first: {failed[0]}")
    ordered = sorted(rows.values(), key=lambda row: sweep.known[key(row.config)])
    data = "".join(row.line for row in ordered).encode()
    if not path.exists() or path.read_bytes() != data:
        write_atomically(path, data)
    return [rows[key(config)] for config in wanted]


def _append(path: Path, rows: Iterable[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write("".join(row.line for row in rows).encode())
        file.flush()
        os.fsync(file.fileno())


def _results(sweep: Sweep, calls: list[list[Config]], jobs: int) -> Iterator[list[Row] | RunFailed]:
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
        raise RunFailed(
            f"a process of sweep {sweep.name!r} died, out of memory perhaps; all runs that had finished are kept, "
            "and the same command goes on, with --jobs 1 in less memory"
        ) from None
    except BaseException:  # Ctrl-C, too: nobody waits for runs that nobody will read
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
        raise
    pool.shutdown()


def _begin() -> None:
    """Make a process ready: one thread, Ctrl-C is for the parent to see to, and where the parent is killed it ends."""
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


def _call(run: Callable[[Any], Any], configs: list[Config], together: bool) -> list[Row] | RunFailed:
    about, clock = versions(), time.perf_counter()
    try:
        results: list[Result] = list(run(configs)) if together else [run(configs[0])]
        share = round((time.perf_counter() - clock) / len(configs), 3)
        rows = [Row(config, result, share, about) for config, result in zip(configs, results, strict=True)]
        json.dumps([row.result for row in rows], allow_nan=False)
    except Exception as error:
        return RunFailed(f"{type(error).__name__}: {error}, with config {configs[0]}")
    return rows
