"""Files that are either whole or not there, however the writing ends."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mini_ism.files import sha256, write_atomically, write_together

FULL = OSError(errno.ENOSPC, "No space left on device")


def fail(nth: int, error: BaseException) -> Any:
    """A function that raises at its n-th call, and does nothing before."""
    left = [nth]

    def stand_in(*_: object, **__: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise error

    return stand_in


def test_a_file_and_its_folder_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.bin"
    write_atomically(path, b"one")
    assert path.read_bytes() == b"one"
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("where", ["os.fsync", "pathlib.Path.replace"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(where, fail(1, FULL))
    with pytest.raises(OSError, match=r"could not save \(No space left on device\); .*Free some") as caught:
        write_atomically(path, b"new and longer")
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]  # no .part


def test_no_room_even_for_a_new_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathlib.Path.open", fail(1, FULL))
    with pytest.raises(OSError, match=r"could not save .*file\.bin"):
        write_atomically(tmp_path / "file.bin", b"new")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr("os.fsync", fail(1, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]


def test_files_that_belong_together_are_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    write_together({one: b"old 1", two: b"old 2"})
    monkeypatch.setattr("os.fsync", fail(2, FULL))  # the first fits, the second does not
    with pytest.raises(OSError, match="two"):
        write_together({one: b"new 1", two: b"new 2"})
    assert (one.read_bytes(), two.read_bytes()) == (b"old 1", b"old 2")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one", "two"]


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "Permission denied"), KeyboardInterrupt()])
def test_all_get_their_old_selves_back_when_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """As on Windows, where a file that another program holds open cannot be replaced."""
    old, new, held = tmp_path / "old", tmp_path / "new", tmp_path / "held"
    write_together({old: b"old 1", held: b"old 2"})
    replace, refused = Path.replace, [error]

    def refuse(part: Path, path: Path) -> Path:
        if path == held and refused:
            raise refused.pop()
        return replace(part, path)

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(type(error)):
        write_together({old: b"new 1", new: b"new 3", held: b"new 2"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"old": b"old 1", "held": b"old 2"}


FILL = """
import resource, sys
from pathlib import Path
from mini_ism.files import write_together
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
write_together({Path("one"): b"1" * 10, Path("two"): b"2" * 5000})
"""


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_a_file_that_the_system_really_does_not_take(tmp_path: Path) -> None:
    """No stand-in: the system itself stops the write half-way, as it does on a full disk."""
    (tmp_path / "one").write_bytes(b"old")
    run = subprocess.run([sys.executable, "-c", FILL], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "could not save (File too large); what was there before is untouched. Free some" in run.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"one": b"old"}


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    path, plain = tmp_path / "file.bin", tmp_path / "plain.bin"
    write_atomically(path, b"one")
    plain.write_bytes(b"one")
    assert path.stat().st_mode == plain.stat().st_mode


def test_the_hash() -> None:
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
