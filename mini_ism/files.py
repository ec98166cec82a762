"""Files that are either whole or not there."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """:func:`write_together` for a single file."""
    write_together({path: data})


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write files so that nobody ever sees half of one, and so that all of them change or none does.

    Each is written to a neighbour first, and when all are on the disk they take their places. If one then cannot (on
    Windows, because another program holds the old one open), those before it get their old selves back.

    Raises:
        OSError: one could not be written (disk full, no permission); what was there before is
        untouched.
    """
    path = Path()
    parts: dict[Path, Path] = {}
    spares: dict[Path, Path] = {}  # what was there before; a single file needs none
    placed: list[Path] = []
    try:
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(parts, path, data)
        for path in files:
            if len(files) > 1 and path.exists():
                _write(spares, path, path.read_bytes())
        for path, part in parts.items():
            placed.append(path)
            part.replace(path)
        placed.clear()
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not save ({error.strerror}); what was there before is untouched. "
            "Free some space or choose another folder, then save again",
            str(path),
        ) from error
    finally:
        for path in placed:
            with suppress(OSError):
                if path in spares:
                    spares[path].replace(path)
                elif len(files) > 1:
                    path.unlink(missing_ok=True)
        for part in (*parts.values(), *spares.values()):
            part.unlink(missing_ok=True)


def _write(parts: dict[Path, Path], path: Path, data: bytes) -> None:
    """Write a neighbour of ``path``; it is noted first, so that an interrupt leaves none behind."""
    parts[path] = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with parts[path].open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sha256(data: bytes) -> str:
    """The SHA-256 of some bytes, in hex."""
    return hashlib.sha256(data).hexdigest()
