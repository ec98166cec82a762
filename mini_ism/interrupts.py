"""Blocks of code that Ctrl-C does not interrupt midway."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collected() -> Iterator[list[int]]:
    """A block during which Ctrl-C only adds to a list, for the block itself to check.

    In threads other than the main one, and where other code handles Ctrl-C, this changes nothing.
    """
    pressed: list[int] = []
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield pressed
        return
    signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, usual)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A block during which Ctrl-C is deferred: it takes effect when the block ends, so that nothing is left half done.

    In threads other than the main one, and where other code handles Ctrl-C, this changes nothing.
    """
    with collected() as pressed:
        yield
    if pressed:
        signal.raise_signal(signal.SIGINT)
