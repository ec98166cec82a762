"""Prepared by other processes, the steps are the same ones, in the same order."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mini_ism.ahead import prepared_ahead
from mini_ism.training import Run, TrainingConfig


def square(step: int) -> tuple[int, int]:
    return step * step, os.getpid()


@pytest.mark.parametrize("workers", [0, 2])
def test_in_order_and_where_it_should_be(workers: int) -> None:
    found = list(prepared_ahead(square, range(3, 12), workers))
    assert [value for value, _ in found] == [step * step for step in range(3, 12)]
    assert (os.getpid() in {where for _, where in found}) == (workers == 0)


def test_workers_are_all_started_before_an_interrupt_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def start(loader: object) -> Iterator[tuple[int, int]]:
        signal.raise_signal(signal.SIGINT)
        started.append("all")
        return iter([])

    monkeypatch.setattr("torch.utils.data.DataLoader.__iter__", start)
    with pytest.raises(KeyboardInterrupt):
        prepared_ahead(square, range(3), 1)
    assert started


@pytest.mark.slow
def test_a_run_learns_the_same(tmp_path: Path) -> None:
    config = TrainingConfig(mask="prefix", steps=3, dialogues=2, validate=3, validation_size=2)
    losses = []
    for workers in (0, 1):
        run = Run(config, tmp_path / str(workers), workers=workers)
        run.train()
        losses.append([line["loss"] for line in run.metrics])
    assert losses[0] == losses[1]


def test_a_number_of_workers_is_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"workers"):
        Run(TrainingConfig(), tmp_path, workers=-1)
