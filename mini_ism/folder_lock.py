"""Exclusive use of a folder, or of one file's work in it, by a lock that ends when its process does."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

LOCK = ".lock"
"""The file that is locked. It exists only while the folder is in use, or after a kill, when it locks nothing."""


class FolderInUseError(ValueError):
    """The folder is already in use; the message says by whom."""


@contextmanager
def locked(folder: Path, lock: str = LOCK) -> Iterator[None]:
    """A block during which no one else can hold this lock on a folder, not even another caller in this process.

    A lock whose process has died is taken over. Where the file system does not support locks, as on some network
    drives, nothing is locked.

    Args:
        folder: created if it is missing.
        lock: the name of the file that is locked; callers that may share a folder use different ones.

    Raises:
        FolderInUseError: the lock is already held.
        OSError: the lock file cannot be written; the message says what to do.
    """
    path = folder / lock
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _take(path)
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        told = f"cannot write in this folder ({reason}); free some space, or choose another folder"
        raise OSError(error.errno, told, str(folder)) from error
    try:
        yield
    finally:
        if sys.platform != "win32":  # while it is held, so that another's new lock is not deleted
            path.unlink(missing_ok=True)
        file.close()
        if sys.platform == "win32":  # which deletes no open file, so no lock that another process has taken by now
            with contextlib.suppress(OSError):
                path.unlink()


def _take(path: Path) -> FileIO:
    while True:
        file = path.open("a+b", buffering=0)
        try:
            if not _lock(file):
                file.seek(0)
                holder = file.read(200).decode("utf-8", "replace") or "another process"
                raise FolderInUseError(
                    f"{path.parent} is in use by {holder}, which does the same there; wait for it, stop it, or choose "
                    "another folder"
                )
            if _is_at(path, file):
                _sign(path, file)
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # its holder has deleted it in the meantime: it locks nothing


def _sign(path: Path, file: FileIO) -> None:
    """Write into a lock file who holds it; if that fails, as on a full disk, delete it."""
    try:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}".encode())
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _is_at(path: Path, file: FileIO) -> bool:
    """Whether an open file is still the one at this path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    FAR = 2**30  # a byte that is never written, since others cannot read what is locked

    def _lock(file: FileIO) -> bool:
        os.lseek(file.fileno(), FAR, os.SEEK_SET)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(file.fileno(), 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _lock(file: FileIO) -> bool:
        """Lock an open file until it is closed; False if someone else has."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # this file system does not support locks
            return True
        return True
