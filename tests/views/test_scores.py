"""Scores as a table and as a picture."""

from mini_ism.evaluation import Score
from mini_ism.views import score_figure, score_table

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
