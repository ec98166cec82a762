"""What each token of a dialogue *is*: the segment it belongs to, and whether that segment asks or answers.

A dialogue is a sequence of segments, one per message: ``system | user | assistant | user | ...``. System and user
messages are *queries*, which the model only reads; assistant messages are *answers*, which it also writes. Masks are
rules over these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

PADDING = -1
"""The ``document`` number of a position that holds no token of any dialogue."""

FIELDS = ("id", "is_query", "is_system", "document")


@dataclass(frozen=True, eq=False)
class Segments:
    """The segment of every token, as tensors of one shape ``[..., T]``.

    Args:
        id: integers; equal for tokens of the same segment. A segment is contiguous.
        is_query: bool; True where the model only reads the segment (system and user messages).
        is_system: bool; True in a system message. Default: nowhere.
        document: integers; the dialogue a token belongs to when several share a row (packing), ``PADDING`` where there
            is none. Default: one dialogue.

    Raises:
        TypeError: a field is not a tensor, or has the wrong dtype.
        ValueError: the fields' shapes differ, or they are single numbers.
    """

    id: Tensor
    is_query: Tensor
    is_system: Tensor | None = None
    document: Tensor | None = None

    def __post_init__(self) -> None:
        for name in FIELDS:
            field = getattr(self, name)
            if field is None and name in ("is_system", "document"):
                continue
            if not isinstance(field, Tensor):
                raise TypeError(f"Segments.{name} must be a tensor, got {type(field).__name__}")
            wanted_bool = name.startswith("is_")
            if wanted_bool != (field.dtype == torch.bool) or field.is_floating_point() or field.is_complex():
                wanted = "bool" if wanted_bool else "an integer dtype"
                raise TypeError(f"Segments.{name} must have {wanted}, got {field.dtype}")
            if field.shape != self.id.shape or field.ndim == 0:
                other = "" if name == "id" else f", but id has {tuple(self.id.shape)}"
                raise ValueError(f"Segments.{name} has shape {tuple(field.shape)}{other}; all fields are [..., T]")

    def __len__(self) -> int:
        """T, the number of positions."""
        return int(self.id.shape[-1])

    def __getitem__(self, positions: slice) -> Segments:
        """The segments of a span of positions, as if that were the whole dialogue.

        ``segments[:n]`` is the dialogue's first n tokens.
        """
        if not isinstance(positions, slice):
            raise TypeError(f"Segments take a slice of positions, got {positions!r}")
        return self._map(lambda field: field[..., positions])

    def row(self, index: int) -> Segments:
        """One dialogue (or packed row) of a batch: ``[B, T]`` -> ``[T]``; raises ``ValueError`` if there is none."""
        if self.id.ndim < 2:
            raise ValueError(f"segments of shape {tuple(self.id.shape)} are those of one dialogue, not of a batch")
        if index not in range(-len(self.id), len(self.id)):
            raise ValueError(f"a batch of {len(self.id)} has no row {index!r}")
        return self._map(lambda field: field[int(index)])

    def rows(self) -> Iterator[Segments]:
        """The rows of a batch ``[B, T]``, one after the other."""
        return (self.row(index) for index in range(self.id.shape[0]))

    def to(self, device: torch.device | str) -> Segments:
        """The same segments on another device."""
        return self._map(lambda field: field.to(device))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Segments:
        given = {name: field for name in FIELDS if (field := getattr(self, name)) is not None}
        return Segments(**{name: change(field) for name, field in given.items()})

    # Derived from the fields, for rules to use; each is [..., T] and is computed on first access.

    @cached_property
    def system(self) -> Tensor:
        """``is_system``, all False where it was not given."""
        return torch.zeros_like(self.is_query) if self.is_system is None else self.is_system

    @cached_property
    def position(self) -> Tensor:
        """A token's position in its own dialogue, from 0."""
        here = torch.arange(len(self), device=self.id.device).expand(self.id.shape)
        return here if self.document is None else here - _run_start(self.document, here)

    @cached_property
    def end(self) -> Tensor:
        """One past the last position of a token's segment."""
        here = torch.arange(len(self), device=self.id.device).expand(self.id.shape)
        key = self.id
        if self.document is not None and self.id.numel():
            key = key + (key.max() + 1) * self.document
        backwards = _run_start(key.flip(-1), here)  # where the run starts, read from the right
        return len(self) - backwards.flip(-1)

    @cached_property
    def last_query_end(self) -> Tensor:
        """One past the last query token of a token's dialogue; 0 without a query.

        A prefix mask reads everything before it both ways.
        """
        here = torch.arange(len(self), device=self.id.device).expand(self.id.shape)
        end = torch.where(self.is_query, here + 1, torch.zeros_like(here))
        if self.id.numel() == 0:
            return end
        if self.document is None:
            return end.amax(-1, keepdim=True).expand(self.id.shape)
        slot = self.document - PADDING  # padding becomes slot 0
        slots = torch.zeros(*end.shape[:-1], int(slot.max()) + 1, dtype=end.dtype, device=end.device)
        return slots.scatter_reduce(-1, slot, end, "amax").gather(-1, slot)


def check_segments(value: object) -> None:
    """Raise a ``TypeError`` that says what to pass if a value is not a :class:`Segments`."""
    if not isinstance(value, Segments):
        hint = "; give its .segments" if isinstance(getattr(value, "segments", None), Segments) else ""
        raise TypeError(f"expected the Segments of a dialogue, got {type(value).__name__}{hint}")


def _run_start(key: Tensor, here: Tensor) -> Tensor:
    """The start of the run of equal keys that each position lies in: ``[..., T]``, ``[..., T]`` -> ``[..., T]``."""
    starts = torch.ones_like(key, dtype=torch.bool)
    starts[..., 1:] = key[..., 1:] != key[..., :-1]
    return torch.where(starts, here, torch.zeros_like(here)).cummax(-1).values
