"""Ctrl-C while a command is still loading PyTorch, which takes seconds: it ends at once, as it would later."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path


def _is_command() -> bool:
    """Whether this package is being loaded to run its command: as ``python -m mini_ism``, or by its console script."""
    program = sys.argv[0] if sys.argv else ""
    return (program == "-m" and "mini_ism" in sys.orig_argv) or Path(program).name in ("mini-ism", "mini-ism.exe")


def _leave(*_: object) -> None:
    os.write(2, b"\nstopped\n")
    os._exit(130)


def loaded() -> None:
    """From here on Ctrl-C raises an exception, as usual."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if _is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _leave)
