"""What the next steps of a training need, prepared by other processes meanwhile: a fast device waits for nothing."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from torch.utils.data import DataLoader, Dataset

from mini_ism.interrupts import uninterrupted

Prepared = TypeVar("Prepared")


def prepared_ahead(prepare: Callable[[int], Prepared], steps: range, workers: int = 0) -> Iterator[Prepared]:
    """What a function of the step returns, in the order of the steps.

    Args:
        prepare: a function of the step alone, which can be pickled where processes cannot be forked.
        steps: for which it is called.
        workers: processes that call it ahead of time; 0 = it is called here, as each step comes.

    Raises:
        RuntimeError: a process died.
    """
    if not workers:
        return map(prepare, steps)
    forks = "fork" in multiprocessing.get_all_start_methods()  # and so a worker has own skills and masks, too
    loader = DataLoader(
        _Prepared(prepare, steps),
        batch_size=None,
        num_workers=workers,
        worker_init_fn=_leave_interrupts_to_the_parent,
        collate_fn=_as_it_is,
        multiprocessing_context="fork" if forks else None,
    )
    with uninterrupted():  # Ctrl-C between two starts would leave behind half an iterator, which cannot be taken down
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
