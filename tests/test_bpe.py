"""Training a byte-pair encoding: the same merges as a loop that counts everything again each time."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_ism.bpe import train_bpe
from mini_ism.corpus.train_tokenizer import train_ranks
from mini_ism.tokenizer_files import PATTERN, default_path


def slowly(texts: list[str], vocab_size: int) -> list[bytes]:
    """Merge after merge, all pairs of all words counted anew."""
    words = [list(word.encode()) for text in texts for word in regex.findall(PATTERN, text)]
    tokens = [bytes([byte]) for byte in range(256)]
    while len(tokens) < vocab_size:
        pairs = Counter(pair for word in words for pair in pairwise(word))
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        for word in words:
            position = 0
            while position < len(word) - 1:
                if (word[position], word[position + 1]) == best:
                    word[position : position + 2] = [len(tokens)]
                position += 1
        tokens.append(tokens[best[0]] + tokens[best[1]])
    return tokens


@settings(max_examples=200)
@given(st.lists(st.one_of(st.text("ab c", max_size=40), st.text(max_size=20)), max_size=6), st.integers(256, 290))
def test_the_same_as_a_slow_loop(texts: list[str], vocab_size: int) -> None:
    assert train_bpe(texts, vocab_size, PATTERN) == slowly(texts, vocab_size)


@pytest.mark.slow
def test_the_same_as_the_trainer_that_made_the_package_s_file() -> None:
    """It was made by rustbpe 0.1."""
    assert train_ranks() == default_path().read_bytes()


def test_what_has_nothing_left_to_merge_gives_fewer_tokens() -> None:
    assert train_bpe(["abab"], 400, PATTERN)[256:] == [b"ab", b"abab"]
    assert len(train_bpe([], 400, PATTERN)) == 256


def test_half_a_character_is_no_error() -> None:
    assert train_bpe(["\ud83d\ud83d"], 300, PATTERN)[256:] == [b"??"]


def test_a_vocabulary_holds_all_bytes() -> None:
    with pytest.raises(ValueError, match="vocab_size must be at least 256, got 255"):
        train_bpe(["text"], 255, PATTERN)
