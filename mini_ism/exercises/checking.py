"""``check``, which no bad answer can break, and the slips that it detects in any exercise."""

from __future__ import annotations

import functools
import inspect
import linecache
from collections.abc import Mapping, Sequence
from traceback import walk_tb
from typing import Any

import torch
from torch import Tensor

from mini_ism.exercises.core import Slip, Verdict, find, wrong
from mini_ism.segments import FIELDS, Segments


class _NotDone(BaseException):
    """The answer, or what it returns, is still ``...``."""


class _AnswerRaised(BaseException):
    """The answer itself raised; the cause is its exception."""


def check(name: str, answer: Any) -> Verdict:
    """Judge an answer. However wrong the answer is, even if it calls ``exit()``, this does not raise; Ctrl-C stops it.

    Args:
        name: the exercise's name.
        answer: usually a function, or a value. ``...``, or a function that returns it, counts as not done yet.

    Raises:
        ValueError: there is no such exercise.
    """
    judge = find(name).judge
    title = getattr(answer, "__name__", "your answer")
    title = "your function" if title == "<lambda>" else title
    try:
        if answer is None:
            raise Slip("is None. Was it made by a function without a `return`, or by `print`?")
        if _unfinished(answer):
            raise _NotDone
        return judge(_guard(answer))
    except _NotDone:
        where = "your answer" if not callable(answer) else title
        return Verdict("todo", f"replace the ... in {where}, then run the cell again.")
    except Slip as slip:
        return wrong(f"{title} {slip}")
    except _AnswerRaised as raised:
        return wrong(f"{title} raised {_described(raised.__cause__, answer)}")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the judge could not handle what the answer is or returned
        return wrong(f"{title} does not fit the task: {_described(error, answer)}")


def _unfinished(value: Any) -> bool:
    """Whether a value is, or contains, a ``...``."""
    if isinstance(value, Mapping):
        return any(map(_unfinished, value.values()))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return any(map(_unfinished, value))
    return value is ...


def _guard(answer: Any) -> Any:
    """A wrapper that tells an unfinished or failing answer from a failing judge; other values are returned unchanged.

    Slips that can occur in any exercise are handled here: arguments that do not fit, a modified argument, a missing
    ``return``.
    """
    if not (inspect.isroutine(answer) or isinstance(answer, functools.partial)):
        return answer

    def guarded(*values: Any, **named: Any) -> Any:
        _check_arguments(answer, values, named)
        given = [_copied(value) for value in values]  # so that no slip reaches the dialogues that exercises share
        try:
            result = answer(*given, **named)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit, too: an answer must not end the notebook's kernel
            # `kv <= ...` is an answer that has been started
            if isinstance(error, TypeError) and "ellipsis" in str(error):
                raise _NotDone from None
            raise _AnswerRaised from error
        if _unfinished(result):
            raise _NotDone
        if result is None:
            raise Slip("returned None: is a `return` missing?")
        for number, (old, value) in enumerate(zip(values, given, strict=True)):
            if not _same(old, value):
                which = _argument(answer, number)
                raise Slip(f"changes {which}, which belongs to its caller: work on a copy and return that.")
        return result

    return functools.update_wrapper(guarded, answer) if hasattr(answer, "__name__") else guarded


def _check_arguments(answer: Any, values: Sequence[Any], named: Mapping[str, Any]) -> None:
    """Refuse a function that cannot be called with these values; a rule with FlexAttention's arguments gets a hint."""
    try:
        signature = inspect.signature(answer)
    except ValueError:  # some built-in functions have none
        return
    try:
        signature.bind(*values, **named)
    except TypeError:
        flex = " These four are FlexAttention's: drop b and h, and add the last one that the task gives you."
        hint = flex if list(signature.parameters) == ["b", "h", "q", "kv"] else ""
        raise Slip(f"takes {signature}, but is called with {len(values) + len(named)} values.{hint}") from None


def _argument(answer: Any, number: int) -> str:
    """The name that the answer gives an argument."""
    try:
        return f"`{list(inspect.signature(answer).parameters)[number]}`"
    except (ValueError, IndexError):  # it has no signature, or collects its arguments
        return f"argument {number + 1}"


def _copied(value: Any) -> Any:
    """A copy of what an answer could modify by accident: tensors, segments, and lists and dicts with their items."""
    if isinstance(value, Tensor):
        return value.clone()  # still differentiable
    if isinstance(value, Segments):
        return Segments(*(_copied(getattr(value, name)) for name in FIELDS))
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value


def _same(old: Any, value: Any) -> bool:
    if isinstance(value, Tensor):
        same_kind = isinstance(old, Tensor) and old.shape == value.shape and old.dtype == value.dtype
        return same_kind and torch.allclose(old.detach(), value.detach(), rtol=0, atol=0, equal_nan=True)
    if isinstance(value, Segments):
        return isinstance(old, Segments) and all(_same(getattr(old, name), getattr(value, name)) for name in FIELDS)
    if isinstance(value, dict):
        return isinstance(old, dict) and old.keys() == value.keys() and all(_same(old[key], value[key]) for key in old)
    if isinstance(value, list):
        return isinstance(old, list) and len(old) == len(value) and all(map(_same, old, value))
    return old is value


def _described(error: BaseException | None, answer: Any) -> str:
    """An exception in words, with the answer's line that raised it where that is known."""
    text = f"{type(error).__name__}: {error}"
    if "Boolean value of Tensor" in text:
        text += " (combine tensors with & | ~, not with and, or, not, if)"
    code = getattr(inspect.unwrap(answer), "__code__", None) if callable(answer) else None
    if code is None or error is None:
        return text
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code is code]
    source = linecache.getline(code.co_filename, lines[-1]).strip() if lines else ""
    return f"{text}\nin the line: {source}" if source else text
