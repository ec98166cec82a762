"""Trains the tokenizer's ranks on the corpus (needs the `dev` extra; using them does not)."""

from __future__ import annotations

import base64
from itertools import islice

from mini_ism.corpus.dialogues import generate
from mini_ism.tokenizer import PATTERN, SPECIALS

VOCAB_SIZE = 704  # a multiple of 64, special tokens included
SEED = 0
DIALOGUES = 4000


def train_ranks() -> bytes:
    """The content of the `.tiktoken` file: a line `base64(token) rank` for each rank.

    Trained without coined words: merges spent on their syllables would be missing for the words that the corpus does
    use again and again.

    Raises:
        ModuleNotFoundError: rustbpe is not installed.
    """
    try:
        import rustbpe
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "training the tokenizer needs rustbpe: pip install rustbpe (or mini-ism's `dev` extra)"
        ) from None
    dialogues = islice(generate(SEED, "train", coined=0.0, version=1), DIALOGUES)
    texts = [f" {message['content']}" for dialogue in dialogues for message in dialogue.messages]
    trainer = rustbpe.Tokenizer()
    trainer.train_from_iterator(iter(texts), VOCAB_SIZE - len(SPECIALS), pattern=PATTERN)
    ranks = sorted((rank, bytes(token)) for token, rank in trainer.get_mergeable_ranks())
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in ranks)
