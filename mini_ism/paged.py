"""A prefix cache shared between conversations, block by block, as in serving engines; correct under any mask.

An engine cuts keys and values into blocks of a few tokens and looks a block up by its hash. vLLM hashes a block's
tokens, chained to all tokens before them, which is exact as long as no token sees a later one. Under ISM the first half
of a question has seen the second half, and under a prefix mask it has seen all that was asked. So the hash of a block
covers whatever the rule let its positions see, directly or through others: up to the next place where the dialogue may
be cut (:func:`~mini_ism.reuse.borders`). For a causal rule that is the block's own end, which gives vLLM's hash.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

import numpy as np
import tiktoken
import torch
from torch import Tensor

from mini_ism.cache import KVCache
from mini_ism.checks import check_kind, whole_number
from mini_ism.decoding import check_room, with_answer
from mini_ism.dialogue import ASSISTANT, END, EncodedDialogue
from mini_ism.interrupts import uninterrupted
from mini_ism.markers import marker_id
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.model import GPT
from mini_ism.reuse import borders
from mini_ism.sampling import Sampler
from mini_ism.segments import Segments, check_segments

BlockHash = tuple[int, bytes]
"""A block's number in its dialogue, and the digest of all that its keys and values depend on."""
Hashes = Callable[[Tensor, Tensor, int], list[BlockHash]]
"""From a mask ``[T, T]``, tokens ``[T]`` and the size of a block to the hash of each full block."""


def block_hashes(dense: Tensor, tokens: Tensor, size: int) -> list[BlockHash]:
    """The hash of each full block of a dialogue: equal hashes mean equal keys and values, under any rule.

    A block's positions have seen nothing past the first border at or after its end. So the digest covers all tokens up
    to there, and their rows of the mask, the only way in which segments affect keys and values.

    Args:
        dense: BoolTensor ``[T, T]``, the dialogue's mask.
        tokens: LongTensor ``[T]``.
        size: tokens per block.

    Returns:
        ``T // size`` hashes.
    """
    digest, found, start = sha256(), list[BlockHash](), 0
    for stop in borders(dense).nonzero().flatten().tolist()[1:]:
        digest.update(stop.to_bytes(8, "little"))
        digest.update(tokens[start:stop].numpy().tobytes())
        digest.update(np.packbits(dense[start:stop, :stop].numpy()).tobytes())
        found += [(number, digest.digest()) for number in range(len(found), stop // size)]
        start = stop
    return found


def token_hashes(dense: Tensor, tokens: Tensor, size: int) -> list[BlockHash]:
    """What engines compute for causal models: a chain over token ids, up to each block's own end. The mask is ignored.

    It shows what goes wrong: two questions that begin with the same words share blocks that ISM computed differently.
    """
    digest, found = sha256(), list[BlockHash]()
    for number in range(len(tokens) // size):
        digest.update(tokens[number * size : (number + 1) * size].numpy().tobytes())
        found.append((number, digest.digest()))
    return found


class PagedCache:
    """Keys and values in blocks, found by hash, with a count of holders; the least recently held are evicted first.

    It serves any number of conversations with one model, under one rule or several: the hashes tell them apart.

    Args:
        model: whose keys and values these are. If its weights change, all blocks are forgotten.
        block_size: tokens per block.
        blocks: how many blocks there is memory for.
        hashes: how blocks are told apart; for experiments.

    Attributes:
        evictions: how many blocks have been evicted so far to make room for others.

    Raises:
        TypeError: the model, a size or ``hashes`` is of another kind.
        ValueError: a size is not positive.
    """

    def __init__(self, model: GPT, *, block_size: int = 16, blocks: int = 64, hashes: Hashes = block_hashes) -> None:
        check_kind("model", model, GPT, 'model, tokenizer = load_model("ism") gives one')
        if not callable(hashes):
            raise TypeError(f"hashes must be a function such as block_hashes, got {hashes!r:.60}")
        self.block_size = whole_number("block_size", block_size, 1)
        c, count = model.config, whole_number("blocks", blocks, 1)
        shape = (c.layers, count, c.heads, self.block_size, c.head_dim)
        weight = model.embed.weight
        self.model, self.hashes, self.evictions = model.eval(), hashes, 0
        self._keys, self._values = (torch.zeros(shape, device=model.device, dtype=weight.dtype) for _ in range(2))
        self._hash_of: list[BlockHash | None] = [None] * count
        self._by_hash: dict[BlockHash, int] = {}
        self._holders = [0] * count
        # blocks without a holder, the least recently held first
        self._idle: OrderedDict[int, None] = OrderedDict.fromkeys(range(count))
        self._weights = model.version()

    @property
    def held(self) -> int:
        """How many blocks some conversation holds; they are never evicted."""
        return sum(holders > 0 for holders in self._holders)

    @property
    def nbytes(self) -> int:
        """Bytes of all blocks, used or not."""
        return 2 * self._keys.numel() * self._keys.element_size()

    def open(self, mask: str | Mask | None = None) -> PagedConversation:
        """A conversation over this cache; ``mask`` is its rule, default the one the model was trained with."""
        return PagedConversation(self, get_mask(self.model.config.mask if mask is None else mask))

    # -- what conversations ask for ----------------------------------------------------------------

    def find(self, hashes: Iterable[BlockHash]) -> list[int]:
        """The blocks of a dialogue that are cached, from its first on, up to one that is not."""
        if (weights := self.model.version()) != self._weights:
            self._by_hash.clear()
            self._hash_of = [None] * len(self._hash_of)
            self._weights = weights  # last: if interrupted before, the next call forgets all blocks again
        found: list[int] = []
        for each in hashes:
            if each not in self._by_hash:
                break
            found.append(self._by_hash[each])
        return found

    def hold(self, blocks: Iterable[int]) -> None:
        """Count one more holder for each of some blocks."""
        for block in blocks:
            self._holders[block] += 1
            self._idle.pop(block, None)

    def release(self, blocks: Sequence[int]) -> None:
        """Count one holder fewer. A dialogue's last block is evicted first: without its first, none is of use."""
        for block in reversed(blocks):
            self._holders[block] -= 1
            if self._holders[block] == 0:
                self._idle[block] = None

    def load(self, blocks: list[int], cache: KVCache, tokens: Tensor) -> None:
        """Copy some blocks end to end to the front of an empty cache (an engine's kernel reads them in place)."""
        filled = len(blocks) * self.block_size
        for pool, line in ((self._keys, cache.keys), (self._values, cache.values)):
            line[:, 0, :, :filled] = pool[:, blocks].transpose(1, 2).flatten(2, 3)  # (layers, heads, filled, D)
        cache.advance(tokens[None, :filled])

    def store(self, hashes: Sequence[BlockHash], cache: KVCache) -> list[int]:
        """Hold the blocks of a dialogue, copying those that are not cached yet, as far as there is room.

        Args:
            hashes: of its blocks, from the first on.
            cache: its keys and values.

        Returns:
            The blocks, fewer than ``hashes`` if all others are held.
        """
        blocks: list[int] = []
        try:
            for number, each in enumerate(hashes):
                block = self._by_hash.get(each)
                if block is None:
                    if not self._idle:
                        break
                    block = self._claim()
                    here = slice(number * self.block_size, (number + 1) * self.block_size)
                    for pool, line in ((self._keys, cache.keys), (self._values, cache.values)):
                        pool[:, block] = line[:, 0, :, here]  # (layers, heads, block_size, D)
                    self._hash_of[block], self._by_hash[each] = each, block  # can be found only now that it is complete
                self.hold([block])
                blocks.append(block)
        except BaseException:
            self.release(blocks)
            raise
        return blocks

    def _claim(self) -> int:
        """The least recently held block, which can no longer be found under its old hash."""
        block = next(iter(self._idle))
        old, self._hash_of[block] = self._hash_of[block], None
        if old is not None:
            self.evictions += 1
            del self._by_hash[old]
        return block


class PagedConversation:
    """One conversation over a :class:`PagedCache`, which :meth:`PagedCache.open` makes.

    Attributes:
        mask: its rule.
        blocks: what it holds of the cache, in the order of its dialogue: the *block table*.
        reads: for each read so far, how many positions were reused and how many computed.
    """

    def __init__(self, cache: PagedCache, mask: Mask) -> None:
        self.cache, self.mask = cache, mask
        self.blocks: list[int] = []
        self.reads: list[tuple[int, int]] = []

    def read(self, tokens: Tensor, segments: Segments) -> Tensor:
        """Read a dialogue, and compute what no conversation has read before in the same way.

        The last position is always computed, since its logits are needed; and a block that is not full is not kept.

        Args:
            tokens: LongTensor ``[T]``, all of the dialogue so far, whatever was read before.
            segments: ``[T]``.

        Returns:
            Logits ``[N, V]`` of the last N positions, those that were computed, on the CPU.

        Raises:
            TypeError, ValueError: the tokens are not those of one dialogue, do not match its segments or do not fit
                into the model's context; see also :meth:`Mask.dense` and :meth:`GPT.forward`. Nothing has changed then.
        """
        pool, model = self.cache, self.cache.model
        self._check_dialogue(tokens, segments)
        tokens, dense = tokens.cpu(), self.mask.dense(segments.to("cpu"))  # (T), (T, T)
        hashes = pool.hashes(dense, tokens, pool.block_size)
        found = pool.find(hashes[: (len(tokens) - 1) // pool.block_size])
        with torch.inference_mode():
            cache, reused = model.new_cache(capacity=len(tokens)), len(found) * pool.block_size
            pool.load(found, cache, tokens)
            chunk = tokens[None, reused:].to(model.device)  # (1, N)
            logits: Tensor = model(chunk, dense[reused:], cache)[0].float().cpu()  # (N, V)
            with uninterrupted():  # blocks change hands all at once
                held, self.blocks = self.blocks, pool.store(hashes, cache)
                pool.release(held)  # only now, so that none that it still needs was evicted
        self.reads.append((reused, len(tokens) - reused))
        return logits.clone()  # an ordinary tensor, which may be written to

    def _check_dialogue(self, tokens: Tensor, segments: Segments) -> None:
        """Refuse what is not one dialogue, from its first token on; see :meth:`read` for the errors."""
        check_kind("tokens", tokens, Tensor, "give a dialogue's .tokens, with its .segments")
        check_segments(segments)
        if tokens.ndim != 1 or tokens.shape != segments.id.shape or len(tokens) == 0:
            raise ValueError(
                f"a conversation reads one dialogue, tokens [T] and segments [T], got shapes {tuple(tokens.shape)} and "
                f"{tuple(segments.id.shape)}; of a batch take one row"
            )
        context = self.cache.model.config.context
        if len(tokens) > context:
            raise ValueError(
                f"the dialogue's {len(tokens)} tokens exceed the model's context of {context}; "
                "leave out its first turns"
            )

    def answer(self, prompt: EncodedDialogue, tokenizer: tiktoken.Encoding, *, max_new_tokens: int = 64) -> str:
        """The greedy answer to a dialogue that ends with a question.

        Raises:
            TypeError, ValueError: an argument does not fit, or the dialogue does not end with a question; see also
                :meth:`read`.
            ContextFullError: the dialogue leaves no room for an answer in the model's context.
        """
        longest = whole_number("max_new_tokens", max_new_tokens, 1)
        check_kind("prompt", prompt, EncodedDialogue, "encode_dialogue(messages, tokenizer) makes one")
        end, asked = marker_id(tokenizer, END), marker_id(tokenizer, ASSISTANT)
        check_room(len(prompt), self.cache.model.config.context, "the dialogue")
        self._check_dialogue(prompt.tokens, prompt.segments)
        if int(prompt.tokens[-1]) != asked:  # the marker that asks for an answer is a question's last token
            raise ValueError(
                "the dialogue does not end with a question, so there is nothing to answer; its last message must be "
                "the user's, and whole"
            )
        sampler = Sampler(tokenizer)
        stop = min(len(prompt) + longest, self.cache.model.config.context)
        tokens, segments = prompt.tokens.tolist(), with_answer(prompt.segments, stop)
        while len(tokens) < stop:
            token = sampler.pick(self.read(torch.tensor(tokens), segments[: len(tokens)])[-1])
            if token == end:
                break
            tokens.append(token)
        return tokenizer.decode(tokens[len(prompt) :]).removeprefix(" ")

    def fork(self) -> PagedConversation:
        """A second conversation with the same history, which holds the same blocks."""
        twin = PagedConversation(self.cache, self.mask)
        twin.blocks, twin.reads = [*self.blocks], [*self.reads]
        with uninterrupted():
            self.cache.hold(twin.blocks)
        return twin

    def close(self) -> None:
        """Release all blocks. They can still be found until others need their room."""
        with uninterrupted():
            self.cache.release(self.blocks)
            self.blocks = []
