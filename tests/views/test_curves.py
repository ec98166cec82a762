"""Training curves: means, counts, and pictures at every stage."""

import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

from mini_ism.evaluation import Score
from mini_ism.views.curves import AGAINST, SMOOTH, curve_figure, curve_picture, curves, progress_figure


def lines(count: int, right: int = 1) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [
        {"step": n + 1, "tokens": 100 * (n + 1), "seen": 2 * n, "seconds": 0.5 * n, "loss": 6.0 / (n + 1)}
        for n in range(count)
    ]
    for line in made[9::10]:
        line["exact"] = {"recall": [right, 4], "queue": [0, 2], "ack": [7, 8]}
    return made


def test_curves_are_means_and_counts() -> None:
    (curve,) = curves({"ism": lines(30)})
    assert len(curve.loss) == 30
    losses = [6.0 / (n + 1) for n in range(30)]
    for n, (x, y) in enumerate(curve.loss):
        window = losses[max(0, n + 1 - SMOOTH) : n + 1]
        assert x == n + 1
        assert y == pytest.approx(sum(window) / len(window))
    assert curve.exact == [(x, Score(1, 6)) for x in (10.0, 20.0, 30.0)]
    assert curves({"ism": lines(30)}, skills=None)[0].exact[0] == (10.0, Score(8, 14))
    assert curves({"ism": lines(30)}, against="tokens")[0].loss[-1][0] == 3000
    assert curve.describe() == "ism after 30 steps: loss 0.20, 1 of 6 answers right"


def test_a_long_run_is_thinned_and_keeps_its_ends() -> None:
    (curve,) = curves({"ism": lines(5000)})
    assert len(curve.loss) <= 250
    assert (curve.loss[0][0], curve.loss[-1][0]) == (1, 5000)
    assert len(curve_picture({name: lines(5000) for name in "abc"})) < 60_000


def test_lines_that_sum_up_many_steps_are_not_averaged_again() -> None:
    thin = [line for line in lines(3000) if line["step"] % 500 == 0]
    (curve,) = curves({"ism": thin})
    assert curve.loss == [(line["step"], line["loss"]) for line in thin]


def test_progress_by_groups_of_skills() -> None:
    figure = progress_figure({"causal": lines(30), "ism": lines(20)})
    assert figure.alt == (
        "Answers exactly right in the course of training, against tokens computed and against dialogues seen. "
        "control skills, at the end: causal 17% of 6, ism 17% of 6; "
        "all other skills, at the end: causal 88% of 8, ism 88% of 8."
    )
    drawn = [np.asarray(line.get_xydata()).tolist() for line in figure.axes[2].get_lines()]
    assert drawn == [[[1000, 7 / 8], [2000, 7 / 8], [3000, 7 / 8]], [[1000, 7 / 8], [2000, 7 / 8]]]
    assert "nothing measured yet" in progress_figure({"ism": lines(3)}).alt
    with pytest.raises(ValueError, match="'epochs'"):
        progress_figure({"ism": lines(3)}, against=["epochs"])


def test_unknown_axes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'epochs'.*step, tokens"):
        curve_figure({"ism": lines(3)}, against="epochs")


@pytest.mark.slow
@pytest.mark.parametrize("against", AGAINST)
@pytest.mark.parametrize("count", [0, 1, 30])
def test_pictures_at_every_stage(against: str, count: int) -> None:
    metrics = {"<b>ism & co</b>": lines(count), "prefix": lines(count // 2)}
    picture = curve_picture(metrics, against=against)
    root = ET.fromstring(picture)
    drawn = [each for each in root.iter() if each.get("class") == "mi-curve"]
    assert len(drawn) == {0: 0, 1: 1, 30: 4}[count]
    assert root.get("aria-label") == picture.alt
    figure = curve_figure(metrics, against=against)
    assert figure.alt == picture.alt
    assert AGAINST[against] in figure.alt
    assert "image/png" in figure._repr_mimebundle_()[0]


def test_a_loss_that_is_no_number_is_said_and_does_not_break_the_picture() -> None:
    bad = lines(3)
    bad[-1]["loss"] = float("nan")
    picture = curve_picture({"ism": bad})
    assert "loss nan" in picture.alt
    assert "NaN" not in ET.fromstring(picture).findall(".//*[@class='mi-curve']")[0].attrib["d"]
