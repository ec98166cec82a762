"""Scores as a table, as a picture, and against their cost."""

import pytest

from mini_ism.evaluation import Score
from mini_ism.views import score_figure, score_table, tradeoff_figure

SCORES = {
    "ism": {"recall": Score(9, 10), "count": Score(1, 4)},
    "<causal>": {"recall": Score(10, 10)},
}


def test_the_table_holds_every_score() -> None:
    table = score_table(SCORES)
    assert str(table).splitlines()[0].split() == ["skill", "answers", "ism", "<causal>"]
    assert [row[:2] for row in table.rows] == [["count", "4"], ["recall", "10"]]
    assert table.rows[0][3] == ""
    assert table.rows[1][2] == "90% (60% to 98%)"
    assert "&lt;causal&gt;" in table._repr_html_()
    assert table._repr_html_().count("<td") == 8


def test_pictures_say_every_share() -> None:
    drawn = score_figure(SCORES)
    assert drawn.alt == "Share of answers exactly right. ism: count 25%, recall 90%; <causal>: recall 100%."
    assert "count" not in score_figure(SCORES, ["recall"]).alt
    costs = {"ism": (20.5, Score(9, 10)), "prefix": (80.0, Score(8, 10))}
    figure = tradeoff_figure(costs, x_label="tokens read")
    assert figure.alt.startswith("Tokens read, and share of answers right: ism 20.5, 90.0% right (59.6% to 98.2%)")
    assert figure.axes[0].get_ylim()[0] == 0
    assert figure.axes[0].get_ylim()[1] == pytest.approx(1.02)
