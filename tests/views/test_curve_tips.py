"""Tooltips over curves: the bars cover the panel once, and say what every run had reached."""

import xml.etree.ElementTree as ET

import pytest

from mini_ism.views.curve_tips import MOST, curve_tips


def test_each_place_says_what_every_run_had_reached() -> None:
    lines = {"ism": [(10.0, 3.0), (20.0, 2.0)], "<b>": [(20.0, 1.0), (60.0, 0.5)]}
    drawn = curve_tips(lines, "{:.1f}", across="steps", x_end=60, size=(300, 100))
    bars = list(ET.fromstring(f"<g>{drawn}</g>"))
    assert [bar[0].text for bar in bars] == [
        "10 steps: ism 3.0",
        "20 steps: ism 2.0, <b> 1.0",
        "60 steps: ism 2.0, <b> 0.5",
    ]
    starts, widths = ([float(bar.get(name, "")) for bar in bars] for name in ("x", "width"))
    assert starts == pytest.approx([0, 75, 200])
    assert [start + width for start, width in zip(starts, widths, strict=True)] == pytest.approx([75, 200, 300])


def test_more_than_a_mouse_can_tell_apart_are_thinned() -> None:
    points = [(float(n), 1.0) for n in range(1, 1001)]
    drawn = curve_tips({"ism": points}, "{:.1f}", across="steps", x_end=1000, size=(300, 100))
    assert MOST / 2 <= drawn.count("<rect") <= MOST


def test_nothing_measured_has_no_tips() -> None:
    assert curve_tips({"ism": []}, "{:.1f}", across="steps", x_end=1, size=(300, 100)) == ""
