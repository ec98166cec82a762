"""Checks of what somebody hands in: errors that name the value, what it should be, and where it belongs."""

from __future__ import annotations

import operator


def whole_number(name: str, value: object, least: int, most: int | None = None) -> int:
    """An option that counts something, as a Python int; NumPy's integers are welcome, bools and floats are not.

    Raises:
        TypeError: it is no integer.
        ValueError: it is out of range.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # what has no index is the error
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if number < least or (most is not None and number > most):
        allowed = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    return number
