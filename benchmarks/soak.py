"""Fuzz and soak: try to lose something, and write down what was tried: ``python -m benchmarks.soak [--sample]``.

Random dialogues, interrupts, masks as text, option values, damaged files, a training that is killed again and again,
and a chat of hundreds of turns. All of it takes about a quarter of an hour and writes ``docs/reliability.md``;
``--sample`` takes seconds and prints the page instead. Exit status 1 means that something was lost.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import torch
from tqdm.auto import tqdm

from benchmarks import exactness, fuzz
from benchmarks.killed import mismatches, train_in_pieces, train_whole
from benchmarks.long_chat import long_chat
from mini_ism import __version__
from mini_ism.files import write_atomically

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
HEAD = """\
# Reliability

Written by `python -m benchmarks.soak`, never by hand. It tries to lose something, and counts what was lost: a score
over the cache that one uncached forward does not give, a file that is read as something other than what was saved, a
value mistaken for another, an undocumented error, a step of training. Everything is drawn from a seed, so that any loss
can be reproduced and fixed. `make test` runs a small sample.

| what | tried | what happened | lost |
|---|---:|---|---:|
"""


@dataclass
class Outcome:
    """What came of a part: a sentence on what happened, and a line for each thing that was lost."""

    happened: str
    lost: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """Something to try.

    Args:
        what: its name on the page.
        full, sample: how often it is tried.
        run: tries it that often, from a seed.
    """

    what: str
    full: int
    sample: int
    run: Callable[[int, int], Outcome]


# -- the parts -------------------------------------------------------------------------------------

TRIALS: dict[str, Callable[[Random], bool]] = {"rule": fuzz.rule, "option": fuzz.option, "file": fuzz.file}


def try_once(name: str, number: int, seed: int) -> bool:
    """One of the :data:`TRIALS`, the same each time; whether it was refused. Raises whatever it fails with."""
    return TRIALS[name](Random(f"{seed} {name} {number}"))


def trials(name: str, taken: str) -> Callable[[int, int], Outcome]:
    """A part that repeats one of the :data:`TRIALS`; ``taken`` says what became of those that were not refused."""

    def run(count: int, seed: int) -> Outcome:
        refused, lost = 0, []
        for number in tqdm(range(count), desc=name, unit="", disable=not sys.stderr.isatty()):
            try:
                refused += try_once(name, number, seed)
            except Exception as error:  # whatever it is, it should have been refused
                lost.append(f"{type(error).__name__}: {error}; again with --seed {seed} --only {name}/{number}")
        return Outcome(f"{refused:,} refused; {count - refused - len(lost):,} {taken}", lost)

    return run


def dialogues(count: int, seed: int) -> Outcome:
    """Conversations over a cache, against one uncached forward."""
    tally = exactness.run(exactness.converse, range(count), seed)
    return Outcome(
        f"{tally.turns:,} turns; {tally.tokens:,} tokens compared, largest difference {tally.largest:.1e} "
        f"(tolerance {exactness.TOLERANCE:.0e})",
        ["a dialogue; `python -m benchmarks.exactness` says which"] * tally.mismatches,
    )


def interrupts(count: int, seed: int) -> Outcome:
    """Ctrl-C somewhere in the engine, after which the conversation goes on."""
    tally = exactness.run(exactness.interrupt, range(count), seed)
    return Outcome(
        f"all went on exactly, {tally.tokens:,} tokens compared" if not tally.mismatches else "not all went on",
        ["a session; `python -m benchmarks.exactness` says which"] * tally.mismatches,
    )


def kills(count: int, seed: int) -> Outcome:
    """A training that is killed, against one that is not."""
    steps = 20 * count + 40
    config = {"steps": steps, "dialogues": 2, "validate": steps // 2, "validation_size": 4, "save": 1}
    with TemporaryDirectory() as aside:
        whole = train_whole(config, Path(aside) / "whole")
        pieces = train_in_pieces(config, Path(aside) / "pieces", count, Random(seed))
    lost = mismatches(whole, pieces)
    same = "the same weights and measurements as a run that nothing disturbed"
    return Outcome(f"{steps:,} steps; {same}" if not lost else f"{steps:,} steps", lost)


def turns(count: int, seed: int) -> Outcome:
    """One long conversation."""
    try:
        tokens, difference = long_chat(count, Random(seed))
    except exactness.InexactError as error:
        return Outcome("the end was not reached", [str(error)])
    return Outcome(f"{tokens:,} tokens, each computed once; largest difference {difference:.1e}")


PARTS = (
    Part("dialogues under any rule: turns, edits, forks, answers left half-way", 10_000, 10, dialogues),
    Part("Ctrl-C at a random line of the chat engine", 5_000, 5, interrupts),
    Part("masks written as text, composed or scrambled", 10_000, 100, trials("rule", "read as what they say")),
    Part("calls with option values of any kind", 10_000, 100, trials("option", "did what they say")),
    Part("damaged files: models, runs, tokenizers, dialogues", 10_000, 60, trials("file", "read as they were saved")),
    Part("SIGKILL in a training, which then goes on", 50, 1, kills),
    Part("turns of one chat", 500, 20, turns),
)


# -- the page --------------------------------------------------------------------------------------


def page(found: list[tuple[Part, int, Outcome]], seed: int, seconds: float) -> str:
    """The page, from what each part was, how often it was tried, and what came of it."""
    rows = [f"| {part.what} | {tried:,} | {what.happened} | {len(what.lost):,} |" for part, tried, what in found]
    lost = [f"- {part.what}: {line}" for part, _, what in found for line in what.lost]
    made = (
        f"mini-ism {__version__}, PyTorch {torch.__version__}, Python {platform.python_version()}, "
        f"{platform.system()}; seed {seed}; {seconds:.0f} s."
    )
    said = ["## What was lost", "", *lost] if lost else ["Nothing was lost."]
    return HEAD + "\n".join([*rows, "", *said, "", made, ""])


def main(arguments: list[str] | None = None) -> int:
    """Try everything, and write the page; the exit status is 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--sample", action="store_true", help="a little of everything; print the page")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"where the page goes; default: docs/{PAGE.name}")
    parser.add_argument("--only", metavar="NAME/NUMBER", help=f"one of {', '.join(TRIALS)}, as the page names it")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.only:
        name, _, number = options.only.partition("/")
        print("refused" if try_once(name, int(number), options.seed) else "taken")
        return 0
    clock, found = time.perf_counter(), []
    for part in PARTS:
        tried = part.sample if options.sample else part.full
        found.append((part, tried, part.run(tried, options.seed)))
    text = page(found, options.seed, time.perf_counter() - clock)
    if options.sample and not options.out:
        print(text)
    else:
        write_atomically(options.out or PAGE, text.encode())
    return int(any(what.lost for _, _, what in found))


if __name__ == "__main__":
    sys.exit(main())
