"""Files that are either whole or not there."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees half of it: to a neighbour first, which then takes its place.

    Raises:
        OSError: it could not be written (disk full, no permission); what was at ``path`` before is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not save ({error.strerror}); what was there before is untouched. "
            "Free some space or choose another folder, then save again",
            str(path),
        ) from error
    finally:
        Path(name).unlink(missing_ok=True)


def sha256(data: bytes) -> str:
    """The SHA-256 of some bytes, in hex."""
    return hashlib.sha256(data).hexdigest()
