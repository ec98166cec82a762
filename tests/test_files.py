"""Files that are either whole or not there, however the writing ends."""

import errno
import os
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


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    path, plain = tmp_path / "file.bin", tmp_path / "plain.bin"
    write_atomically(path, b"one")
    plain.write_bytes(b"one")
    assert path.stat().st_mode == plain.stat().st_mode


def test_the_hash() -> None:
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
