"""Quality against latency as a picture: all of it is said, none of it is told by colour alone."""

import numpy as np
import pytest

from mini_ism.views import latency_figure
from mini_ism.views.figures import png_bytes

QUALITY = {"causal": (0.97, 0.96, 0.98), "ism": (0.97, 0.95, 0.99), "prefix": (0.99, 0.98, 1.0), "own": (0.5, 0.4, 0.6)}
SECONDS = {
    "causal": [0.02, 0.03, 0.04],
    "ism": [0.02, 0.03, 0.0425],
    "prefix": [0.02, 0.1, 0.3],
    "own": [0.02, 0.02, 0.02],
}


def test_the_picture_says_what_it_shows() -> None:
    figure = latency_figure(QUALITY, SECONDS)
    assert figure.alt.startswith(
        "Answers exactly right against time to first token. causal 97.0% (96.0% to 98.0%), first token after 20 ms in "
        "turn 1, 40 ms in turn 3; ism 97.0%"
    )
    assert "own 50.0% (40.0% to 60.0%), first token after 20 ms in turn 1, 20 ms in turn 3." in figure.alt
    assert "30 ms in turn 2" in latency_figure(QUALITY, SECONDS, turns=(1, 2, 3)).alt
    assert png_bytes(figure) == png_bytes(latency_figure(QUALITY, SECONDS))


def test_every_track_is_drawn_where_it_belongs() -> None:
    (axes,) = latency_figure(QUALITY, SECONDS, turns=(1, 3)).axes
    tracks = {str(line.get_label()): line for line in axes.lines if not str(line.get_label()).startswith("_")}
    assert list(tracks) == list(QUALITY)
    assert np.asarray(tracks["ism"].get_xdata()).tolist() == pytest.approx([20, 42.5])
    assert np.asarray(tracks["prefix"].get_ydata()).tolist() == [0.99, 0.99]
    intervals = [line for line in axes.lines if str(line.get_label()).startswith("_")]
    assert [np.asarray(line.get_ydata()).tolist() for line in intervals] == [ends for _, *ends in QUALITY.values()]
    assert len({(line.get_marker(), line.get_linestyle()) for line in tracks.values()}) == len(tracks)
    assert len({line.get_color() for line in tracks.values()}) == len(tracks)
    assert axes.get_xlim()[0] == axes.get_ylim()[0] == 0  # no gap is made to look larger
    assert axes.get_ylim()[1] > 1


def test_quality_need_not_be_a_share() -> None:
    errors = {"causal": (1.8, 1.7, 1.9)}
    figure = latency_figure(errors, {"causal": [0.1]}, y_label="error", share=False)
    assert figure.alt == (
        "Error against time to first token. causal 1.8 (1.7 to 1.9), first token after 100 ms in turn 1."
    )


def test_what_cannot_be_drawn_is_named() -> None:
    with pytest.raises(ValueError, match=r"quality is of \['causal'\], seconds are of \['ism'\]: give both"):
        latency_figure({"causal": (1, 1, 1)}, {"ism": [1.0]})
    with pytest.raises(ValueError, match=r"turns \[1, 4\] are not all among those measured, 1 to 3"):
        latency_figure(QUALITY, SECONDS, turns=(1, 4))
    with pytest.raises(ValueError, match="give both"):
        latency_figure({}, {})
