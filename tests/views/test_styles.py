"""The palette can be read on any page, and a mask looks the same in each picture."""

import pytest

from mini_ism.views.curves import curves
from mini_ism.views.styles import ANSI, DARK, EITHER, LIGHT, OWN_STYLE, RUN_STYLES, run_styles


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("colours", "paper"), [(LIGHT, "#ffffff"), (DARK, "#111111")])
def test_colours_have_contrast(colours: dict[str, str], paper: str) -> None:
    for role in ANSI:
        assert contrast(colours[role], paper) >= 4.5, role  # text
    for cell in ("back", "ahead"):
        assert contrast(colours[cell], colours["hidden"]) >= 3, cell


@pytest.mark.parametrize("paper", ["#ffffff", "#111111"])
def test_accents_for_any_page_have_contrast(paper: str) -> None:
    assert set(EITHER) == set(LIGHT) == set(DARK)
    for name, colour in EITHER.items():
        assert contrast(colour, paper) >= 3.8, name  # no colour has 4.5 on both


def test_a_mask_looks_the_same_whoever_is_beside_it() -> None:
    assert run_styles(["prefix", "own", "ism"]) == [OWN_STYLE["prefix"], 3, OWN_STYLE["ism"]]
    assert sorted(run_styles(["a", "causal", "b", "ism", "prefix"])) == list(range(len(RUN_STYLES)))
    assert len(run_styles("abcdefghi")) == 9  # more than there are styles


def test_a_mask_looks_the_same_in_each_picture() -> None:
    styles = [curve.style for curve in curves(dict.fromkeys(("mine", "ism", "yours", "causal", "x", "y"), ()))]
    assert (styles[1], styles[3]) == (2, 0)
    assert len(set(styles[:5])) == 5
    assert styles[5] in range(5)
