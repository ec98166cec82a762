"""The lines of one token: one for each token that it reads enough of, as thick as its share."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from mini_ism.views.attention_lines import THICKEST, attention_lines
from mini_ism.views.svg import AHEAD, BACK
from tests.views.drawn import elements, one_query

DIALOGUE = one_query(["a", "<b>", "c", "d"])


def test_a_line_for_each_token_that_is_read() -> None:
    drawn = attention_lines([0.1, 0.7, 0.2, 0.0], [True, True, True, False], DIALOGUE, 1, title="head")
    lines = elements(drawn, "path", "mi-line")
    widths = [float(line.get("stroke-width", "0")) for line in lines]
    assert widths == pytest.approx([1 + share * THICKEST for share in (0.1, 0.2, 0.7)])  # the thickest on top
    assert [line.get("stroke") for line in lines] == [BACK, AHEAD, BACK]
    assert drawn.alt == "head: <b> (1) looks at <b> (1) 70%, c (2) 20%, a (0) 10%; 20% of it lies ahead"
    assert elements(drawn, "b") == []
    tips = [title.text for title in elements(drawn, "title")]
    assert tips[4:] == [
        "<b> (1) reads a (0): 10%",
        "<b> (1) reads <b> (1): 70%",
        "<b> (1) reads c (2): 20%, ahead",
        "<b> (1) does not see d (3): hidden",
    ]


def test_what_is_read_less_has_a_dashed_line() -> None:
    drawn = attention_lines([-0.3, 0.3, 0, 0], [True] * 4, DIALOGUE, 3, signed=True)
    dashes = {bool(line.get("stroke-dasharray")) for line in elements(drawn, "path", "mi-line")}
    assert dashes == {True, False}
    assert "−30%" in drawn
    assert "+30%" in drawn


@pytest.mark.parametrize("row", [0, 120])
def test_every_token_can_be_chosen_and_all_is_inside_the_picture(row: int) -> None:
    total = 121
    weights = np.full(total, 1 / total)
    drawn = attention_lines(weights, np.ones(total, dtype=bool), one_query([f"token{n}" for n in range(total)]), row)
    picks = [group.get("data-token") for group in elements(drawn, "g") if group.get("data-pick")]
    assert picks == [str(n) for n in range(total)] * 2
    assert len(elements(drawn, "path", "mi-line")) == total
    height = float(ET.fromstring(drawn).get("height", "0"))
    assert all(float(y) <= height for y in re.findall(r' y="([\d.]+)"', drawn))


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="got 3, 4 and 4"):
        attention_lines([0.0] * 3, [True] * 4, DIALOGUE, 0)
    with pytest.raises(ValueError, match="row 4 is not a position"):
        attention_lines([0.0] * 4, [True] * 4, DIALOGUE, 4)
