"""Figures for paper: in words as well, and the same bytes twice."""

import base64
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from io import BytesIO

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import style
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from mini_ism import get_mask, views
from mini_ism.cost import plan
from mini_ism.evaluation import Score
from mini_ism.exercises.training import _schedule
from mini_ism.gallery import GALLERY
from mini_ism.trace import turn_costs
from mini_ism.views import Figure, mask_figure, png_bytes, turn_cost_figure
from mini_ism.views.attention_figures import (
    attention_figure,
    difference_figure,
    head_bars_figure,
    heads_figure,
    stages_figure,
    swap_figure,
)
from mini_ism.views.chat_figure import chat_figure
from mini_ism.views.curves import curve_figure, progress_figure
from mini_ism.views.figures import cache_figure
from mini_ism.views.gallery import gallery_figure
from mini_ism.views.losses import loss_figure
from mini_ism.views.regression import error_figure, path_figure
from mini_ism.views.scores import score_figure
from mini_ism.views.seed_dots import seed_dots_figure
from mini_ism.views.styles import LIGHT
from mini_ism.views.sweep_figures import interval_figure, seeds_figure
from mini_ism.views.timeline import Frame, frames
from tests.strategies import segments_of
from tests.views.drawn import LAYOUT, film, messages_of, one_query, segmented


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
        data = first._repr_mimebundle_()[0]
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


def test_the_tokens_of_a_still_film_have_their_roles_colours() -> None:
    steps, dialogue = film()
    labels = cache_figure(steps[-1], dialogue).axes[0].get_xticklabels()
    assert [text.get_color() for text in labels] == [LIGHT[role] for role in dialogue.roles]


def test_a_picture_is_opaque_and_has_its_resolution() -> None:
    with Image.open(BytesIO(png_bytes(mask_figure(np.eye(1), one_query(["a"])), dpi=90))) as picture:
        assert picture.mode == "RGB"
        assert picture.info["dpi"] == pytest.approx((90, 90), abs=0.1)


def test_a_mask_that_does_not_fit_its_dialogue_is_refused() -> None:
    with pytest.raises(ValueError, match="'ism' has shape \\(3, 3\\), but the dialogue has 2 tokens"):
        mask_figure({"ism": np.eye(3)}, one_query(["a", "b"]))
    with pytest.raises(ValueError, match="row 2 is not a position"):
        mask_figure(np.eye(2), one_query(["a", "b"]), row=2)


def blind_frame() -> Frame:
    """A step in which one lane keeps what it should not."""
    trace = plan("causal", segments_of(LAYOUT))
    return frames({"prefix": trace}, {"prefix": {trace[-1].turn: [0, 1]}})[-1]


# -- in any style ----------------------------------------------------------------------------------

ODD = r"$\foo$"  # a name that a reader may give, and mathematics that matplotlib cannot read
SCORE, QUALITY = Score(3, 4), {"ism": (0.5, 0.4, 0.6), "causal": (0.7, 0.6, 0.8)}
EXACT = {"recall": [1, 2], "ack": [1, 2]}
METRICS = {ODD: [{"step": n, "tokens": n, "seen": n, "loss": 1 / n, "exact": EXACT} for n in (100, 200)]}
DIALOGUE = one_query(["a", "$b_0", "c"])
SEEN = np.tri(3, dtype=bool)
HEAD, OTHER = (SEEN / 3.0, SEEN), (np.eye(3), SEEN)
TITLES = ("ism", ODD)
HEADS = np.stack([[HEAD[0], OTHER[0]]])  # [layers, H, T, T]
SAID = messages_of(["The price is $5_0$. " * 5, "Okay.", "Why?"])
TURNS = turn_costs(plan("ism", segments_of(LAYOUT)))
DRAWN: dict[str, Callable[[], Figure]] = {
    "attention_figure": lambda: attention_figure({"a": HEAD, ODD: OTHER}, DIALOGUE, row=1),
    "cache_figure": lambda: cache_figure(film()[0][-1], film()[1]),
    "chat_figure": lambda: chat_figure({"ism": (SAID, TURNS), ODD: (SAID[:2], TURNS[:1])}),
    "curve_figure": lambda: curve_figure(METRICS),
    "difference_figure": lambda: difference_figure(HEAD, OTHER, DIALOGUE, titles=TITLES, row=1),
    "error_figure": lambda: error_figure({ODD: np.ones((2, 2))}, [0, 1], x_label="layers"),
    "gallery_figure": lambda: gallery_figure(GALLERY[:2]),
    "head_bars_figure": lambda: head_bars_figure({ODD: np.ones((1, 2)) / 2}, ylabel="ahead"),
    "heads_figure": lambda: heads_figure(HEADS, SEEN, [["a", ODD]], title=ODD),
    "interval_figure": lambda: interval_figure({"one": QUALITY, ODD: QUALITY}, x_label="right"),
    "loss_figure": lambda: loss_figure({ODD: [2.0, 1.0]}, start=1.5),
    "mask_figure": lambda: mask_figure({"a": SEEN, ODD: ~SEEN}, DIALOGUE, row=1, staircase=True),
    "path_figure": lambda: path_figure({ODD: np.eye(2)}, np.eye(2), [1.0, 2.0], [1.0, 1.0]),
    "progress_figure": lambda: progress_figure(METRICS),
    "score_figure": lambda: score_figure({ODD: {"recall": SCORE}}),
    "seed_dots_figure": lambda: seed_dots_figure({ODD: {"ism": [0.5, 0.6]}}, y_label="right"),
    "seeds_figure": lambda: seeds_figure({ODD: [[(1, 0.5), (2, 0.6)]]}, x_label="steps", y_label="right"),
    "stages_figure": lambda: stages_figure(np.ones(3), SEEN[1], HEAD[0][1], DIALOGUE, 1),
    "swap_figure": lambda: swap_figure(HEAD, OTHER, DIALOGUE, titles=TITLES, heading=ODD),
    "turn_cost_figure": lambda: turn_cost_figure({ODD: TURNS}),
    "curves before the first step": lambda: curve_figure({"ism": []}),
    "progress before the first step": lambda: progress_figure({"ism": []}),
    "a chat that has not begun": lambda: chat_figure({"ism": ([], [])}),
    "a cache that is trusted blindly": lambda: cache_figure(blind_frame(), DIALOGUE),
    "one mask over many tokens": lambda: mask_figure({"a": np.tri(37, dtype=bool)}, one_query(["token"] * 37)),
    "the exercises' _schedule": lambda: _schedule([0.1, 0.2], ODD),
}
"""Every figure of the package, with little in it."""


def test_every_figure_is_among_them() -> None:
    names = [f"{views.__name__}.{each.name}" for each in pkgutil.iter_modules(views.__path__)]
    found = {
        name
        for module in map(importlib.import_module, names)
        for name, each in inspect.getmembers(module, inspect.isfunction)
        if inspect.signature(each).return_annotation == "Figure" and not name.startswith("_")
    }
    assert found == {name for name in DRAWN if " " not in name}


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_looks_the_same_in_any_style(name: str) -> None:
    plain = png_bytes(DRAWN[name](), dpi=40)
    with style.context(["dark_background", {"text.usetex": True, "font.size": 30, "axes.grid": True}]):
        assert png_bytes(DRAWN[name](), dpi=40) == plain
        assert mpl.rcParams["font.size"] == 30, "a reader's style is left as it was"


@pytest.mark.parametrize("name", DRAWN)
def test_no_text_is_read_as_mathematics(name: str) -> None:
    figure = DRAWN[name]()
    figure.draw_without_rendering()
    assert [text for text in figure.findobj(Text) if text.get_text() and text.get_parse_math()] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWN)
def test_nothing_is_cut_off_when_a_figure_is_drawn_for_the_first_time(name: str) -> None:
    figure = DRAWN[name]()
    figure.savefig(BytesIO())
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()  # in inches, both
    assert min(drawn.x0, drawn.y0, width - drawn.x1, height - drawn.y1) > -0.01


def test_a_figure_that_matplotlib_saves_has_its_own_paper() -> None:
    def corner(**options: bool) -> tuple[int, ...]:
        file = BytesIO()
        mask_figure(SEEN, DIALOGUE).savefig(file, **options)
        with Image.open(file) as picture:
            pixel = picture.getpixel((0, 0))
        assert isinstance(pixel, tuple)
        return pixel

    with style.context("dark_background"):
        assert corner() == (255, 255, 255, 255)
        assert corner(transparent=True)[3] == 0
