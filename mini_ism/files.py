"""Files that are either complete or absent, and fingerprints of their contents."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from glob import escape
from pathlib import Path

import torch
from torch import Tensor

DAY = 24 * 3600.0  # seconds


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file, creating its folder if needed, so that no reader ever sees half of it.

    The data goes to a temporary file next to it, which takes its place once all of it is on disk. Temporary files that
    killed processes left behind are deleted once they are a day old: nothing is writing them any more.

    Raises:
        OSError: it could not be written (disk full, no permission); what was there before is untouched.
    """
    with _saving(path) as part:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent, path.name, older_than=DAY)
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)


def check_writable(path: Path) -> None:
    """Check that a file can be written, before long work is done for it. Nothing is left behind, and no folder created.

    Raises:
        OSError: it cannot; see :func:`write_atomically`.
    """
    with _saving(path) as part:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        folder = next(folder for folder in path.absolute().parents if folder.exists())
        (folder / part.name).touch(exist_ok=False)
        (folder / part.name).unlink()


@contextmanager
def _saving(path: Path) -> Iterator[Path]:
    """A block that writes a temporary file; afterwards it is gone, and an error says what to do."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not save ({error.strerror}); what was there before is untouched. "
            "Free some space or choose another folder, then save again",
            str(path),
        ) from error
    finally:
        with contextlib.suppress(OSError):  # a name that cannot be written cannot be deleted
            part.unlink(missing_ok=True)


def remove_leftovers(folder: Path, *names: str, older_than: float = 0.0) -> None:
    """Delete what a process that was killed while writing these files has left behind.

    Args:
        folder: where the files are; it may be missing.
        names: of the files.
        older_than: seconds; 0 only where no other process can be writing them.
    """
    for name in names:
        for part in folder.glob(f".{escape(name)}.*.part"):
            with contextlib.suppress(OSError):  # another process has deleted it, or we may not
                if not older_than or time.time() - part.stat().st_mtime > older_than:
                    part.unlink()


LARGEST = 2**30
"""Bytes of the largest file that is read whole: a thousand times the size of any of this package's texts."""


def read_whole(path: Path) -> bytes:
    """The content of a file that should not be large.

    Raises:
        OSError: it cannot be read; a folder is said to be one.
        ValueError: it is so large that it must be the wrong file.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it")
    if (size := path.stat().st_size) > LARGEST:
        raise ValueError(f"{path} has {size:,} bytes, more than the {LARGEST:,} that are read; name another file")
    return path.read_bytes()


def sha256(data: bytes) -> str:
    """The SHA-256 of some bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def not_finite(tensors: Mapping[str, Tensor]) -> str:
    """The name of a tensor that holds an infinity or a NaN, ``""`` if none does."""
    return next((name for name, t in tensors.items() if t.is_floating_point() and not bool(t.isfinite().all())), "")


def fingerprint(tensors: Mapping[str, Tensor], *texts: str) -> str:
    """The SHA-256 of named tensors and some texts, in hex.

    safetensors notices a file that was cut short, but not a value that has changed.
    """
    digest = hashlib.sha256("\0".join(texts).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
