"""An exercise of the sixth notebook: what the hash of a block must cover in a prefix cache that conversations share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mini_ism.config import GPTConfig
from mini_ism.dialogue import EncodedDialogue, encode_dialogue
from mini_ism.exercises.cache import RULES, Rows, reader_across
from mini_ism.exercises.core import Verdict, exercise, right, wrong
from mini_ism.exercises.dialogues import marked
from mini_ism.exercises.judging import Place, difference, places, sample_dialogues
from mini_ism.model import GPT
from mini_ism.paged import PagedCache, token_hashes
from mini_ism.tokenizer import load_tokenizer

FACTS = "The key is in the box. The box is in the bag."
ASKED = ("Who is next?", "Where is the box?")


@exercise("block-reach", difficulty=2)
def block_reach(answer: Callable[[Tensor, int], Any]) -> Verdict:
    """From a dense mask and a block size, say for each full block how many of the first tokens its hash must cover."""
    for encoded in sample_dialogues(5):
        for rule in RULES:
            dense = rule.dense(encoded.segments)
            for size in (2, 3, 5):
                rows: Rows = dense.tolist()
                target = [_reach(rows, end) for end in range(size, len(rows) + 1, size)]
                found = answer(dense.clone(), size)
                message = difference(found, target, f"under {rule.name}, in blocks of {size}, the count", atol=0)
                if message is not None:
                    return _wrong(message, found, target, rows, size, encoded)
    return right(f"and it matters. {_seen_corrupted()}")


def _reach(rows: Rows, end: int) -> int:
    """How many of the first tokens the positions before ``end`` have read, directly or through others."""
    while (across := reader_across(rows, end)) is not None:
        end = across[1] + 1
    return end


def _wrong(message: str, found: Any, target: Sequence[int], rows: Rows, size: int, encoded: EncodedDialogue) -> Verdict:
    """The message with its reason, and pictures of what the first wrong hash covers."""
    counts = torch.as_tensor(found).tolist() if isinstance(found, list | tuple | Tensor) else []
    if len(counts) != len(target) or not all(type(count) is int for count in counts):
        return wrong(f"{message} Give one whole number for each full block.")
    block = next(n for n, (count, wanted) in enumerate(zip(counts, target, strict=True)) if count != wanted)
    count, wanted = counts[block], target[block]
    pictures = {
        name: marked(encoded, [position < covered for position in range(len(rows))], name)
        for name, covered in (("yours", count), ("target", wanted))
    }
    first, last = block * size, (block + 1) * size - 1
    why = _why(rows, last + 1, count, wanted, places(encoded))
    return wrong(
        f"{message} Block {block} holds positions {first} to {last}. {why}",
        **pictures,
    )


def _why(rows: Rows, end: int, count: int, wanted: int, tokens: Sequence[Place]) -> str:
    if count < end:
        return "A hash covers its own block's tokens at least, and all before them."
    if count > wanted:
        return f"All that it has read lies in the first {wanted} tokens; a hash of more misses blocks that are right."
    across = reader_across(rows, count)
    assert across is not None
    i, j = across
    through = "" if i < end else " (it is read through others)"
    return f"{tokens[i]}{through} sees {tokens[j]}, and with another token there the block has other keys."


@torch.inference_mode()
def _seen_corrupted() -> str:
    """How a small ISM model's logits change when hashes cover only a block's tokens and those before it."""
    tokenizer = load_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GPT(GPTConfig(tokenizer.n_vocab, layers=2, heads=2, width=16, mask="ism")).eval()
    cache, alone = PagedCache(model, block_size=4, hashes=token_hashes), PagedCache(model, block_size=4)
    for question in ASKED:
        encoded = encode_dialogue([{"role": "user", "content": f"{FACTS} {question}"}], tokenizer)
        talk = cache.open()
        scores = talk.read(encoded.tokens, encoded.segments)[-1]
    off = (scores - alone.open().read(encoded.tokens, encoded.segments)[-1]).abs().max()
    return (
        f"Two questions begin with the same facts. With hashes of the tokens alone, an ISM model takes "
        f"{talk.reads[-1][0]} positions of the second from the first, its scores are off by {float(off):.2f}, and "
        "nothing says so."
    )
