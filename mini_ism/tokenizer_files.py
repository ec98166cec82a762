"""A tokenizer's two files: its ranks (``.tiktoken``) and their description (``.json``)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mini_ism.files import read_whole, sha256, write_atomically
from mini_ism.paths import data_dir
from mini_ism.strict_json import from_json, to_json

SPECIALS = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>")
NAME = "mini-ism"

# GPT-2's split (contractions, words with their leading space, punctuation, whitespace), except that digits are split
# one by one, so that no longer number is a single token.
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def default_path() -> Path:
    """The package's own rank file."""
    return data_dir() / "tokenizer" / f"{NAME}.tiktoken"


def to_ranks(tokens: Sequence[bytes]) -> bytes:
    """The content of a rank file: a line ``base64(token) rank`` for each token."""
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens))


def describe(ranks: bytes) -> dict[str, object]:
    """The description that goes with a rank file of this content."""
    size = len(ranks.splitlines())
    return {
        "name": NAME,
        "sha256": sha256(ranks),
        "pattern": PATTERN,
        "specials": {special: size + index for index, special in enumerate(SPECIALS)},
        "vocab_size": size + len(SPECIALS),
    }


def json_file(about: object) -> bytes:
    """The content of a file that describes others: a tokenizer's description, or a manifest."""
    return (to_json(about, indent=2) + "\n").encode("utf-8")


def write_tokenizer(path: Path, ranks: bytes) -> list[Path]:
    """Write a rank file and its description.

    Args:
        path: of the rank file; it ends in ``.tiktoken``.
        ranks: its content.

    Returns:
        Both files.

    Raises:
        ValueError: the file does not end in ``.tiktoken``.
        OSError: see :func:`~mini_ism.files.write_atomically`.
    """
    check_name(path)
    write_atomically(path, ranks)
    write_atomically(path.with_suffix(".json"), json_file(describe(ranks)))
    return [path, path.with_suffix(".json")]


def check_name(path: Path) -> None:
    """Refuse a rank file that does not end in ``.tiktoken``: its description might get the same name.

    Raises:
        ValueError: it does not.
    """
    if path.suffix != ".tiktoken":
        raise ValueError(f"a tokenizer's file ends in .tiktoken, but {path} does not; write {path}.tiktoken")


def read_ranks(path: Path) -> bytes:
    """The content of a rank file, checked against its description.

    Raises:
        FileNotFoundError: one of the two files is missing.
        ValueError: one of them is truncated, edited, or not of this package's kind.
    """
    if path.suffix != ".tiktoken" and not path.is_dir():
        raise ValueError(
            f"{path} is not a tokenizer's file, which ends in .tiktoken; name one that `python -m mini_ism tokenizer "
            "train` wrote"
        )
    content = _read(path)
    about_path = path.with_suffix(".json")
    about = _read_about(about_path)
    found = sha256(content)
    if found != about["sha256"]:
        raise ValueError(
            f"{path} is not the file that {about_path.name} describes: expected sha256 "
            f"{about['sha256']}, found {found}. {remedy(path)}"
        )
    if about != (expected := describe(content)):
        raise ValueError(
            f"{about_path} does not fit its ranks: expected {expected}, found {about}. {remedy(about_path)}"
        )
    return content


def parse_ranks(content: bytes, where: str, remedy: str) -> dict[bytes, int]:
    """A rank file's content by token: lines of ``base64(token) rank``, ranks counting up from 0.

    Args:
        content: of the file.
        where: the file, for the errors.
        remedy: what to do about it.

    Raises:
        ValueError: the content is not of that form; the message names the line.
    """
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(content.splitlines()):
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            raise ValueError(f"{where}, line {number + 1}: {line[:40]!r} is not `base64 rank`. {remedy}") from None
    counting = list(ranks.values()) == list(range(len(ranks)))
    if not counting or any(bytes([byte]) not in ranks for byte in range(256)):
        raise ValueError(f"{where} does not hold ranks 0, 1, 2, ... for all 256 bytes and more. {remedy}")
    return ranks


def remedy(path: Path) -> str:
    """What to do about a tokenizer file that is missing or damaged."""
    if path.parent != default_path().parent:
        return f"Copy {path.name} again, or train it again with `python -m mini_ism tokenizer train`."
    return (
        f"Restore {path.name} (`git checkout -- data/tokenizer` in a checkout, or reinstall the "
        "package), or rebuild it with `python -m mini_ism corpus build`."
    )


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise ValueError(f"{path} is a directory; name its .tiktoken file")
    try:
        return read_whole(path)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"no tokenizer file at {path}. {remedy(path)}") from None


def _read_about(path: Path) -> dict[str, Any]:
    content = _read(path)
    try:
        about = from_json(content)
    except ValueError as error:
        raise ValueError(f"{path} is not readable JSON ({error}). {remedy(path)}") from None
    if not isinstance(about, dict) or not isinstance(about.get("sha256"), str):
        raise ValueError(f"{path} does not give its rank file's sha256. {remedy(path)}")
    return about
