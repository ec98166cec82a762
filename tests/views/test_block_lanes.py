"""Two conversations over one cache, block by block."""

import pytest

from mini_ism.views import TokenizedDialogue, block_lanes


def dialogue(*words: str) -> TokenizedDialogue:
    return TokenizedDialogue(words, ["user"] * len(words), [0] * len(words))


FIRST, SECOND = dialogue(*"abcdefg"), dialogue(*"abcdexyz<")


def test_full_blocks_are_framed_and_what_was_found_is_told_apart() -> None:
    drawn = block_lanes(FIRST, SECOND, {"causal": 4, "ism": 0}, 2)
    assert drawn.count('class="mi-block"') == 3 + 4 + 4  # of 7, 9 and 9 tokens
    assert drawn.count('class="mi-reused"') == 1
    assert drawn.count('class="mi-computed"') == 3
    assert "causal: 4 of 9 found" in drawn
    assert "under causal 4, under ism 0 are found" in drawn.alt
    assert ">&lt;</text>" in drawn


def test_all_may_be_found_but_no_more() -> None:
    assert 'class="mi-computed"' in block_lanes(FIRST, SECOND, {"causal": 9}, 4)  # the first conversation's
    with pytest.raises(ValueError, match="10 positions cannot be found of a conversation that has 9"):
        block_lanes(FIRST, SECOND, {"causal": 10}, 4)
