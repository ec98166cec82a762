"""Files that are either whole or not there, however the writing ends."""

import errno
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from mini_ism.files import (
    check_writable,
    fingerprint,
    not_finite,
    read_whole,
    remove_leftovers,
    sha256,
    write_atomically,
)
from tests.faults import FULL, fail


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


@pytest.mark.skipif(os.name == "nt", reason="paths of POSIX")
def test_where_nothing_can_be_written_is_told_before_and_after_the_work(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    before = list(tmp_path.iterdir())
    places = {"plain/file": "(Not a directory|File exists)", "long" * 99: "File name too long", ".": "Is a directory"}
    for name, reason in places.items():
        for attempt in (check_writable, lambda path: write_atomically(path, b"new")):
            if name != "." or attempt is check_writable:
                with pytest.raises(OSError, match=rf"could not save \({reason}\); what was there .*Free some"):
                    attempt(tmp_path / name)
    check_writable(tmp_path / "new" / "deep" / "file")
    check_writable(tmp_path / "plain")
    assert list(tmp_path.iterdir()) == before


def test_an_interrupt_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr("os.fsync", fail(1, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]


def test_a_file_that_cannot_take_its_place_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, where a file that another program holds open cannot be replaced."""
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr("pathlib.Path.replace", fail(1, PermissionError(errno.EACCES, "Permission denied")))
    with pytest.raises(OSError, match=r"could not save \(Permission denied\)"):
        write_atomically(path, b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file.bin": b"old"}


FILL = """
import resource, sys
from pathlib import Path
from mini_ism.files import write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
write_atomically(Path("one"), b"1" * 5000)
"""


@pytest.mark.slow
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


def test_the_fingerprint_sees_each_value_name_and_text() -> None:
    """What it catches and safetensors does not: content of the right size that is not what was saved."""
    tensors = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor(3, dtype=torch.int64)}
    whole = fingerprint(tensors, "one", "two")
    assert whole == fingerprint(dict(reversed(tensors.items())), "one", "two")
    for others, texts in (
        ({**tensors, "a": torch.tensor([1.0, 2.0000002])}, ("one", "two")),
        ({"c": tensors["a"], "b": tensors["b"]}, ("one", "two")),
        ({"a": tensors["a"]}, ("one", "two")),
        (tensors, ("one", "tow")),
        (tensors, ("onetwo", "")),
    ):
        assert fingerprint(others, *texts) != whole
    assert fingerprint({"h": torch.ones(2, dtype=torch.bfloat16)}) != fingerprint(
        {"h": torch.zeros(2, dtype=torch.bfloat16)}
    )


def test_leftovers_of_a_killed_process(tmp_path: Path) -> None:
    left = [".a[1].bin.00ff00ff.part", ".a[1].bin.x.part"]
    kept = [".b.bin.00ff00ff.part", "a[1].bin", ".a1.bin.00ff00ff.part"]
    for name in [*left, *kept]:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path, "a[1].bin", "c")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
    remove_leftovers(tmp_path / "none", "a")


def test_the_next_writer_of_a_file_deletes_what_was_left_a_day_ago(tmp_path: Path) -> None:
    old, young = tmp_path / ".file.bin.00ff00ff.part", tmp_path / ".file.bin.11ff11ff.part"
    for part, hours in ((old, 25), (young, 23)):
        part.touch()
        os.utime(part, (time.time() - hours * 3600,) * 2)
    write_atomically(tmp_path / "file.bin", b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [young.name, "file.bin"]


def test_a_file_too_large_to_be_the_right_one(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(200 * 10**9)
    with pytest.raises(ValueError, match=r"sparse has 200,000,000,000 bytes, more than the 1,073,741,824"):
        read_whole(path)
    path.write_bytes(b"small")
    assert read_whole(path) == b"small"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=f"^{re.escape(str(tmp_path))} is a folder; name a file in it$"):
        read_whole(tmp_path)


def test_the_first_tensor_that_is_not_finite() -> None:
    tensors = {"a": torch.ones(3), "b": torch.tensor([1, 2]), "c": torch.zeros(0)}
    assert not_finite(tensors) == ""
    assert not_finite(tensors | {"d": torch.tensor([0.0, -torch.inf]), "e": torch.tensor(torch.nan)}) == "d"
    assert not_finite({"half": torch.tensor([7e4]).half()}) == "half"
