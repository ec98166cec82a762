"""Checks of arguments and options: errors that name the value, what it should be, and where it belongs."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import Field, field, fields
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def whole_number(name: str, value: object, least: int, most: int | None = None) -> int:
    """An option that counts something, as a Python int; NumPy integers are accepted, bools and floats are not.

    Raises:
        TypeError: it is not an integer.
        ValueError: it is out of range.
    """
    try:
        number = None if isinstance(value, bool | np.bool_) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:  # it has no index
        number = None
    if number is None:
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if number < least or (most is not None and number > most):
        allowed = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    return number


def real_number(
    name: str, value: object, least: float = -math.inf, most: float = math.inf, *, above: bool = False
) -> float:
    """An option that measures something, as a finite Python float; integers and NumPy numbers are accepted, bools not.

    Args:
        name: of the option.
        value: as it was given.
        least: the lowest value allowed.
        most: the highest.
        above: whether ``least`` itself is excluded.

    Raises:
        TypeError: it is not a number.
        ValueError: it is out of range, infinite or NaN.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:  # an integer, or a fraction, that no float can hold
        number = math.inf
    if not math.isfinite(number) or not least <= number <= most or (above and number == least):
        low = f"above {least:g}" if above else f"at least {least:g}"
        allowed = {
            (False, False): "finite",
            (True, False): f"{low}, and finite",
            (False, True): f"at most {most:g}, and finite",
            (True, True): f"{low} and at most {most:g}" if above else f"from {least:g} to {most:g}",
        }[least > -math.inf, most < math.inf]
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    return number


def check_kind(name: str, value: object, kind: type, remedy: str) -> None:
    """Raise a :class:`TypeError` with a remedy if an argument is of another type."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {kind.__name__}, got {value!r:.60}; {remedy}")


Item = TypeVar("Item")


def items_of(name: str, values: object, kind: type[Item], remedy: str) -> list[Item]:
    """What an iterable holds, as a list; a :class:`TypeError` with a remedy if it is none, or an item does not fit."""
    check_kind(name, values, Iterable, remedy)
    assert isinstance(values, Iterable)
    items = list(values)
    for item in items:
        if not isinstance(item, kind):
            raise TypeError(f"{name} must hold {kind.__name__} objects, got {item!r:.60}; {remedy}")
    return items


def one_of(name: str, value: Item, allowed: Sequence[Item]) -> Item:
    """The argument; a :class:`ValueError` that lists the values allowed if it is none of them."""
    if value not in allowed:
        raise ValueError(f"{name} is one of {', '.join(map(str, allowed))}, got {value!r}")
    return value


Value = TypeVar("Value", bool, int, float, str)
COUNT, SHARE = {"least": 1, "most": 10**9}, {"least": 0, "most": 1}
FROM_0, ABOVE_0 = {"least": 0}, {"least": 0, "above": True}


def option(default: Value, text: str, **bounds: Any) -> Value:
    """A configuration field: its default, one sentence on what it means, and its range for :func:`check_fields`."""
    described: Value = field(default=default, metadata={"help": text, "range": bounds})
    return described


def check_fields(options: DataclassInstance, owner: str = "") -> None:
    """Check and convert all fields of a dataclass, frozen or not, by the type of their defaults.

    A field's range is what its ``metadata`` has under ``"range"``: arguments of :func:`whole_number` or
    :func:`real_number`. NumPy numbers are accepted; a string must be a string, and a bool a bool.

    Raises:
        TypeError, ValueError: a value does not fit; the message names the field, after ``owner``.
    """
    for entry in fields(options):
        object.__setattr__(options, entry.name, _checked(owner + entry.name, getattr(options, entry.name), entry))


def _checked(name: str, value: object, field: Field[Any]) -> object:
    kind, bounds = type(field.default), field.metadata.get("range", {})
    if kind is int:
        return whole_number(name, value, **bounds)
    if kind is float:
        return real_number(name, value, **bounds)
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {'a text' if kind is str else f'a {kind.__name__}'}, got {value!r}")
    return value
