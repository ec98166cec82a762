"""Trains the package's tokenizer on the corpus."""

from __future__ import annotations

from itertools import islice

from mini_ism.bpe import train_bpe
from mini_ism.corpus.dialogues import generate
from mini_ism.tokenizer_files import PATTERN, SPECIALS, to_ranks

VOCAB_SIZE = 704  # a multiple of 64, special tokens included
SEED = 0
DIALOGUES = 4000


def train_ranks() -> bytes:
    """The content of the `.tiktoken` file.

    Trained without coined words: merges spent on their syllables would be missing for the words that the corpus
    repeats.
    """
    dialogues = islice(generate(SEED, "train", coined=0.0, version=1), DIALOGUES)
    texts = (f" {message['content']}" for dialogue in dialogues for message in dialogue.messages)
    return to_ranks(train_bpe(texts, VOCAB_SIZE - len(SPECIALS), PATTERN))
