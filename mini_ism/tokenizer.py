"""Text to tokens and back: byte-level BPE ranks from a file, and five special tokens."""

from __future__ import annotations

from pathlib import Path

import tiktoken

from mini_ism.files import sha256
from mini_ism.tokenizer_files import (
    NAME,
    PATTERN,
    SPECIALS,
    default_path,
    parse_ranks,
    read_ranks,
    remedy,
    to_ranks,
)


def load_tokenizer(path: str | Path | None = None) -> tiktoken.Encoding:
    """The tokenizer, from `path` or from the package's data.

    Encode user text with `encode(text, allowed_special=set(), disallowed_special=())`: then text that spells a special
    token stays text.

    Args:
        path: a `.tiktoken` file, with its description (`.json`) next to it.

    Raises:
        FileNotFoundError: one of the two files is missing.
        ValueError: one of them is truncated, edited, or not of this tokenizer.
    """
    file = default_path() if path is None else Path(path)
    # Read here rather than by tiktoken.load, which may serve stale ranks from its cache.
    return build_tokenizer(read_ranks(file), str(file), remedy(file))


def build_tokenizer(ranks: bytes, where: str, remedy: str = "Train it again.") -> tiktoken.Encoding:
    """The tokenizer that a rank file's content defines; `where` and `remedy` are for the errors.

    Raises:
        ValueError: it is not a rank file's content.
    """
    parsed = parse_ranks(ranks, where, remedy)
    specials = {special: len(parsed) + index for index, special in enumerate(SPECIALS)}
    return tiktoken.Encoding(NAME, pat_str=PATTERN, mergeable_ranks=parsed, special_tokens=specials)


def tokenizer_ranks(tokenizer: tiktoken.Encoding) -> bytes:
    """The content of the rank file that defines a tokenizer.

    Raises:
        ValueError: no rank file of this package defines it: it splits text differently, or has other special tokens.
    """
    count = tokenizer.n_vocab - len(SPECIALS)
    specials = {special: count + index for index, special in enumerate(SPECIALS)}
    if tokenizer._pat_str != PATTERN or tokenizer._special_tokens != specials:
        raise ValueError(
            f"{tokenizer} is not a tokenizer of this package; make one with `python -m mini_ism tokenizer train`"
        )
    return to_ranks([tokenizer.decode_single_token_bytes(token) for token in range(count)])


def tokenizer_hash(tokenizer: tiktoken.Encoding | None = None) -> str:
    """The SHA-256 of a tokenizer's rank file, by default the package's: a checkpoint identifies its tokenizer by it."""
    return sha256(read_ranks(default_path()) if tokenizer is None else tokenizer_ranks(tokenizer))
