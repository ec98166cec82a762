"""How a command of the terminal ends: what the user can mend is one line, a closed pipe and Ctrl-C are no errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from mini_ism.terminal import visible


def run_command(command: Callable[[], object], program: str, *errors: type[Exception]) -> int:
    """Run a command; the exit status is 0, 1 after an error that the user can mend, or 130 after Ctrl-C.

    Args:
        command: does the work, and prints.
        program: whose name stands before an error.
        errors: what the user can mend, besides a ``ValueError`` or an ``OSError``.
    """
    mendable: tuple[type[Exception], ...] = (ValueError, OSError, *errors)
    try:
        command()
        sys.stdout.flush()
    except BrokenPipeError:  # "| head" has seen enough; Python's own last flush must not fail, too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except mendable as error:
        print(f"{program}: {visible(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    return 0
