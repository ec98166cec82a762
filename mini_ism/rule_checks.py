"""A mask's rule as its author wrote it: whether it can be called, its options, and what went wrong in it."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from pathlib import Path


def rule_options(rule: Callable[..., object]) -> dict[str, bool | int | float | str]:
    """The options of a mask's rule with their defaults: what may be given beside ``q``, ``kv`` and ``s``."""
    try:
        parameters = list(inspect.signature(rule).parameters.values())
    except (TypeError, ValueError):  # some built-in functions have no signature
        return {}
    beside = parameters[3:] + [p for p in parameters[:3] if p.kind is p.KEYWORD_ONLY]  # as in rule(*q_kv_s, n=8)
    named = (p for p in beside if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD))
    return {p.name: p.default for p in named if p.default is not p.empty}


def check_rule(rule: object) -> None:
    """Refuse what cannot be called as ``rule(q, kv, s)``, or has an option that nobody could set.

    Raises:
        TypeError: it is not a function, or takes other arguments; FlexAttention's four are recognised.
    """
    if not callable(rule):
        raise TypeError(f"a mask's rule must be a function (q, kv, s) -> bool tensor, got {rule!r}")
    try:
        taken = inspect.signature(rule)
    except (TypeError, ValueError):
        return
    try:
        taken.bind(None, None, None)
    except TypeError:
        raise TypeError(
            f"a mask's rule takes three arguments (q, kv, s), but this one takes {taken}{_remedy(taken)}"
        ) from None
    for name, default in rule_options(rule).items():
        if default is None:  # no value would be of its type
            raise TypeError(
                f"option {name!r} of a mask's rule has the default None, which does not say what it may be set to; "
                "give it a number, a bool or a text"
            )


def _remedy(taken: inspect.Signature) -> str:
    """What to change in a rule that needs other arguments than three."""
    needed = [p for p in taken.parameters.values() if p.default is p.empty]
    positional = [p.name for p in needed if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) == 4 and positional[0].lstrip("_").startswith("b"):
        return "; four arguments are FlexAttention's (b, h, q, kv): drop b and h, and add s, the segments"
    options = positional[3:] + [p.name for p in needed if p.kind is p.KEYWORD_ONLY]
    if len(positional) < 3 or not options:
        return ""
    return f"; whatever comes after these three is an option and needs a default, as in {options[0]}=8"


def described(error: Exception) -> str:
    """What a rule or a skill raised, and in which line of its own file, even if code that it called did."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = (frame.filename for frame in frames if Path(__file__).parent not in Path(frame.filename).parents)
    own = next(outside, frames[-1].filename)
    line = [frame.lineno for frame in frames if frame.filename == own][-1]
    file = f"{Path(own).name}, " if Path(own).is_file() else ""  # a notebook's cell has no name worth knowing
    return f"{summary(error)} ({file}line {line})"


def summary(error: BaseException) -> str:
    """The kind of an error and what it says, which may be nothing."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")
