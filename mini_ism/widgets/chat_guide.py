"""What a chat tells newcomers about these models: what they know, and which words."""

from __future__ import annotations

from html import escape
from itertools import islice

import tiktoken

from mini_ism.corpus.topics import ABOUT, hard_words, word_lists
from mini_ism.typed import normalised
from mini_ism.views.svg import FAINT, FONT, INK

CHIP_STYLE = (
    "<style>.mi-chip.jupyter-button{border-radius:14px;width:auto;max-width:100%;height:auto;min-height:28px;"
    "line-height:1.3;padding:4px 12px;white-space:normal;text-align:left}</style>"
)
"""The style of the buttons that send an example; it goes onto the page once."""

SHOWN = 3
"""How many hard words of a message are named."""


def about_html(title: str) -> str:
    """The title, and under it what the models know and what they do not."""
    return (
        f'<div style="{FONT};color:{INK};line-height:1.5;max-width:76ch">'
        f'<div style="font-size:16px;font-weight:700">{escape(title)}</div>'
        f'<div style="font-size:14px;color:{FAINT}">{escape(ABOUT)}</div></div>'
    )


def words_html() -> str:
    """The words that the models were trained with, in a collapsible section."""
    lists = "".join(
        f'<p style="margin:4px 0"><b>{escape(title)}</b> ({len(words)}): {escape(", ".join(words))}</p>'
        for title, words in word_lists().items()
    )
    return (
        f'<details style="{FONT};font-size:13px;line-height:1.5;color:{INK};max-width:90ch">'
        '<summary style="cursor:pointer">Which words do they know?</summary>'
        f'<p style="margin:4px 0">{escape(NAMES)}</p>'
        f'<div tabindex="0" role="group" aria-label="Words" style="max-height:220px;overflow-y:auto">{lists}</div>'
        "</details>"
    )


NAMES = (
    "Any name will do: the models copy it piece by piece, so try yours. Other words work the same way, but these are "
    "the ones they were trained with:"
)


def hard_words_note(text: str, tokenizer: tiktoken.Encoding) -> str:
    """A sentence about the first words of a message that are hard to copy; ``""`` if there are none."""
    found = hard_words(normalised(text, tokenizer), tokenizer)
    hard = [f"“{word}” {why}" for word, why in islice(found.items(), SHOWN)]
    return f"The models may misspell this: {'; '.join(hard)}." if hard else ""


def note_html(note: str) -> str:
    """A note that is not an error, as HTML."""
    style = f"{FONT};font-size:13px;line-height:1.5;color:{FAINT};overflow-wrap:anywhere"
    return f'<div role="note" style="{style}">{escape(note)}</div>' if note else ""
