"""Text to tokens and back: byte-level BPE ranks from `data/`, and five special tokens."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from pathlib import Path
from typing import Any

import tiktoken

from .paths import data_dir

SPECIALS = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>")
NAME = "mini-ism"

# GPT-2's split (contractions, words with their leading space, marks, white space), except that
# digits come one by one, so that no number is a token of its own.
PATTERN = (
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)


def load_tokenizer(path: str | Path | None = None) -> tiktoken.Encoding:
    """The tokenizer, from `path` or from the package's data.

    Encode user text with `encode(text, allowed_special=set(), disallowed_special=())`: then text
    that spells a special token stays text.

    Args:
        path: a `.tiktoken` file, with its description (`.json`) beside it.

    Raises:
        FileNotFoundError: one of the two files is missing.
        ValueError: one of them is truncated, edited, or not of this tokenizer.
    """
    ranks_path = Path(path) if path is not None else data_dir() / "tokenizer" / f"{NAME}.tiktoken"
    about_path = ranks_path.with_suffix(".json")
    content = _read(ranks_path)
    about = _read_about(about_path)
    found = hashlib.sha256(content).hexdigest()
    if found != about["sha256"]:
        raise ValueError(
            f"{ranks_path} is not the file that {about_path.name} describes: expected sha256 "
            f"{about['sha256']}, found {found}. {_remedy(ranks_path)}"
        )
    # Read here rather than by tiktoken.load, which may serve stale ranks from its cache.
    ranks = _parse_ranks(content, ranks_path)
    if about["vocab_size"] != len(ranks) + len(about["specials"]):
        raise ValueError(
            f"{about_path} says {about['vocab_size']} tokens, but there are {len(ranks)} ranks and "
            f"{len(about['specials'])} specials. {_remedy(about_path)}"
        )
    return tiktoken.Encoding(
        NAME,
        pat_str=about["pattern"],
        mergeable_ranks=ranks,
        special_tokens=about["specials"],
        explicit_n_vocab=about["vocab_size"],
    )


def describe(ranks: bytes, size: int) -> dict[str, Any]:
    """The description that goes beside a rank file of `size` ranks."""
    return {
        "name": NAME,
        "sha256": hashlib.sha256(ranks).hexdigest(),
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
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"no tokenizer file at {path}. {_remedy(path)}") from None
    except IsADirectoryError:
        raise ValueError(f"{path} is a directory; name its .tiktoken file") from None


def _read_about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(_read(path).decode("utf-8"))
    except ValueError as error:  # not UTF-8, or not JSON
        raise ValueError(f"{path} is not readable JSON ({error}). {_remedy(path)}") from None
    kinds = {"sha256": str, "pattern": str, "specials": dict, "vocab_size": int}
    for key, kind in kinds.items():
        if not isinstance(about, dict) or not isinstance(about.get(key), kind):
            raise ValueError(f"{path} has no {key!r} of type {kind.__name__}. {_remedy(path)}")
    if tuple(about["specials"]) != SPECIALS:
        raise ValueError(
            f"{path} has the special tokens {list(about['specials'])}, expected {list(SPECIALS)}. "
            f"{_remedy(path)}"
        )
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
    if list(ranks.values()) != list(range(len(ranks))) or len(ranks) < 256:
        raise ValueError(
            f"{path} does not hold ranks 0, 1, 2, ... for at least the 256 bytes. {_remedy(path)}"
        )
    return ranks
