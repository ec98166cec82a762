"""Where the first layer of a model that follows chains looks: at the link that continues the one it reads, or back."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence

import tiktoken
import torch
from torch import Tensor

from mini_ism.attention_stats import read_attention
from mini_ism.corpus import Dialogue
from mini_ism.corpus.world import ROOMS
from mini_ism.dialogue import EncodedDialogue, encode_dialogue
from mini_ism.masks import Mask
from mini_ism.model import GPT

WORDS = 4  # tokens of a link: "key", "in", "tin", "."


def links(dialogue: EncodedDialogue, tokenizer: tiktoken.Encoding) -> list[tuple[str, str, int]]:
    """The links that a dialogue tells: what is inside, what it is in, and the position of the first of its tokens."""
    words = [tokenizer.decode([token]).strip() for token in dialogue.tokens.tolist()]
    return [
        (words[at], words[at + 2], at)
        for at in range(len(words) - WORDS + 1)
        if words[at + 1] == "in" and words[at + 3] == "."
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
    given: dict[str, list[Tensor]] = defaultdict(list)
    for each in dialogues:
        dialogue = encode_dialogue(each.messages, tokenizer)
        weights = read_attention(model, dialogue, mask).weights[0]  # (H, T, T)
        told = links(dialogue, tokenizer)
        starts, ends = {inner: at for inner, _, at in told}, {outer: at for _, outer, at in told}
        for inner, outer, at in told:
            for way, other in (("onward", starts.get(outer)), ("back", ends.get(inner))):
                if other is not None:
                    some = weights[:, at : at + WORDS, other : other + WORDS].sum(-1)  # (H, 4)
                    given[f"{way}, {'ahead' if other > at else 'behind'}"].append(some)
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
