"""What people type, in the spelling that the models of this package have read."""

from __future__ import annotations

import re
import unicodedata

import tiktoken

PLAIN = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', **{f" {mark}": mark for mark in "?!.,;:"}}
"""What keyboards and habits put into a message, and what dialogues have in its place."""

ODD = re.compile(r"[^ -~]|  | [?!.,;:]|^ | $")
"""What a text without any of this need not be looked at for: other signs than ASCII's, and spaces out of place."""


def normalised(text: str, tokenizer: tiktoken.Encoding) -> str:
    """What somebody typed, as it is tokenised: questions and system prompts are, in training and in chats; answers not.

    A small model stumbles over any spelling that it has never read, so whatever means the same becomes the same:
    composed letters (NFC), one space between words, none around a message or before a mark such as "?", straight
    quotes, and small letters for a message that is all in capitals. What the tokenizer has learned as tokens of its
    own, as one for French may have " ?", stays as it is.
    """
    if not ODD.search(text) and not text.isupper():  # as nearly all text is
        return text
    text = re.sub(r"[^\S\n]+", " ", unicodedata.normalize("NFC", text)).strip()

    def plain(found: re.Match[str]) -> str:
        return found[0] if len(tokenizer.encode_ordinary(found[0])) == 1 else PLAIN[found[0]]

    text = re.sub("[\u2018\u2019\u201c\u201d]" r"| [?!.,;:](?=\s|$)", plain, text)
    if text.isupper() and len(tokenizer.encode_ordinary(small := text.lower())) < len(tokenizer.encode_ordinary(text)):
        return small
    return text


def check_typed(text: object, what: str = "the message") -> None:
    """Refuse what is no text, or says nothing.

    Raises:
        TypeError: it is not a string.
        ValueError: it is empty.
    """
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a string, got {text!r}")
    if not text.strip():
        raise ValueError(f"{what} is empty; write something")
