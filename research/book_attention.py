"""How much of its attention a coded fact gives to the lines of the code book, and they to it."""

from __future__ import annotations

from collections.abc import Sequence

import tiktoken

from mini_ism.corpus import Dialogue
from mini_ism.dialogue import EncodedDialogue
from mini_ism.line_attention import Pairs, line_attention, links
from mini_ism.mask import Mask
from mini_ism.model import GPT


def book_attention(
    model: GPT, tokenizer: tiktoken.Encoding, dialogues: Sequence[Dialogue], mask: str | Mask | None = None
) -> dict[str, float]:
    """How much of its attention a line gives, in the first layer, to the line that shares a code word with it.

    Args:
        model: of any number of heads and layers.
        tokenizer: the one it was trained with.
        dialogues: of a task ``codebook``.
        mask: to read under; default, the model's own.

    Returns:
        ``"fact to thing"``, ``"thing to fact"``: between a fact, "Red in Blue.", and the book's line on its thing, "Red
            means key."; ``"fact to place"``, ``"place to fact"``: and the line on its place, "Blue means box.". Means
            over lines, each taken from whichever of its four tokens and of the heads gives the most.
    """
    return line_attention(model, tokenizer, dialogues, mask, _coded)


def _coded(dialogue: EncodedDialogue, tokenizer: tiktoken.Encoding) -> Pairs:
    book = {code: at for code, _, at in links(dialogue, tokenizer, "means")}
    for inner, outer, fact in links(dialogue, tokenizer):
        for side, line in (("thing", book.get(inner)), ("place", book.get(outer))):
            if line is not None:
                yield f"fact to {side}", fact, line
                yield f"{side} to fact", line, fact
