"""Several processes that train one model together, as ``torchrun`` starts them.

A :class:`Team` is one process's place among them. In a team of one nothing is sent anywhere, so that the training loop
is the same for one process and for many.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mini_ism.devices import get_device
from mini_ism.interrupts import collected

BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""What carries tensors between processes, by device; counts are always on the CPU."""
TIMEOUT = timedelta(minutes=10)
"""How long a process waits for an unresponsive one: far longer than a save. One that has died is noticed at once."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Team:
    """One process's place among those that train a model together; alone by default.

    Args:
        rank: its number. Number 0 leads: it alone writes.
        size: how many processes there are.
        shard: whether each holds a part of every weight, gradient and moment (FSDP, 2304.11277), for models that do
            not fit one device, rather than a copy of all (DDP, 2006.15704).

    Raises:
        ValueError: a single process was asked to shard.
    """

    rank: int = 0
    size: int = 1
    shard: bool = False

    def __post_init__(self) -> None:
        if self.shard and self.size == 1:
            raise ValueError(
                "there is one process, and sharding spreads a model over several: start them with "
                "`torchrun --nproc-per-node 2 -m mini_ism train --shard ...`, or leave --shard out"
            )

    @property
    def leads(self) -> bool:
        """Whether this process writes: files, metrics, the progress bar."""
        return self.rank == 0

    # -- what is computed where --------------------------------------------------------------------

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """This process's part of some items: together the processes have each item once."""
        return items[self.rank :: self.size]

    def parts(self, dialogues: int, micro_batches: int) -> int:
        """In how many parts each process computes its share of a step: the same for all, and none is empty.

        Raises:
            ValueError: there are fewer dialogues than processes.
        """
        if dialogues < self.size:
            raise ValueError(
                f"{dialogues} dialogues per step cannot be divided among {self.size} processes; "
                f"use --dialogues {self.size} or more, or start fewer processes"
            )
        return min(micro_batches, dialogues // self.size)

    def wrap(self, model: nn.Module, blocks: Iterable[nn.Module], device: torch.device) -> nn.Module:
        """A model on its device, ready to be called in training; each backward ends in the *mean* of all gradients.

        Args:
            model: the same in every process. Sharded, it is changed in place: its weights become ``DTensor``.
            blocks: its layers; where weights are sharded, a layer's are gathered only while it computes.
            device: of this process.

        Raises:
            ValueError: PyTorch is too old to shard.
        """
        if self.shard:
            try:
                from torch.distributed.device_mesh import init_device_mesh
                from torch.distributed.fsdp import fully_shard
            except ImportError:
                raise ValueError(f"sharding needs PyTorch 2.6 or later, this is {torch.__version__}") from None
            mesh = init_device_mesh(device.type, (self.size,))
            for part in (*blocks, model):  # moved to the device one by one: the whole may not fit there
                fully_shard(part, mesh=mesh)
            return model
        model.to(device)
        if self.size == 1:
            return model
        return nn.parallel.DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)

    # -- communication -----------------------------------------------------------------------------

    def sum(self, *counts: float) -> list[float]:
        """The sum of each count over all processes, in float64: whole numbers stay exact up to 2**53."""
        total = torch.tensor(counts, dtype=torch.float64)
        if self.size > 1:
            dist.all_reduce(total)
        return [float(value) for value in total]

    def gather(self, value: Item) -> list[Item]:
        """What each process has, in order of rank."""
        if self.size == 1:
            return [value]
        values: list[Item | None] = [None] * self.size
        dist.all_gather_object(values, value)
        return cast(list[Item], values)

    def whole(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Unsharded tensors on the CPU, by name, for process 0; the others get none, but must call this, too."""
        found = {}
        for name, value in tensors.items():
            if self.shard:
                from torch.distributed.tensor import DTensor

                value = value.full_tensor() if isinstance(value, DTensor) else value
            if self.leads:
                found[name] = value.detach().cpu().contiguous()
        return found

    def spread(self, value: Tensor, like: Tensor) -> Tensor:
        """An unsharded tensor, laid out over the processes like another one of its shape."""
        if not self.shard or value.shape != like.shape:
            return value
        from torch.distributed.tensor import DTensor, distribute_tensor

        assert isinstance(like, DTensor)
        return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)

    @contextmanager
    def interrupts(self) -> Iterator[Callable[[], None]]:
        """A block in which Ctrl-C, wherever it arrives, stops every process at the same point.

        Yields a function that all must call between two steps; it raises ``KeyboardInterrupt`` in all of them when
        one has seen Ctrl-C. Alone, Ctrl-C works as it always does, and the function does nothing.
        """
        if self.size == 1:
            yield lambda: None
            return
        with collected() as pressed:

            def stop() -> None:
                if any(self.sum(len(pressed))):
                    raise KeyboardInterrupt

            yield stop


ALONE = Team()


def unsynced(model: nn.Module) -> AbstractContextManager[None]:
    """A block for all parts of a step but its last: gradients accumulate here, and are not averaged yet.

    Only DDP has this. Where weights are sharded, gradients are averaged and divided up after each part: to keep them
    whole until the last one would take the memory that sharding is meant to save.
    """
    return model.no_sync() if isinstance(model, nn.parallel.DistributedDataParallel) else nullcontext()


@contextmanager
def join(device: str, *, shard: bool = False) -> Iterator[tuple[Team, torch.device]]:
    """This process's team and device: those that ``torchrun`` has started, else this process alone.

    Args:
        device: as for :func:`~mini_ism.devices.get_device`; of several GPUs each process takes its own.
        shard: see :class:`Team`.

    Raises:
        ValueError: the device is unavailable or no team can use it, or a single process was asked to shard.
        ConnectionError: another process has died, or was silent for ten minutes.
    """
    size = int(os.environ["WORLD_SIZE"]) if dist.is_available() and dist.is_torchelastic_launched() else 1
    place = get_device(device)
    if size == 1:
        yield Team(shard=shard), place
        return
    if place.type not in BACKENDS:
        raise ValueError(f"several processes can train on {' or '.join(BACKENDS)}, not on {place.type}; use --device")
    if place.type == "cuda":
        place = get_device(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(place)
    team = Team(int(os.environ["RANK"]), size, shard)
    dist.init_process_group(BACKENDS[place.type], timeout=TIMEOUT)
    try:
        yield team, place
    except RuntimeError as error:
        if not (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise
        raise ConnectionError(
            f"process {team.rank} of {size} has lost another one, which was killed, failed or was silent for "
            f"{TIMEOUT.seconds // 60} minutes; all stop, and the same command goes on from the last save "
            f"({str(error).partition('. ')[0]})"
        ) from None
    dist.destroy_process_group()  # not after an error: it may wait for a process that is gone
