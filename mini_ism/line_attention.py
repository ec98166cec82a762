"""How much of its attention one line of a dialogue gives to another: "key in tin." to "tin in cart.", for example."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import tiktoken
import torch
from torch import Tensor

from mini_ism.attention_stats import read_attention
from mini_ism.corpus import Dialogue
from mini_ism.dialogue import EncodedDialogue, encode_dialogue
from mini_ism.mask import Mask
from mini_ism.model import GPT

LINE = 4  # tokens of a line: "key", "in", "tin", "."

Pairs = Iterator[tuple[str, int, int]]
"""How two lines are related, the first position of the one that attends, and of the one attended to."""


def links(dialogue: EncodedDialogue, tokenizer: tiktoken.Encoding, verb: str = "in") -> list[tuple[str, str, int]]:
    """The lines of a dialogue: their first word, their last word, and the position of their first token.

    Args:
        dialogue: of chains or a code book.
        tokenizer: the one it was encoded with.
        verb: ``"in"`` for links and facts: what is inside, and what it is in; ``"means"`` for lines of a code book.
    """
    words = [tokenizer.decode([token]).strip() for token in dialogue.tokens.tolist()]
    return [
        (words[at], words[at + 2], at)
        for at in range(len(words) - LINE + 1)
        if words[at + 1] == verb and words[at + 3] == "."
    ]


def link_attention(
    model: GPT, tokenizer: tiktoken.Encoding, dialogues: Sequence[Dialogue], mask: str | Mask | None = None
) -> dict[str, float]:
    """How much of its attention a link of a chain gives, in the first layer, to the links next to it in the chain.

    Args:
        model: of any number of heads and layers.
        tokenizer: the one it was trained with.
        dialogues: of chains.
        mask: to read under; default, the model's own.

    Returns:
        ``"onward, ahead"``, ``"onward, behind"``: on all tokens of the link that continues it, where that lies ahead of
        it and where it lies behind; ``"back, ahead"``, ``"back, behind"``: on the link that it continues. Means over
        links, for the head and the one of the four tokens that give the most.
    """
    return line_attention(model, tokenizer, dialogues, mask, _neighbours)


def _neighbours(dialogue: EncodedDialogue, tokenizer: tiktoken.Encoding) -> Pairs:
    lines = links(dialogue, tokenizer)
    starts, ends = {inner: at for inner, _, at in lines}, {outer: at for _, outer, at in lines}
    for inner, outer, at in lines:
        for way, other in (("onward", starts.get(outer)), ("back", ends.get(inner))):
            if other is not None:
                yield f"{way}, {'ahead' if other > at else 'behind'}", at, other


def line_attention(
    model: GPT,
    tokenizer: tiktoken.Encoding,
    dialogues: Sequence[Dialogue],
    mask: str | Mask | None,
    pairs: Callable[[EncodedDialogue, tiktoken.Encoding], Pairs],
) -> dict[str, float]:
    """How much attention one line gives, in the first layer, to all tokens of another, by how the two are related.

    Args:
        model: of any number of heads and layers.
        tokenizer: the one it was trained with.
        dialogues: any.
        mask: to read under; ``None`` for the model's own.
        pairs: which lines of a dialogue are compared.

    Returns:
        Means over pairs, for the head and the one of the four tokens that give the most.
    """
    given: dict[str, list[Tensor]] = defaultdict(list)
    for each in dialogues:
        dialogue = encode_dialogue(each.messages, tokenizer)
        weights = read_attention(model, dialogue, mask).weights[0]  # (H, T, T)
        for name, at, other in pairs(dialogue, tokenizer):
            given[name].append(weights[:, at : at + LINE, other : other + LINE].sum(-1))  # (H, 4)
    return {name: round(float(torch.stack(shares).mean(0).max()), 4) for name, shares in sorted(given.items())}
