"""Dots: one a run, a column a reader, and the means in words."""

import numpy as np
import pytest

from mini_ism.views.seed_dots import seed_dots_figure

PANELS = {"at once": {"causal": [0.7, 0.72], "ism": [1.0, 1.0, 0.97]}, "later": {"ism": [0.35]}}


def test_every_run_has_its_dot_and_every_reader_its_mean() -> None:
    figure = seed_dots_figure(PANELS, y_label="answered", reference=(1 / 3, "a guess"))
    assert [axes.get_title() for axes in figure.axes] == list(PANELS)
    for axes, columns in zip(figure.axes, PANELS.values(), strict=True):
        dots = [line for line in axes.lines if line.get_linestyle() == "None"]
        assert [list(np.asarray(line.get_ydata())) for line in dots] == list(columns.values())
        assert len(axes.collections) == len(columns)
        assert [text.get_text() for text in axes.get_xticklabels()] == list(columns)
    assert figure.alt == "Answered, a dot a run; means of at once: causal 71.0%, ism 99.0%; later: ism 35.0%."


def test_a_reader_looks_the_same_in_each_panel_and_unlike_the_others() -> None:
    figure = seed_dots_figure(PANELS, y_label="answered")
    first, second = ([line for line in axes.lines if line.get_linestyle() == "None"] for axes in figure.axes)
    assert first[1].get_marker() == second[0].get_marker()
    assert first[0].get_marker() != first[1].get_marker()


def test_notes_stand_under_the_names() -> None:
    figure = seed_dots_figure(PANELS, y_label="answered", notes={"at once": {"ism": "FLOPs 1.00"}})
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["causal", "ism\nFLOPs 1.00"]


@pytest.mark.parametrize("panels", [{}, {"at once": {}}, {"at once": {"ism": []}}])
def test_nothing_to_draw(panels: dict[str, dict[str, list[float]]]) -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        seed_dots_figure(panels, y_label="answered")
