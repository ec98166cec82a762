"""Stand-ins for a system that fails."""

import errno
from typing import Any

FULL = OSError(errno.ENOSPC, "No space left on device")


def fail(nth: int, error: BaseException) -> Any:
    """A function that raises at its n-th call, and does nothing before."""
    left = [nth]

    def stand_in(*_: object, **__: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise error

    return stand_in
