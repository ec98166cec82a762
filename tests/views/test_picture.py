"""Pictures show themselves, in a notebook and as files of their own."""

import re
import xml.etree.ElementTree as ET
from base64 import b64decode
from html import unescape

import numpy as np
import pytest

from mini_ism import get_mask
from mini_ism.blind_cache import answer_blindly
from mini_ism.exercises.core import wrong
from mini_ism.views import TokenizedDialogue, mask_map, row_strip, stale_proof, standalone
from mini_ism.views.picture import Picture, bundle
from mini_ism.views.styles import DARK, LIGHT
from mini_ism.views.svg import captioned
from mini_ism.widgets.panel import EXAMPLE
from tests.small_models import small
from tests.strategies import segments_of
from tests.views.drawn import one_query


def html_of(picture: Picture) -> str:
    return str(picture._repr_mimebundle_()[0]["text/html"])


def test_a_bundle_without_a_widget_has_no_view() -> None:
    assert set(bundle("words", b"png")[0]) == {"text/plain", "image/png"}
    view = bundle("words", b"png", "id1")[0]["application/vnd.jupyter.widget-view+json"]
    assert bundle("words", b"png")[1] == {"image/png": {"alt": "words"}}  # what nbconvert takes for the image's alt
    assert bundle("words", "<b>html</b>")[1] == {}
    assert view == {"version_major": 2, "version_minor": 0, "model_id": "id1"}


def test_a_picture_shows_itself() -> None:
    drawn = mask_map(np.eye(2), one_query(["a", "<b>"]), title="eye", row=1)
    data = drawn._repr_mimebundle_()[0]
    assert data["text/plain"] == drawn.alt
    assert drawn.alt == "eye: 2 of 4 pairs are visible, 0 look ahead; <b> (1) sees 1 (1 of 2)"
    found = re.fullmatch(r'<img alt="([^"]*)" src="data:image/svg\+xml;base64,([^"]+)" style="[^"]*">', html_of(drawn))
    assert found is not None
    assert unescape(found[1]) == drawn.alt
    assert b64decode(found[2]).decode() == standalone(drawn)


def test_a_caption_stands_once() -> None:
    svg = '<svg xmlns="http://www.w3.org/2000/svg"></svg>'
    assert html_of(Picture(svg, "what it shows", "1 < 2")).count("1 &lt; 2") == 1
    assert "caption" not in html_of(Picture(svg, "what it shows"))


def test_an_output_holds_nothing_that_a_sanitiser_takes_out() -> None:
    turn = answer_blindly(*small("prefix", 1), EXAMPLE, longest=6)[1]
    dialogue = TokenizedDialogue(["a", "b", "c"], ["system", "user", "assistant"], [0, 1, 2])
    outputs = [
        bundle("a caption", captioned("<b>in a widget</b>", "<svg>"))[0],
        stale_proof(turn, "prefix")._repr_mimebundle_()[0],
        row_strip([True, True, False], dialogue, 0)._repr_mimebundle_()[0],
        get_mask("ism")._repr_mimebundle_()[0],
        wrong("why", yours=mask_map(np.eye(2), one_query(["a", "b"])))._repr_mimebundle_()[0],
    ]
    for data in outputs:
        html = str(data["text/html"])
        assert re.search(r"<svg|<style|<script|var\(", html) is None, html


@pytest.mark.parametrize("dark", [False, True])
def test_a_picture_stands_alone(dark: bool) -> None:
    s = segments_of([("user", 3), ("assistant", 2)])
    dialogue = TokenizedDialogue(list("abcde"), ["user"] * 5, [0, 0, 0, 1, 1])
    drawn = mask_map(get_mask("ism").dense(s), dialogue, staircase=True)
    alone = standalone(drawn, dark=dark)
    ET.fromstring(alone)
    assert "var(" not in alone
    assert "<style" not in alone
    assert (DARK if dark else LIGHT)["ahead"] in alone
    with pytest.raises(ValueError, match="svg"):
        standalone("<div></div>")
