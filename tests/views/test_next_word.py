"""The bars of the next word: their lengths, what they say, and text that stays text."""

import re
import xml.etree.ElementTree as ET

import pytest

from mini_ism.views.next_word import next_word_bars
from tests.views.drawn import elements

ANSWER = [("In", 0.9), ("the", 1.0), ("oven", 0.7)]
ODDS = [("oven", 0.7), ("<script>", 0.2), ("a-very-long-word-indeed", 0.00001)]


def svg(picture: str) -> str:
    return picture[picture.index("<svg") : picture.index("</svg>") + 6]


@pytest.mark.parametrize("picked", [0, 2])
def test_a_bar_is_as_long_as_its_share(picked: int) -> None:
    picture = next_word_bars(ANSWER, 2, ODDS, picked)
    bars = [float(bar.get("width", "")) for bar in elements(svg(picture), "rect", "mi-odds")]
    full = float(elements(svg(picture), "rect")[0].get("width", ""))
    assert bars == pytest.approx([0.7 * full, 0.2 * full, 0, 0.09999 * full], abs=0.1)
    marks = elements(svg(picture), "path", "mi-picked")
    assert len(marks) == 1
    assert f"M1 {20 * picked + 5}" in marks[0].get("d", "")  # beside the bar of what was written
    bold = [text.text for text in elements(svg(picture), "text") if text.get("font-weight")]
    assert len(bold) == 2  # not by colour alone


def test_what_it_says() -> None:
    picture = next_word_bars(ANSWER, 2, ODDS, 0)
    assert picture.alt == (
        "Next word after “In the”: oven 70%, <script> 20%, a-very-long-word-indeed < 1%; oven was written"
    )
    assert next_word_bars(ANSWER[:1], 0, ODDS, 1).alt.startswith("Next word at the beginning: oven 70%")
    texts = [text.text for text in elements(svg(picture), "text")]
    assert texts == ["oven", "70%", "<script>", "20%", "a-very-long…", "< 1%", "all others", "10%"]
    titles = [title.text for title in elements(svg(picture), "title")]
    assert titles[2] == "a-very-long-word-indeed: < 0.01%"


def test_each_token_can_be_picked_and_one_is_chosen() -> None:
    picture = next_word_bars([("In", 0.5), ("<b>", 1), ("oven", 0.004)], 1, ODDS, 0)
    tokens = ET.fromstring(re.sub(r"<svg.*</svg>", "", picture, flags=re.DOTALL)).iter("span")
    assert [(t.text, t.get("data-token"), t.get("aria-current"), t.get("title")) for t in tokens] == [
        ("In", "0", "false", "In: 50.00%"),
        ("<b>", "1", "true", "<b>: 100.00%"),
        ("oven", "2", "false", "oven: 0.40%"),
    ]


def test_the_heading_quotes_what_stands_before_as_text_and_not_too_much_of_it() -> None:
    answer = [("Thand", 1.0), ("-iwe", 1.0), ("<i>", 1.0), *[("oven", 1.0)] * 6]
    picture = next_word_bars(answer, 2, ODDS, 0)
    assert ">Next word after “Thandiwe”<" in picture
    assert ">Next word after “Thandiwe &lt;i&gt;”<" in next_word_bars(answer, 3, ODDS, 0)
    long = next_word_bars(answer, 8, ODDS, 0)
    assert ">Next word after “…oven oven oven oven oven”<" in long
    assert "after “Thandiwe <i> oven" in long.alt


@pytest.mark.parametrize(("share", "said"), [(1.0, "100%"), (0.9999, "> 99%"), (0.0, "0%"), (0.004, "< 1%")])
def test_what_is_not_quite_certain_is_not_called_so(share: float, said: str) -> None:
    assert f"oven {said};" in next_word_bars([("oven", share)], 0, [("oven", share)], 0).alt
