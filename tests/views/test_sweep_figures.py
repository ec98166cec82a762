"""What the sweeps found, as pictures: all of it is said, none of it is told by colour alone, and all can be read."""

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D

from mini_ism.views import Figure, interval_figure, png_bytes, seeds_figure
from mini_ism.views.styles import RUN_STYLES
from mini_ism.views.sweep_figures import Quality, Run

QUALITY = {"causal": (0.97, 0.96, 0.98), "ism": (0.97, 0.95, 0.99), "prefix": (0.99, 0.98, 1.0), "own": (0.5, 0.4, 0.6)}
SECONDS = {
    "causal": [0.02, 0.03, 0.04],
    "ism": [0.02, 0.03, 0.0425],
    "prefix": [0.02, 0.1, 0.3],
    "own": [0.02, 0.02, 0.02],
}
GROUPS = {
    "one layer": {"causal": (0.5, 0.4, 0.6), "ism": (1.0, -math.inf, math.inf)},
    "two layers,\n8,000 steps": {"ism": (0.9, 0.7, 1.1), "prefix": (0.95, 0.9, 1.0)},
}
CURVES = {
    "causal": [[(100, 0.2), (200, 0.4)], [(100, 0.4), (200, 0.5), (300, 0.9)], [(100, 0.9), (200, 0.6)]],
    "ism": [[(100, 0.5), (200, 1.0)]],
}


def numbers(values: Any) -> list[float]:
    return [float(value) for value in np.asarray(values)]


def labelled(figure: Figure) -> dict[str, Line2D]:
    """The lines that the legend tells of."""
    (axes,) = figure.axes
    return {str(line.get_label()): line for line in axes.lines if not str(line.get_label()).startswith("_")}


def styles_of(figure: Figure) -> set[tuple[str, str, str]]:
    return {(str(x.get_color()), str(x.get_linestyle()), str(x.get_marker())) for x in labelled(figure).values()}


def crowded(figure: Figure) -> list[str]:
    """Texts that lie on each other, or reach out of the picture."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (axes,) = figure.axes
    texts = [axes.xaxis.label, axes.yaxis.label, *axes.texts]
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    texts += [text for legend in figure.legends for text in legend.get_texts()]
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t.get_text() and t.get_visible()]
    wide, high = canvas.get_width_height()
    out = [name for name, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > wide or box.y1 > high]
    return out + [f"{a} / {b}" for (a, one), (b, other) in combinations(boxes, 2) if one.overlaps(other)]


# -- intervals by setting ----------------------------------------------------------------------------


def test_intervals_are_all_said() -> None:
    figure = interval_figure(GROUPS, x_label="ISM's answers right", reference=(0.5, "a guess"))
    assert figure.alt == (
        "ISM's answers right, mean and interval, where 50.0% is a guess. one layer: causal 50.0% (40.0% to 60.0%), "
        "ism 100.0%; two layers, 8,000 steps: ism 90.0% (70.0% to 100.0%), prefix 95.0% (90.0% to 100.0%)."
    )
    assert png_bytes(figure) == png_bytes(
        interval_figure(GROUPS, x_label="ISM's answers right", reference=(0.5, "a guess"))
    )
    errors = interval_figure({"a": {"ism": (2.0, 1.5, 2.5)}}, x_label="error", share=False)
    assert errors.alt == "Error, mean and interval. a: ism 2 (1.5 to 2.5)."


def test_intervals_are_drawn_where_they_belong() -> None:
    figure = interval_figure(GROUPS, x_label="right", reference=(0.5, "a guess"))
    (axes,) = figure.axes
    assert list(labelled(figure)) == ["causal", "ism", "prefix"]
    assert len(styles_of(figure)) == 3
    assert {marker for *_, marker in styles_of(figure)} == {RUN_STYLES[n][2] for n in range(3)}
    assert [text.get_text() for text in axes.get_yticklabels()] == list(GROUPS)
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first row is above
    names = {line.get_color(): name for name, line in labelled(figure).items()}
    drawn = [line for line in axes.lines if line.get_color() in names and len(numbers(line.get_xdata()))]
    dots = [line for line in drawn if line.get_marker() != "|"]
    bars = [line for line in drawn if line.get_marker() == "|"]

    def found(lines: list[Line2D]) -> dict[tuple[int, str], list[float]]:
        """What stands in each row, by the mask's colour."""
        return {(round(numbers(x.get_ydata())[0]), names[x.get_color()]): numbers(x.get_xdata()) for x in lines}

    told = {(y, name): quality for y, row in enumerate(GROUPS.values()) for name, quality in row.items()}
    assert found(dots) == {place: [mean] for place, (mean, _, _) in told.items()}
    assert found(bars) == {place: ends for place, (_, *ends) in told.items() if place != (0, "ism")}  # one seed
    heights = [numbers(line.get_ydata())[0] for line in dots]
    assert len(set(heights)) == len(heights)  # none lies on another
    assert [0.5, 0.5] in [numbers(line.get_xdata()) for line in axes.lines]
    assert axes.texts[0].get_text() == "a guess"
    assert axes.get_xlim() == (0, 1)
    assert all(bar.get_clip_on() for bar in bars)
    assert not any(dot.get_clip_on() for dot in dots)  # a dot at 100% is whole


@pytest.mark.slow
@pytest.mark.parametrize(
    ("highs", "end"),
    [((2.5, 1.5), 2.5), ((99.0, 1.5), 2 * 2.0), ((math.inf, 1.5), 2.0), ((1.9, 1.0), 2.0)],
)
def test_errors_begin_at_0_and_all_means_are_in_sight(highs: tuple[float, float], end: float) -> None:
    row = {"causal": (2.0, 1.0, highs[0]), "ism": (1.0, 0.5, highs[1]), "diverged": (math.inf, -math.inf, math.inf)}
    figure = interval_figure({"a": row}, x_label="error", share=False, reference=(1, "the best"))
    assert figure.axes[0].get_xlim() == pytest.approx((0, 1.05 * end))
    png_bytes(figure)
    png_bytes(interval_figure({"a": {"ism": (0.0, 0.0, 0.0)}}, x_label="error", share=False))


def test_intervals_can_be_read() -> None:
    masks = ["causal", "ism", "ism(sink=True)", "prefix", "ism(system_as_query=False)"]
    many = {f"chains of any order,\n{n} layers, 4 heads": dict.fromkeys(masks, (0.5, 0.4, 0.6)) for n in range(6)}
    few = {f"chains of any order,\n{n} layers, 4 heads": {"ism": (1.0, 0.4, 0.6)} for n in range(4)}
    for groups in (GROUPS, few, many):
        figure = interval_figure(groups, x_label="control skills right under each mask", reference=(0.1, "a guess"))
        assert crowded(figure) == []
    figure.set_size_inches(6.8, 2.5)
    assert crowded(figure) != []  # or nothing would ever be


# -- runs, seed by seed ------------------------------------------------------------------------------


def test_runs_are_thin_and_their_middle_is_thick() -> None:
    for middle, expected in (("mean", [0.5, 0.5]), ("median", [0.4, 0.5])):
        figure = seeds_figure(CURVES, x_label="steps", y_label="answers right", middle=middle)  # type: ignore[arg-type]
        (axes,) = figure.axes
        thick = labelled(figure)
        assert list(thick) == ["causal", "ism"]
        assert len(styles_of(figure)) == 2
        assert numbers(thick["causal"].get_xdata()) == [100, 200]  # the third place is of one run alone
        assert numbers(thick["causal"].get_ydata()) == pytest.approx(expected)
        for name, line in thick.items():
            thin = [
                other for other in axes.lines if other is not line and str(other.get_color()) == str(line.get_color())
            ]
            told = [list(zip(numbers(run.get_xdata()), numbers(run.get_ydata()), strict=True)) for run in thin]
            assert told == CURVES[name]
            assert {run.get_linestyle() for run in thin} == {line.get_linestyle()}
            assert all(run.get_linewidth() < line.get_linewidth() for run in thin)
        assert numbers(axes.get_xticks()) == [100, 200, 300]
        assert axes.get_ylim() == (0, 1)


def test_runs_are_said() -> None:
    figure = seeds_figure(CURVES, x_label="steps", y_label="answers right")
    assert figure.alt == (
        "Answers right against steps, mean and range of runs. causal, 3 runs: 50.0% (20.0% to 90.0%) at 100, 50.0% "
        "(40.0% to 60.0%) at 200; ism, 1 run: 50.0% (50.0% to 50.0%) at 100, 100.0% (100.0% to 100.0%) at 200."
    )
    assert png_bytes(figure) == png_bytes(seeds_figure(CURVES, x_label="steps", y_label="answers right"))
    waits = seeds_figure(
        {"ism": [[(1, 20.0)], [(1, 30.0)]]}, x_label="turn", y_label="ms", share=False, middle="median"
    )
    assert waits.alt == "Ms against turn, median and range of runs. ism, 2 runs: 25 (20 to 30) at 1."
    assert waits.axes[0].get_ylim()[0] == 0
    assert waits.axes[0].get_ylim()[1] > 30


def test_runs_can_be_read() -> None:
    names = ["causal", "ism", "prefix", "ism & sliding_window(128)"]
    for count in (1, 12, 13, 60):
        runs = [[(200.0 * (n + 1), 0.5) for n in range(count)]] * 2
        assert crowded(seeds_figure(dict.fromkeys(names, runs), x_label="steps", y_label="answers right")) == []


def test_what_cannot_be_drawn_is_named() -> None:
    empty: list[dict[str, dict[str, Quality]]] = [{}, {"a setting": {}}]
    for nothing in empty:
        with pytest.raises(ValueError, match="at least one row, and each row at least one mask"):
            interval_figure(nothing, x_label="right")
    with pytest.raises(ValueError, match="at least one mask"):
        seeds_figure({}, x_label="steps", y_label="right")
    apart: list[list[Run]] = [[], [[]], [[(1, 0.5)], [(2, 0.5)]]]
    for runs in apart:
        with pytest.raises(ValueError, match="the runs of 'ism' have no x in common"):
            seeds_figure({"ism": runs}, x_label="steps", y_label="right")
