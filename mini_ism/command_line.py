"""How a terminal command ends: an error the user can fix is one line; a closed pipe and Ctrl-C are not errors."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO, cast

from mini_ism.terminal import visible


def prepare_streams() -> None:
    """Make sure that no standard stream can end a command.

    The null device replaces a stream that the shell closed (``>&-``). Otherwise a file that is opened later would take
    its descriptor, and printed text might end up in that file. A character that the terminal cannot show, or that does
    not fit the declared encoding, becomes a question mark.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor: this one
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdin, sys.stdout):  # stderr escapes such characters
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def empty_argument(arguments: Sequence[str]) -> str:
    """What to say about the first empty argument, ``""`` if none is: usually it was an unset ``"$NAME"``."""
    for before, argument in zip(("", *arguments), arguments, strict=False):
        if found := re.fullmatch(r"(?:(--[\w-]+)=)?\s*", argument):
            return f"{found[1] or before or 'a command'} is given an empty text; give it a value, or leave it out"
    return ""


def run_command(
    command: Callable[[], object],
    program: str,
    *errors: type[Exception],
    hint: Callable[[Exception], str] = lambda _: "",
) -> int:
    """Run a command; the exit status is 0 or the command's own, 1 after an error to be fixed, or 130 after Ctrl-C.

    Args:
        command: does the work, and prints. A whole number that it returns is the exit status; anything else is not.
        program: its name, which is put before an error.
        errors: what the user can fix, besides a ``ValueError`` or an ``OSError``.
        hint: what to add to an error here, on the command line.
    """

    def show_warning(message: Warning | str, *_: object, **__: object) -> None:
        print(f"{program}: {visible(str(message))}", file=sys.stderr)

    status: object = None
    aside = cast(TextIO, _Aside(sys.stderr))
    mendable: tuple[type[Exception], ...] = (ValueError, TypeError, OSError, *errors)
    with contextlib.redirect_stderr(aside), warnings.catch_warnings():
        warnings.showwarning = show_warning
        try:
            status = command()
            sys.stdout.flush()
        except BrokenPipeError:  # "| head" has read enough; everything else went to stderr
            _close(sys.stdout)
        except mendable as error:
            if isinstance(error, TypeError) and not _was_checked(error):
                raise
            print(f"{program}: {visible(f'{error}{hint(error)}')}", file=sys.stderr)
            _close(sys.stdout)  # it may be what failed, as on a full disk
            return 1
        except KeyboardInterrupt:
            print("\nstopped", file=sys.stderr)
            return 130
    return status if type(status) is int else 0


class _Aside:
    """The stream for side output such as progress: if it can no longer be written, the work goes on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            _close(self._stream)
            return len(text)

    def flush(self) -> None:
        _close(self._stream)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def _was_checked(error: TypeError) -> bool:
    """Whether one of this package's checks raised an error, rather than Python itself on an unchecked value."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return Path(__file__).parent in Path(last.filename).parents and (last.line or "").startswith("raise ")


def _close(stream: TextIO) -> None:
    """Write what is left, if that is possible; Python's own final flush must not fail."""
    try:
        stream.flush()
    except OSError:
        with contextlib.suppress(OSError):  # a stream without a descriptor, as in a notebook
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
