"""Figures for paper: in words as well, and the same bytes twice."""

import base64
from io import BytesIO

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from PIL import Image

from mini_ism import get_mask
from mini_ism.cost import plan
from mini_ism.trace import turn_costs
from mini_ism.views import Figure, mask_figure, png_bytes, turn_cost_figure
from mini_ism.views.figures import cache_figure
from mini_ism.views.timeline import frames
from tests.strategies import segments_of
from tests.views.drawn import LAYOUT, one_query, segmented


@pytest.mark.slow
def test_figures_speak_and_are_the_same_bytes_twice() -> None:
    s, dialogue = segmented(["Is $5_0$ a lot?", "No."])
    steps = frames({"ism": plan("ism", s)})

    def figures() -> list[Figure]:
        return [
            mask_figure(
                {"ism": get_mask("ism").dense(s), "causal": get_mask("causal").dense(s)},
                dialogue,
                row=1,
            ),
            turn_cost_figure({"ism": turn_costs(plan("ism", s))}),
            turn_cost_figure({"ism": []}),
            mask_figure(get_mask("ism").dense(s), dialogue),
            cache_figure(steps[-1], dialogue),
        ]

    for first, second in zip(figures(), figures(), strict=True):
        data = first._repr_mimebundle_()
        assert data["text/plain"] == first.alt
        assert len(first.alt.split()) > 4
        png = base64.b64decode(data["image/png"])
        assert png.startswith(b"\x89PNG")
        assert png == png_bytes(second)


def test_a_still_film_has_a_cell_a_token_and_joins_cells_where_they_are_too_many() -> None:
    def drawn(layout: list[tuple[str, int]]) -> list[tuple[float, float]]:
        figure = cache_figure(frames({"causal": plan("causal", segments_of(layout))})[-1], one_query(["a"]))
        cells = (patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle))
        return [(cell.get_x(), cell.get_width()) for cell in cells]

    assert drawn(LAYOUT) == [(n, 1) for n in range(17)]
    assert drawn([("user", 400), ("assistant", 3)]) == [(0, 400), (400, 3)]


def test_a_picture_is_opaque_and_has_its_resolution() -> None:
    with Image.open(BytesIO(png_bytes(mask_figure(np.eye(1), one_query(["a"])), dpi=90))) as picture:
        assert picture.mode == "RGB"
        assert picture.info["dpi"] == pytest.approx((90, 90), abs=0.1)


def test_a_mask_that_does_not_fit_its_dialogue_is_refused() -> None:
    with pytest.raises(ValueError, match="'ism' has shape \\(3, 3\\), but the dialogue has 2 tokens"):
        mask_figure({"ism": np.eye(3)}, one_query(["a", "b"]))
    with pytest.raises(ValueError, match="row 2 is not a position"):
        mask_figure(np.eye(2), one_query(["a", "b"]), row=2)
