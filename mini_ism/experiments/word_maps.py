"""Where the first layer looks, of models of the words sweep: at which of the lines that share a word with this one."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import tiktoken
import torch
from torch import Tensor

from mini_ism.attention_stats import read_attention
from mini_ism.corpus import Dialogue
from mini_ism.corpus.world import ROOMS
from mini_ism.dialogue import EncodedDialogue, encode_dialogue
from mini_ism.masks import Mask
from mini_ism.model import GPT

WORDS = 4  # tokens of a line: "key", "in", "tin", "."


def links(dialogue: EncodedDialogue, tokenizer: tiktoken.Encoding, verb: str = "in") -> list[tuple[str, str, int]]:
    """The lines that a dialogue tells: their first word, their last, and the position of the first of their tokens.

    Args:
        dialogue: one.
        tokenizer: the one it was encoded with.
        verb: ``"in"`` for links and facts, what is inside and what it is in; ``"means"`` for lines of a code book.
    """
    words = [tokenizer.decode([token]).strip() for token in dialogue.tokens.tolist()]
    return [
        (words[at], words[at + 2], at)
        for at in range(len(words) - WORDS + 1)
        if words[at + 1] == verb and words[at + 3] == "."
    ]


def link_attention(
    model: GPT, tokenizer: tiktoken.Encoding, dialogues: Sequence[Dialogue], mask: str | Mask | None = None
) -> dict[str, float]:
    """How much of its attention a link gives, in the first layer, to the link it hangs together with.

    Args:
        model: of any number of heads and layers.
        tokenizer: the one it was trained with.
        dialogues: of the task ``chains``.
        mask: to read under; default, the model's own.

    Returns:
        ``"onward, ahead"``, ``"onward, behind"``: on all tokens of the link that continues it, where that lies ahead
            of it and where it lies behind; ``"back, ahead"``, ``"back, behind"``: on the link that it continues. Means
            over links, from that of the four tokens and of the heads which gives the most.
    """
    return _attention(model, tokenizer, dialogues, mask, _linked)


def book_attention(
    model: GPT, tokenizer: tiktoken.Encoding, dialogues: Sequence[Dialogue], mask: str | Mask | None = None
) -> dict[str, float]:
    """How much of its attention a line gives, in the first layer, to the one that has a code word in common with it.

    Args:
        model: of any number of heads and layers.
        tokenizer: the one it was trained with.
        dialogues: of the task ``codebook``.
        mask: to read under; default, the model's own.

    Returns:
        ``"fact to thing"``, ``"thing to fact"``: between a fact, "Red in Blue.", and the book's line on its thing, "Red
            means key."; ``"fact to place"``, ``"place to fact"``: and the line on its place, "Blue means box.". Means
            over lines, from that of the four tokens and of the heads which gives the most.
    """
    return _attention(model, tokenizer, dialogues, mask, _coded)


Pairs = Iterator[tuple[str, int, int]]
"""What two lines are to each other, the position of the one that looks, and of the one that is looked at."""


def _linked(dialogue: EncodedDialogue, tokenizer: tiktoken.Encoding) -> Pairs:
    told = links(dialogue, tokenizer)
    starts, ends = {inner: at for inner, _, at in told}, {outer: at for _, outer, at in told}
    for inner, outer, at in told:
        for way, other in (("onward", starts.get(outer)), ("back", ends.get(inner))):
            if other is not None:
                yield f"{way}, {'ahead' if other > at else 'behind'}", at, other


def _coded(dialogue: EncodedDialogue, tokenizer: tiktoken.Encoding) -> Pairs:
    book = {code: at for code, _, at in links(dialogue, tokenizer, "means")}
    for inner, outer, fact in links(dialogue, tokenizer):
        for side, line in (("thing", book.get(inner)), ("place", book.get(outer))):
            if line is not None:
                yield f"fact to {side}", fact, line
                yield f"{side} to fact", line, fact


def _attention(
    model: GPT,
    tokenizer: tiktoken.Encoding,
    dialogues: Sequence[Dialogue],
    mask: str | Mask | None,
    pairs: Callable[[EncodedDialogue, tiktoken.Encoding], Pairs],
) -> dict[str, float]:
    """What one line gives to all of another: means over pairs, from the token and the head which give the most."""
    given: dict[str, list[Tensor]] = defaultdict(list)
    for each in dialogues:
        dialogue = encode_dialogue(each.messages, tokenizer)
        weights = read_attention(model, dialogue, mask).weights[0]  # (H, T, T)
        for name, at, other in pairs(dialogue, tokenizer):
            given[name].append(weights[:, at : at + WORDS, other : other + WORDS].sum(-1))  # (H, 4)
    return {name: round(float(torch.stack(some).mean(0).max()), 4) for name, some in sorted(given.items())}


def guess_among_later(dialogues: Sequence[Dialogue]) -> float:
    """How often a reader who cannot look ahead is right by guessing: among the rooms told after the link in the middle.

    Args:
        dialogues: of the task ``chains``, up to the answer to their first question; those that do not ask for three
            links with the last one ahead are left out.
    """
    shares = []
    for each in dialogues:
        if each.skills[-1] == "3 links, ahead":
            asked = each.messages[1]["content"].split()[-2]  # so key barn
            told = re.findall(r"(\w+) in (\w+)\.", each.messages[0]["content"])
            middle = [inner for inner, _ in told].index(dict(told)[asked])
            shares.append(1 / sum(outer in ROOMS for _, outer in told[middle + 1 :]))
    return math.fsum(shares) / len(shares)
