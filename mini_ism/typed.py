"""What somebody types, as a model of this package reads it best."""

from __future__ import annotations

import re
import unicodedata

import tiktoken

PLAIN = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', **{f" {mark}": mark for mark in "?!.,;:"}}
"""What keyboards and habits put into a message, and what dialogues have in its place."""


def typed(text: str, tokenizer: object, what: str = "the message") -> str:
    """A message that was typed, in the spelling that dialogues are written in.

    A small model has read letters in their composed form (NFC), straight quotes, one space between words, none around
    a message and none before a mark such as "?". It stumbles over anything else, so a chat does not pass that on;
    quotes and spaced marks that the tokenizer has learned as a token, such as a French " ?", stay. Other tokenizers
    than this package's get the text as it is: their chat templates decide.

    Args:
        text: as it was typed.
        tokenizer: the chat's.
        what: names the text in errors.

    Raises:
        TypeError: the text is not a string.
        ValueError: it is empty.
    """
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a string, got {text!r}")
    if not text.strip():
        raise ValueError(f"{what} is empty; write something")
    if not isinstance(tokenizer, tiktoken.Encoding):
        return text
    text = re.sub(r"[^\S\n]+", " ", unicodedata.normalize("NFC", text)).strip()

    def plain(found: re.Match[str]) -> str:
        return found[0] if len(tokenizer.encode_ordinary(found[0])) == 1 else PLAIN[found[0]]

    return re.sub("[\u2018\u2019\u201c\u201d]" r"| [?!.,;:](?=\s|$)", plain, text)
