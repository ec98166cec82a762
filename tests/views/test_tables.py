"""The one table, and what each turn cost as a table."""

import torch

from mini_ism import Segments, cost_table
from mini_ism.cost import plan
from mini_ism.views import Table


def test_a_table_aligns_words_left_and_numbers_right() -> None:
    table = Table(["name", "n"], [["a", "5"], ["long one", "123"]])
    assert str(table).splitlines() == ["name        n", "a           5", "long one  123"]
    assert 'scope="col" style="text-align:left"' in table._repr_html_()
    assert table.markdown() == "| name | n |\n| --- | ---: |\n| a | 5 |\n| long one | 123 |\n"


def test_groups_have_a_line_above() -> None:
    rows = [["1", "a"], ["1", "b"], ["2", "a"]]
    assert Table(["turn", "mask"], rows)._repr_html_().count("border-top") == 0
    assert Table(["turn", "mask"], rows, groups=0)._repr_html_().count('<tr style="border-top') == 2


def segments(*lengths: int) -> Segments:
    """query, answer, query, ... of these lengths."""
    ids = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    return Segments(id=ids, is_query=ids % 2 == 0)


def test_the_table_says_the_same_in_text_and_html() -> None:
    table = cost_table({"<b>": plan("prefix", segments(5, 2, 4, 3))})
    lines = str(table).splitlines()
    assert lines[0].split()[:3] == ["turn", "mask", "reused"]
    assert lines[2].split()[:7] == ["2", "<b>", "0", "7", "11", "3", "14"]
    html = table._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert html.count("<tr") == 3


def test_seconds_are_shown_on_demand_only() -> None:
    trace = plan("causal", segments(2, 1))
    assert "ms" not in str(cost_table(trace))
    assert "first token, ms" in str(cost_table(trace, seconds=True))


def test_a_cell_steers_no_terminal() -> None:
    assert str(Table(["name"], [["\x1b[31mred"]])) == "name\n\\x1b[31mred"
