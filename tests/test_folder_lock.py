"""A folder that one process has to itself, however the process ends."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mini_ism import folder_lock
from mini_ism.folder_lock import FolderInUseError, locked
from tests.faults import FULL, fail

HOLD = """
import sys, time
from pathlib import Path
from mini_ism.folder_lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    with locked(folder):
        message = rf"run is in use by process {os.getpid()} on .*; wait for it, stop it, or choose another folder"
        with pytest.raises(FolderInUseError, match=message), locked(folder):
            pass
        with locked(tmp_path):  # another folder
            pass
        assert [path.name for path in folder.iterdir()] == [".lock"]
    assert list(folder.iterdir()) == []
    with locked(folder):
        pass


@pytest.mark.skipif(os.name == "nt", reason="a full disk of POSIX")
def test_what_cannot_be_locked_is_told_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    remedy = "free some space, or choose another folder"
    with pytest.raises(OSError, match=rf"cannot write in this folder \(it is a file\); {remedy}: '.*file'"):
        locked(tmp_path / "file").__enter__()
    with pytest.raises(OSError, match="File name too long"):
        locked(tmp_path / ("long" * 99)).__enter__()
    monkeypatch.setattr("platform.node", fail(1, FULL))  # on the way to the lock's own write
    with pytest.raises(OSError, match=rf"cannot write in this folder \(No space left on device\); {remedy}: '"):
        locked(tmp_path / "new").__enter__()
    assert list((tmp_path / "new").iterdir()) == []


def test_an_error_inside_gives_the_folder_back(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), locked(tmp_path):
        raise KeyboardInterrupt
    with locked(tmp_path):
        pass


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_the_lock_of_another_process_holds_while_it_lives_and_no_longer(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(FolderInUseError, match=f"in use by process {process.pid} on"), locked(tmp_path):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (tmp_path / ".lock").exists()  # a kill leaves the file, which locks nothing
        with locked(tmp_path):
            assert str(os.getpid()) in (tmp_path / ".lock").read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_its_holder_deletes_in_between_is_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened while another process held it, locked when that had gone: another file has the name by then, or none."""
    original, calls = folder_lock._lock, []

    def lock(file: Any) -> bool:
        calls.append(os.fstat(file.fileno()).st_ino)
        if len(calls) == 1:
            (tmp_path / ".lock").unlink()
        return original(file)

    monkeypatch.setattr(folder_lock, "_lock", lock)
    with locked(tmp_path):
        assert len(calls) == 2
        assert (tmp_path / ".lock").stat().st_ino == calls[1]


@pytest.mark.skipif(os.name == "nt", reason="flock is POSIX's")
def test_a_file_system_without_locks_locks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with locked(tmp_path), locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
