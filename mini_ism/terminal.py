"""Text from elsewhere, made safe to show in a terminal."""

from __future__ import annotations

import unicodedata

STEERING = {"Cc", "Cs", "Zl", "Zp"}
"""Categories of characters that control a terminal, or that it cannot write at all."""
TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Kinds of characters that change the direction of reading, which can make a text look like another one."""


def visible(text: str) -> str:
    r"""A text with the characters that would control a terminal escaped: ``"\x1b[2J"`` is written out, not obeyed.

    Line feeds and tabs stay.
    """
    return "".join(letter.encode("unicode_escape").decode() if _steers(letter) else letter for letter in text)


def _steers(letter: str) -> bool:
    return letter not in "\n\t" and (
        unicodedata.category(letter) in STEERING or unicodedata.bidirectional(letter) in TURNING
    )
