"""Losses of a few runs, as lines."""

import numpy as np

from mini_ism.views import loss_figure


def test_a_line_a_run_and_a_dashed_one_to_compare_with() -> None:
    figure = loss_figure({"causal": [2.0, 1.0], "ism": [3.0, 0.5, 0.25]}, start=0.125, called="before the swap")
    (axes,) = figure.axes
    drawn = {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in axes.get_lines()}
    assert drawn["causal"] == [2.0, 1.0]
    assert drawn["ism"] == [3.0, 0.5, 0.25]
    assert set(drawn["before the swap"]) == {0.125}
    assert axes.get_ylim()[0] == 0
    assert figure.alt == (
        "Loss step by step: causal from 2.00 to 1.00, ism from 3.00 to 0.25. Dashed: before the swap, 0.12."
    )


def test_nothing_yet() -> None:
    assert loss_figure({}).alt == "Loss step by step: nothing yet."
