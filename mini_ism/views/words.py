"""Tokens and positions in words: what labels and status lines say."""

from __future__ import annotations

import re
from collections.abc import Sequence

import tiktoken

from mini_ism.dialogue import EncodedDialogue, show_dialogue
from mini_ism.segments import Segments


def token_labels(encoded: EncodedDialogue, tokenizer: tiktoken.Encoding) -> list[str]:
    """Each token of a dialogue ``[T]`` as a label: no space before it, markers in angle quotes, nothing invisible."""
    texts = (text for text, _, _ in show_dialogue(encoded, tokenizer).pieces)
    return [_label(text) for text in texts]


def _label(text: str) -> str:
    text = re.sub(r"^<\|(\w+)\|>$", r"‹\1›", text.strip(" ")) or "␣"
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def token_roles(segments: Segments) -> list[str]:
    """``"system"``, ``"user"`` or ``"assistant"`` for each position ``[T]``."""
    return [
        "system" if system else "user" if query else "assistant"
        for system, query in zip(segments.system.tolist(), segments.is_query.tolist(), strict=True)
    ]


def ranges(positions: Sequence[int]) -> str:
    """Rising positions as ranges, both ends included: ``[0, 1, 2, 5]`` -> ``"0..2, 5"``; none -> ``"nothing"``."""
    parts: list[list[int]] = []
    for position in positions:
        if parts and position == parts[-1][1] + 1:
            parts[-1][1] = position
        else:
            parts.append([position, position])
    texts = (str(first) if first == last else f"{first}..{last}" for first, last in parts)
    return ", ".join(texts) or "nothing"


def describe_row(label: str, row: int, seen: Sequence[bool]) -> str:
    """What one position may look at: ``Bob (7) sees 0..12 (13 of 20)``."""
    positions = [position for position, sees in enumerate(seen) if sees]
    return f"{label} ({row}) sees {ranges(positions)} ({len(positions)} of {len(seen)})"
