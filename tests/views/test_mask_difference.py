"""Declared, measured and the difference, as one picture."""

import numpy as np
import pytest

from mini_ism.views.dialogue_view import TokenizedDialogue
from mini_ism.views.mask_difference import mask_difference
from mini_ism.views.picture import standalone
from mini_ism.views.svg import boxes

DIALOGUE = TokenizedDialogue(["<a>", "b", "c", "d"], ["user", "user", "assistant", "assistant"], [0, 0, 1, 1])
DECLARED = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]], dtype=bool)


def test_what_leaks_is_filled_and_what_is_missing_is_outlined() -> None:
    measured = DECLARED.copy()
    measured[0, 1], measured[2, 3], measured[1, 3] = False, True, True
    picture = mask_difference(DECLARED, measured, DIALOGUE, title="turn 2")
    assert picture.alt == "turn 2: 2 pairs are read that should be hidden, 1 are hidden that should be read"
    miss, leak = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    miss[0, 1], leak[2, 3], leak[1, 3] = True, True, True
    cell = 22.0
    assert f'class="mi-leak" d="{boxes(leak, cell)}"' in picture
    assert f'class="mi-miss" d="{boxes(miss, cell)}"' in picture
    assert "&lt;a&gt; (0) should read 0..1" in picture
    assert "c (2) differs at 3" in picture
    assert standalone(picture).startswith("<svg")


def test_matrices_must_fit() -> None:
    with pytest.raises(ValueError, match=r"two matrices \[T, T\] and T tokens, got \(4, 4\), \(3, 3\) and 4"):
        mask_difference(DECLARED, DECLARED[:3, :3], DIALOGUE)
