"""One long dialogue in a row, its training step along two paths: a dense mask, and FlexAttention's ``BlockMask``.

What is measured here, :mod:`benchmarks.gpu` puts on a page.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, TypeVar

import torch
from torch import Tensor

from benchmarks.peers import our_model
from benchmarks.timing import finish
from mini_ism import GPT, Segments, get_mask, load_tokenizer
from mini_ism.dialogue import EncodedDialogue
from mini_ism.speed import autocast
from mini_ism.training import loss_on_answers

PATHS = ("dense", "blocks")
QUERY, ANSWER = (32, 512), (32, 256)  # tokens of a turn's query and of its answer
SMALL = {"layers": 2, "heads": 2, "width": 128}
NOT_RUN, OUT_OF_MEMORY = "not run", "out of memory"
Found = TypeVar("Found")


class Budget:
    """The time that a run may take."""

    def __init__(self, seconds: float) -> None:
        self.end = time.perf_counter() + seconds

    @property
    def spent(self) -> bool:
        """Whether nothing more should be started."""
        return time.perf_counter() >= self.end

    def attempt(self, measure: Callable[[], Found]) -> Found | str:
        """What ``measure`` returns, if there is time left and nothing fails; else, in words, why there is nothing."""
        return NOT_RUN if self.spent else attempt(measure)


def attempt(measure: Callable[[], Found]) -> Found | str:
    """What ``measure`` returns; the error's name if it fails, since the other cells can still be measured."""
    try:
        return measure()
    except torch.OutOfMemoryError:
        reason = OUT_OF_MEMORY
    except Exception as error:  # of a compiler, a driver, or a missing package
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        reason = type(error).__name__
    if torch.cuda.is_available():  # here, where the error no longer holds the tensors of its frames
        torch.cuda.empty_cache()
    return reason


# -- what is read ----------------------------------------------------------------------------------


def dialogue(tokens: int, vocab_size: int, *, loss: str, seed: int = 0) -> EncodedDialogue:
    """One dialogue ``[1, tokens]`` of random tokens, in turns of random lengths.

    Args:
        tokens: T, at least 128.
        vocab_size: of the model.
        loss: on ``"all"`` answers, or on the ``"last"``.
        seed: decides tokens and lengths.
    """
    drawn, lengths, longest = Random(seed), list[int](), tokens // 4  # so that there are two turns at least
    while True:
        turn = [drawn.randint(low, min(high, longest)) for low, high in (QUERY, ANSWER)]
        if sum(lengths) + sum(turn) > tokens:
            break
        lengths += turn
    lengths[0] += tokens - sum(lengths)  # a long text to begin with
    sizes = torch.tensor(lengths)
    ids = torch.arange(len(sizes)).repeat_interleave(sizes)[None]  # (1, T)
    answers = ids % 2 == 1
    segments = Segments(ids, ~answers, torch.zeros_like(answers), torch.zeros_like(ids))
    words = torch.randint(vocab_size, (1, tokens), generator=torch.Generator().manual_seed(seed))
    return EncodedDialogue(words, segments, answers if loss == "all" else ids == len(sizes) - 1)


def learned(mask: str) -> str:
    """Which answers one forward can learn: under prefix, earlier ones are read both ways, and would be copied."""
    return "last" if mask == "prefix" else "all"


def form(mask: str, path: str, segments: Segments) -> Any:
    """The mask as a path takes it."""
    return get_mask(mask).dense(segments) if path == "dense" else get_mask(mask).block_mask(segments)


# -- the same numbers ------------------------------------------------------------------------------


def agreement(mask: str, tokens: int, device: torch.device) -> tuple[float, float]:
    """The difference of the loss, and the largest of any gradient, between the two paths in float32."""
    vocab_size = load_tokenizer().n_vocab
    model = our_model("tiny", device, **SMALL, context=tokens)
    batch = dialogue(tokens, vocab_size, loss=learned(mask)).to(device)
    losses: list[float] = []
    gradients: list[list[Tensor]] = []
    for path in PATHS:
        model.zero_grad()
        loss = loss_on_answers(model, batch, form(mask, path, batch.segments))
        loss.backward()
        losses.append(loss.item())
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    furthest = max(float((a - b).abs().max()) for a, b in zip(*gradients, strict=True))
    return abs(losses[0] - losses[1]), furthest


# -- a training step -------------------------------------------------------------------------------


@dataclass
class Measured:
    """One path under one mask at one length.

    Args:
        build: seconds to build the mask, the second time.
        first: seconds of the first step, in which code is compiled if there is none yet.
        peak: bytes allocated at most during a step.
        forward, step: seconds of each round's forward, and of forward and backward.
    """

    build: float
    first: float
    peak: int = 0
    forward: list[float] = field(default_factory=list)
    step: list[float] = field(default_factory=list)


@dataclass
class Cell:
    """Both paths under one mask at one length; a path without figures says in words why.

    Args:
        mask, tokens: of the row.
        kept: share of the blocks that the block mask does not skip.
        paths: by name.
    """

    mask: str
    tokens: int
    kept: float | None = None
    paths: dict[str, Measured | str] = field(default_factory=lambda: dict.fromkeys(PATHS, NOT_RUN))

    def show(self, path: str, what: Callable[[Measured], str]) -> str:
        """A figure of a path, or why there is none."""
        found = self.paths[path]
        return found if isinstance(found, str) else what(found)

    def both(self) -> tuple[Measured, Measured] | None:
        """The two paths, if both were measured."""
        dense, blocks = (self.paths[path] for path in PATHS)
        return (dense, blocks) if isinstance(dense, Measured) and isinstance(blocks, Measured) else None


def seconds_of(work: Callable[[], object]) -> float:
    """The seconds until the work is done, on the device, too."""
    finish()
    clock = time.perf_counter()
    work()
    finish()
    return time.perf_counter() - clock


def fill(cell: Cell, model: GPT, rounds: int, budget: Budget) -> None:
    """Measure a cell: each path alone first, to warm up and for its memory, then both in interleaved rounds."""
    device = model.device
    batch = dialogue(cell.tokens, model.config.vocab_size, loss=learned(cell.mask)).to(device)
    masks: dict[str, Any] = {}

    def step(path: str) -> tuple[float, float]:
        model.zero_grad()
        finish()
        clock = time.perf_counter()
        with autocast("bf16", device):
            loss = loss_on_answers(model, batch, masks[path])
        finish()
        forward = time.perf_counter() - clock
        loss.backward()
        finish()
        return forward, time.perf_counter() - clock

    def warm_up(path: str) -> Measured:
        masks[path] = form(cell.mask, path, batch.segments)
        if path == "blocks":
            cell.kept = 1 - float(masks[path].sparsity()) / 100
        found = Measured(seconds_of(lambda: form(cell.mask, path, batch.segments)), step(path)[1])
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        step(path)
        found.peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else 0
        return found

    for path in reversed(PATHS):  # a dense mask takes memory, which must not count as the blocks'
        cell.paths[path] = budget.attempt(partial(warm_up, path))
        if path == "blocks" and cell.paths[path] not in (OUT_OF_MEMORY, NOT_RUN) and isinstance(cell.paths[path], str):
            torch._dynamo.reset()  # what it compiles for any length may fail where what it compiles for one does not
            cell.paths[path] = budget.attempt(partial(warm_up, path))
        if isinstance(cell.paths[path], str):
            masks.pop(path, None)
    for _ in range(rounds):
        for path, found in cell.paths.items():
            if isinstance(found, Measured):
                times = attempt(partial(step, path))
                if isinstance(times, str):
                    cell.paths[path] = times
                else:
                    found.forward.append(times[0])
                    found.step.append(times[1])
    model.zero_grad()


def fill_all(
    cells: Sequence[Cell], device: torch.device, shape: Mapping[str, int], rounds: int, budget: Budget
) -> Iterator[None]:
    """Measure one cell after the other; yields after each."""
    if budget.spent:
        return
    model = our_model("tiny", device, **shape, context=max(cell.tokens for cell in cells))
    mask = ""
    for cell in cells:
        if cell.mask != mask:  # or PyTorch, which caches a few compiled forms of a function, would stop compiling
            torch._dynamo.reset()
        mask = cell.mask
        if not budget.spent:
            fill(cell, model, rounds, budget)
            yield
