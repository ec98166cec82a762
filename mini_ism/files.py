"""Files that are either whole or not there."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """:func:`write_together` for a single file."""
    write_together({path: data})


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write files so that nobody ever sees half of one: each to a neighbour first, and when all are
    on the disk they take their places.

    Raises:
        OSError: one could not be written (disk full, no permission); what was there before is
        untouched.
    """
    parts: dict[Path, Path] = {}
    path = Path()
    try:
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            parts[path] = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
            with parts[path].open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for path, part in parts.items():
            part.replace(path)
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not save ({error.strerror}); what was there before is untouched. "
            "Free some space or choose another folder, then save again",
            str(path),
        ) from error
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def sha256(data: bytes) -> str:
    """The SHA-256 of some bytes, in hex."""
    return hashlib.sha256(data).hexdigest()
