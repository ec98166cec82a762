"""What the next training steps need, prepared in the background by other processes: a fast device never waits."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from torch.utils.data import DataLoader, Dataset

from mini_ism.interrupts import uninterrupted

Prepared = TypeVar("Prepared")


def prepared_ahead(prepare: Callable[[int], Prepared], steps: range, workers: int = 0) -> Iterator[Prepared]:
    """The results of a function of the step, in the order of the steps.

    Args:
        prepare: a function of the step alone, which must be picklable where processes cannot be forked.
        steps: the steps it is called for.
        workers: processes that call it ahead of time; 0 = it is called in this process, step by step.

    Raises:
        RuntimeError: a process died.
    """
    if not workers:
        return map(prepare, steps)
    forks = "fork" in multiprocessing.get_all_start_methods()  # so a worker has the user's own skills and masks, too
    loader = DataLoader(
        _Prepared(prepare, steps),
        batch_size=None,
        num_workers=workers,
        worker_init_fn=_leave_interrupts_to_the_parent,
        collate_fn=_as_it_is,
        multiprocessing_context="fork" if forks else None,
    )
    with uninterrupted():  # Ctrl-C between two starts would leave half an iterator, which cannot be shut down
        return iter(loader)


class _Prepared(Dataset[Prepared], Generic[Prepared]):
    def __init__(self, prepare: Callable[[int], Prepared], steps: range) -> None:
        self.prepare, self.steps = prepare, steps

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, place: int) -> Prepared:
        return self.prepare(self.steps[place])


def _as_it_is(prepared: Prepared) -> Prepared:
    return prepared


def _leave_interrupts_to_the_parent(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
