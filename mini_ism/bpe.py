"""Byte-pair encoding learned from text, in plain Python: the most frequent pair of neighbours becomes a token.

Text is split into words first, and no merge ever crosses from one word to the next. So it is enough to count each
distinct word once and, at each merge, to update only the words that contain the pair. A heap finds the pair; its
entries are corrected when they reach the top.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise

import regex

Pair = tuple[int, int]


def train_bpe(texts: Iterable[str], vocab_size: int, pattern: str) -> list[bytes]:
    """Learn a vocabulary.

    Args:
        texts: what to learn from.
        vocab_size: the most tokens to learn: 256 bytes, then merges. Text with nothing left to merge gives fewer.
        pattern: what a word is, in the syntax of :mod:`regex`.

    Returns:
        Each token's bytes, by rank. Of pairs that are equally frequent, the one with the lower ranks is merged first,
        so the same text gives the same vocabulary everywhere.

    Raises:
        ValueError: ``vocab_size`` is below 256.
    """
    if vocab_size < 256:
        raise ValueError(f"a vocabulary holds all 256 bytes, so vocab_size must be at least 256, got {vocab_size}")
    find = regex.compile(pattern).findall
    counted = Counter(word for text in texts for word in find(text))
    words = [list(word.encode("utf-8", "replace")) for word in counted]
    times = list(counted.values())
    pairs: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[int]] = defaultdict(set)  # the words that contain, or once contained, a pair
    for index, word in enumerate(words):
        for pair in pairwise(word):
            pairs[pair] += times[index]
            where[pair].add(index)
    heap = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(heap)
    tokens = [bytes([byte]) for byte in range(256)]
    while heap and len(tokens) < vocab_size:
        count, pair = heapq.heappop(heap)
        if -count != pairs[pair]:  # it has become rarer since
            if pairs[pair] > 0:
                heapq.heappush(heap, (-pairs[pair], pair))
            continue
        changes: Counter[Pair] = Counter()
        for index in where.pop(pair):
            before = words[index]
            words[index] = after = _merge(before, pair, len(tokens))
            for old in pairwise(before):
                changes[old] -= times[index]
            for new in pairwise(after):
                changes[new] += times[index]
                where[new].add(index)
        for changed, by in changes.items():
            pairs[changed] += by
            if by > 0:
                heapq.heappush(heap, (-pairs[changed], changed))
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
    return tokens


def _merge(word: list[int], pair: Pair, token: int) -> list[int]:
    """A word with each occurrence of a pair, from the left, replaced by a token."""
    merged: list[int] = []
    position = 0
    while position < len(word):
        if (*word[position : position + 2],) == pair:
            merged.append(token)
            position += 2
        else:
            merged.append(word[position])
            position += 1
    return merged
