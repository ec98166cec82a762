"""What a rule reads: whether it compares positions, and fields of the segments at them, pair by pair, and nothing else.

This is found out by observation. A rule is evaluated once while every PyTorch operation on the way is recorded; and the
numbers that its code refers to are compared each time, since they may change.
"""

from __future__ import annotations

import dis
import types
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mini_ism.mask import Mask
from mini_ism.segments import Segments

FIELDS = ("id", "is_query", "is_system", "position", "end", "last_query_end")
PAIRWISE = frozenset(
    [
        *("__and__", "__or__", "__xor__", "__invert__", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"),
        *("eq", "ne", "lt", "le", "gt", "ge", "where", "minimum", "maximum", "__rsub__", "__floordiv__"),
        *("add", "sub", "mul", "neg", "abs", "remainder", "floor_divide"),
        *("logical_and", "logical_or", "logical_xor", "logical_not"),
        *("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not"),
    ]
)
"""PyTorch operations that compute each element from the elements in the same place."""


class Reads:
    """Which fields a rule reads, found out once; and, each time, whether the numbers it refers to have changed."""

    def __init__(self, mask: Mask) -> None:
        self.mask = mask
        self.constants: object = None
        self._fields: frozenset[str] | None = None

    def fields(self, segments: Segments) -> frozenset[str] | None:
        """The fields that the rule reads pair by pair; ``None`` if it reads anything else."""
        found = self.look()
        if found is None:
            return None
        if found != self.constants:
            self.constants, self._fields = found, _watched(self.mask, segments)
        return self._fields

    def look(self) -> object:
        """All numbers and strings that the rule's code refers to; ``None`` if it refers to what may hide more."""
        return _constants(self.mask.rule)


class _Watch(TorchFunctionMode):
    """Watches while a rule is evaluated: which fields it reads at q or kv, and whether it does anything else."""

    def __init__(self, q: Tensor, kv: Tensor, fields: dict[str, Tensor]) -> None:
        super().__init__()
        self.places, self.fields, self.known = (q, kv), fields, [q, kv]
        self.read: set[str] = set()
        self.anything_else = False

    def __torch_function__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        result = func(*args, **(kwargs or {}))
        if name == "__getitem__":
            field = next((name for name, tensor in self.fields.items() if tensor is args[0]), None)
            if field is None or not any(args[1] is place for place in self.places):
                self.anything_else = True
            else:
                self.read.add(field)
        elif name not in PAIRWISE or kwargs or any(self._foreign(value) for value in args):
            self.anything_else = True
        self.known.append(result)
        return result

    def _foreign(self, value: object) -> bool:
        """Whether an argument is neither a number nor derived from positions and fields."""
        if isinstance(value, Tensor):
            return not any(value is known for known in self.known)
        return not isinstance(value, bool | int | float)


def _watched(mask: Mask, segments: Segments) -> frozenset[str] | None:
    """The fields that the rule reads on this dialogue, pair by pair; ``None`` if it does anything else."""
    if segments.document is not None or segments.is_system is None:
        return None
    fields = {name: getattr(segments, name) for name in FIELDS}  # computed before watching starts
    here = torch.arange(len(segments), device=segments.id.device)
    watch = _Watch(here[:, None], here[None, :], fields)
    try:
        with watch:
            result = mask.rule(*watch.places, segments)
    except Exception:  # the rule's own error; it is raised again when the rule is evaluated for real
        return None
    made_here = any(result is each for each in watch.known)
    return frozenset(watch.read) if made_here and not watch.anything_else else None


SCALARS = bool | int | float | str | None


def _constants(rule: object, depth: int = 0) -> tuple[object, ...] | None:
    """The numbers and strings that a function's code refers to; ``None`` if something may change unnoticed."""
    if isinstance(rule, Mask):
        return _constants(rule.rule, depth)
    if isinstance(rule, partial):
        inner = _constants(rule.func, depth)
        plain = not rule.args and all(isinstance(value, SCALARS) for value in rule.keywords.values())
        return (*inner, *rule.keywords.items()) if inner is not None and plain else None
    if not isinstance(rule, types.FunctionType) or rule.__dict__ or depth > 20:
        return None
    names = _names(rule.__code__)
    defaults = (*(rule.__defaults__ or ()), *(rule.__kwdefaults__ or {}).values())
    if names is None or not all(isinstance(value, SCALARS) for value in defaults):
        return None
    found: list[object] = [rule.__code__, *defaults]
    try:
        outside = [cell.cell_contents for cell in rule.__closure__ or ()]
    except ValueError:  # a variable that is not set yet
        return None
    outside += [rule.__globals__[name] for name in names if name in rule.__globals__]
    for value in outside:
        if isinstance(value, Tensor) or value is torch or (isinstance(value, type) and value.__module__ == "torch"):
            continue  # whatever is done with it is watched
        inner = (value,) if isinstance(value, SCALARS) else _constants(value, depth + 1)
        if inner is None:
            return None
        found += inner
    return tuple(found)


HIDING = {"IMPORT_NAME", "STORE_GLOBAL", "STORE_DEREF", "STORE_ATTR", "STORE_SUBSCR", "LOAD_BUILD_CLASS"}
HIDING_NAMES = {"__import__", "eval", "exec", "getattr", "globals", "input", "next", "open", "vars"}


@cache
def _names(code: types.CodeType) -> tuple[str, ...] | None:
    """The names that a function's code looks up, inner functions included; ``None`` if it may keep or fetch state."""
    names = list(code.co_names)
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            inner = _names(const)
            if inner is None:
                return None
            names += inner
    hides = HIDING_NAMES & set(names) or HIDING & {instruction.opname for instruction in dis.get_instructions(code)}
    return None if hides else tuple(names)
