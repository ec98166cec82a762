"""Ctrl-C at any line of the code that carries a conversation."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import mini_ism
from mini_ism import ChatSession

PACKAGE = Path(mini_ism.__file__).parent
WATCHED = {str(PACKAGE / f"{name}.py") for name in ("chat", "transcript", "replies", "planner", "cache")}
Action = Callable[[ChatSession], object]


def begin_and_close(chat: ChatSession, text: str = "Hi.") -> None:
    """Leave an answer after its first piece."""
    stream = chat.stream(text, temperature=1.0, seed=5)
    try:
        next(stream, None)
    finally:
        stream.close()  # type: ignore[attr-defined]


ACTIONS: dict[str, Action] = {
    "send": lambda chat: chat.send("Where is the key?", max_new_tokens=4, temperature=1.0, seed=3),
    "stop": lambda chat: chat.send("Where?", max_new_tokens=6, temperature=1.0, seed=4, stop=["e", "a", "t"]),
    "truncate": lambda chat: chat.truncate(1),
    "fork": lambda chat: chat.fork(),
    "close": begin_and_close,
}
"""What may be interrupted."""


def _interrupt() -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def interrupted_at(
    moment: int, watched: Collection[str] = WATCHED, press: Callable[[], object] = _interrupt
) -> Iterator[list[int]]:
    """Ctrl-C just before the n-th line of the watched files; counts the lines passed.

    Args:
        moment: n, from 1; another number for none.
        watched: the files.
        press: raises the exception, or the signal, which may be put off.
    """
    passed = [0]

    def line(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            passed[0] += 1
            if passed[0] == moment:
                press()
        return line

    def call(frame: FrameType, event: str, _: object) -> Any:
        return line if frame.f_code.co_filename in watched else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        yield passed
    finally:
        sys.settrace(before)


def lines_of(action: Action, chat: ChatSession) -> int:
    """How many lines an action takes, that is, at how many moments it may be interrupted."""
    with interrupted_at(-1) as passed:
        action(chat)
    return passed[0]


def strike(action: Action, chat: ChatSession, moment: int) -> None:
    """Run an action that is interrupted at a moment."""
    with suppress(KeyboardInterrupt), interrupted_at(moment):
        action(chat)
