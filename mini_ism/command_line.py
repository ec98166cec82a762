"""How a command of the terminal ends: what the user can mend is one line, a closed pipe and Ctrl-C are no errors."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TextIO

from mini_ism.terminal import visible


def open_closed_streams() -> None:
    """Put the null device where the shell closed a standard stream (``>&-``): nobody reads it, and nothing fails.

    Otherwise a file that is opened later takes the stream's number, and what is printed may end in that file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w", encoding="utf-8"))  # noqa: PTH123, SIM115


def empty_argument(arguments: Sequence[str]) -> str:
    """What to say of the first argument that is an empty text, ``""`` if none is: mostly it was ``"$NAME"``, unset."""
    for before, argument in zip(("", *arguments), arguments, strict=False):
        if found := re.fullmatch(r"(?:(--[\w-]+)=)?\s*", argument):
            return f"{found[1] or before or 'a command'} is given an empty text; give it a value, or leave it out"
    return ""


def run_command(command: Callable[[], object], program: str, *errors: type[Exception]) -> int:
    """Run a command; the exit status is 0, 1 after an error that the user can mend, or 130 after Ctrl-C.

    Args:
        command: does the work, and prints.
        program: whose name stands before an error.
        errors: what the user can mend, besides a ``ValueError`` or an ``OSError``.
    """

    def show_warning(message: Warning | str, *_: object, **__: object) -> None:
        print(f"{program}: {visible(str(message))}", file=sys.stderr)

    mendable: tuple[type[Exception], ...] = (ValueError, OSError, *errors)
    with warnings.catch_warnings():
        warnings.showwarning = show_warning
        try:
            command()
            sys.stdout.flush()
        except BrokenPipeError:  # "| head" has seen enough
            _close(sys.stdout)
        except mendable as error:
            print(f"{program}: {visible(str(error))}", file=sys.stderr)
            _close(sys.stdout)  # it may be what failed, as on a full disk
            return 1
        except KeyboardInterrupt:
            print("\nstopped", file=sys.stderr)
            return 130
    return 0


def _close(stream: TextIO) -> None:
    """Write what is left, if anybody takes it; Python's own last flush must not fail."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
