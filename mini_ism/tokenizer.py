"""Text to tokens and back: byte-level BPE ranks from `data/`, and five special tokens."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

import tiktoken

from mini_ism.files import read_whole, sha256
from mini_ism.paths import data_dir
from mini_ism.strict_json import from_json

SPECIALS = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>")
NAME = "mini-ism"

# GPT-2's split (contractions, words with their leading space, marks, white space), except that digits come one by one,
# so that no number is a token of its own.
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def load_tokenizer(path: str | Path | None = None) -> tiktoken.Encoding:
    """The tokenizer, from `path` or from the package's data.

    Encode user text with `encode(text, allowed_special=set(), disallowed_special=())`: then text that spells a special
    token stays text.

    Args:
        path: a `.tiktoken` file, with its description (`.json`) beside it.

    Raises:
        FileNotFoundError: one of the two files is missing.
        ValueError: one of them is truncated, edited, or not of this tokenizer.
    """
    ranks_path = default_path() if path is None else Path(path)
    content = _read(ranks_path)
    about_path = ranks_path.with_suffix(".json")
    about = _read_about(about_path)
    found = sha256(content)
    if found != about["sha256"]:
        raise ValueError(
            f"{ranks_path} is not the file that {about_path.name} describes: expected sha256 "
            f"{about['sha256']}, found {found}. {_remedy(ranks_path)}"
        )
    # Read here rather than by tiktoken.load, which may serve stale ranks from its cache.
    ranks = _parse_ranks(content, ranks_path)
    if about != (expected := describe(content, len(ranks))):
        raise ValueError(
            f"{about_path} does not fit its ranks: expected {expected}, found {about}. {_remedy(about_path)}"
        )
    return tiktoken.Encoding(
        NAME,
        pat_str=PATTERN,
        mergeable_ranks=ranks,
        special_tokens=about["specials"],
        explicit_n_vocab=about["vocab_size"],
    )


def default_path() -> Path:
    """The package's own rank file."""
    return data_dir() / "tokenizer" / f"{NAME}.tiktoken"


def tokenizer_hash() -> str:
    """The SHA-256 of the package's rank file, by which a checkpoint knows its tokenizer again."""
    return str(_read_about(default_path().with_suffix(".json"))["sha256"])


def describe(ranks: bytes, size: int) -> dict[str, object]:
    """The description that goes beside a rank file of `size` ranks."""
    return {
        "name": NAME,
        "sha256": sha256(ranks),
        "pattern": PATTERN,
        "specials": {special: size + index for index, special in enumerate(SPECIALS)},
        "vocab_size": size + len(SPECIALS),
    }


def _remedy(path: Path) -> str:
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
        raise FileNotFoundError(f"no tokenizer file at {path}. {_remedy(path)}") from None


def _read_about(path: Path) -> dict[str, Any]:
    content = _read(path)
    try:
        about = from_json(content)
    except ValueError as error:
        raise ValueError(f"{path} is not readable JSON ({error}). {_remedy(path)}") from None
    if not isinstance(about, dict) or not isinstance(about.get("sha256"), str):
        raise ValueError(f"{path} does not give its rank file's sha256. {_remedy(path)}")
    return about


def _parse_ranks(content: bytes, path: Path) -> dict[bytes, int]:
    """Lines of `base64(token) rank`, ranks counting up from 0."""
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(content.splitlines()):
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            raise ValueError(
                f"{path}, line {number + 1}: {line[:40]!r} is not `base64 rank`. {_remedy(path)}"
            ) from None
    counting = list(ranks.values()) == list(range(len(ranks)))
    if not counting or any(bytes([byte]) not in ranks for byte in range(256)):
        raise ValueError(f"{path} does not hold ranks 0, 1, 2, ... for all 256 bytes and more. {_remedy(path)}")
    return ranks
