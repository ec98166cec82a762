"""A dialogue's tokens as pictures label them, and a view of its text in the colours of its roles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from mini_ism.checks import check_kind
from mini_ism.dialogue import EncodedDialogue
from mini_ism.interfaces import TextDecoder
from mini_ism.segments import PADDING, Segments
from mini_ism.terminal import visible
from mini_ism.views.styles import ANSI, EITHER

HALF = "\ufffd"
"""What a tokenizer writes for bytes that are no whole letter."""


@dataclass(frozen=True)
class TokenizedDialogue:
    """The labels along the sides of a picture of a dialogue; :func:`tokenized` makes them from an encoded dialogue.

    Args:
        labels: what to call each position, ``[T]``.
        roles: ``"system"``, ``"user"``, ``"assistant"`` or ``"padding"``, ``[T]``.
        ids: the segment of each position, ``[T]``; pictures draw a line where it changes.

    Raises:
        ValueError: the lengths differ, or a role is not one of these four.
    """

    labels: Sequence[str]
    roles: Sequence[str]
    ids: Sequence[int]

    def __post_init__(self) -> None:
        if not len(self.labels) == len(self.roles) == len(self.ids):
            raise ValueError(
                "a dialogue needs a label, a role and a segment id for each position, got "
                f"{len(self.labels)} labels, {len(self.roles)} roles and {len(self.ids)} ids"
            )
        unknown = sorted(set(self.roles) - ANSI.keys())
        if unknown:
            raise ValueError(f"unknown role {unknown[0]!r}; roles are {', '.join(ANSI)}")

    def __len__(self) -> int:
        """T, the number of positions."""
        return len(self.labels)

    def name(self, position: int) -> str:
        """A token's name in a sentence: ``Ada (4)``."""
        return f"{self.labels[position]} ({position})"


def tokenized(encoded: EncodedDialogue, tokenizer: TextDecoder) -> TokenizedDialogue:
    """One encoded dialogue, ``[T]`` or a batch ``[1, T]`` of one row, in the form that pictures take.

    Labels have no leading space, markers are in angle quotes, and invisible characters are made visible.
    Where several dialogues share a row, segment ids are unique across them.

    Raises:
        ValueError: it is a batch of several rows.
    """
    shape = tuple(encoded.tokens.shape)
    if shape[:-1] not in ((), (1,)):
        raise ValueError(f"a picture needs one dialogue [T], got tokens of shape {shape}; take one row of the batch")
    s = encoded.segments if len(shape) == 1 else encoded.segments.row(0)
    ids = s.id if s.document is None else s.id + (int(s.id.max()) + 1) * s.document
    labels = [token_label(text) for text in _texts(encoded, tokenizer)]
    return TokenizedDialogue(labels, token_roles(s), ids.tolist())


def token_roles(segments: Segments) -> list[str]:
    """``"system"``, ``"user"`` or ``"assistant"`` for each position ``[T]``; ``"padding"`` where there is none."""
    nobody = segments.id == PADDING
    if segments.document is not None:
        nobody = nobody | (segments.document == PADDING)
    flags = (field.tolist() for field in (nobody, segments.system, segments.is_query))
    return [
        "padding" if padding else "system" if system else "user" if query else "assistant"
        for padding, system, query in zip(*flags, strict=True)
    ]


def _texts(encoded: EncodedDialogue, tokenizer: TextDecoder) -> list[str]:
    return [tokenizer.decode([token]) for token in encoded.tokens.flatten().tolist()]


def _whole_letters(encoded: EncodedDialogue, tokenizer: TextDecoder) -> list[str]:
    """The tokens' texts, ``[T]``, which join to the dialogue's: a letter of several tokens stands at their first."""
    tokens, texts = encoded.tokens.flatten().tolist(), _texts(encoded, tokenizer)
    for start in range(len(tokens)):
        if HALF not in texts[start]:
            continue
        for stop in range(start + 2, start + 5):  # UTF-8 has at most four bytes a letter
            if HALF not in (text := tokenizer.decode(tokens[start:stop])):
                texts[start:stop] = [text, *[""] * (len(tokens[start:stop]) - 1)]
                break
    return texts


def token_label(text: str) -> str:
    """A token's label: without its leading space, markers in angle quotes, invisible characters made visible."""
    text = re.sub(r"^<\|(\w+)\|>$", r"‹\1›", text.strip(" ")) or "␣"
    return "".join(letter if letter.isprintable() else "↵" if letter == "\n" else "�" for letter in text)


# -- the whole dialogue ----------------------------------------------------------------------------


@dataclass(frozen=True)
class DialogueView:
    """A dialogue's tokens in the colours of their roles: text in a terminal, HTML in a notebook; targets underlined.

    Control characters in the text never reach the terminal; they are shown as escapes.

    Args:
        pieces: (text, role, is a target) of each token.
    """

    pieces: tuple[tuple[str, str, bool], ...]

    def __str__(self) -> str:
        return "".join(
            f"\x1b[{'4;' if target else ''}{ANSI[role]}m{visible(text)}\x1b[0m" for text, role, target in self.pieces
        )

    def __repr__(self) -> str:
        return visible("".join(text for text, _, _ in self.pieces))

    def _repr_html_(self) -> str:
        # Plain colours, not CSS variables: JupyterLab strips those from untrusted outputs.
        spans = (
            f'<span title="{role}" style="border-bottom:{2 if target else 0}px solid {EITHER[role]};'
            f'background:{EITHER[role]}40;padding:1px 2px;margin-right:1px;border-radius:2px">{escape(text)}</span>'
            for text, role, target in self.pieces
        )
        return f'<div style="font-family:monospace;line-height:1.9">{"".join(spans)}</div>'


def show_dialogue(encoded: EncodedDialogue, tokenizer: TextDecoder) -> DialogueView:
    """A coloured view of one encoded dialogue ``[T]``: a colour for each role, targets underlined, padding grey."""
    check_kind("encoded", encoded, EncodedDialogue, "make it of messages by encode_dialogue(messages, tokenizer)")
    texts, roles = _whole_letters(encoded, tokenizer), token_roles(encoded.segments)
    return DialogueView(tuple(zip(texts, roles, encoded.loss_mask.tolist(), strict=True)))
