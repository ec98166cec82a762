"""Pictures show themselves, in a notebook and as files of their own."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from mini_ism import get_mask
from mini_ism.views import TokenizedDialogue, mask_map, standalone
from mini_ism.views.picture import bundle
from mini_ism.views.styles import DARK, LIGHT
from tests.strategies import segments_of
from tests.views.drawn import one_query


def test_a_bundle_without_a_widget_has_no_view() -> None:
    assert set(bundle("words", b"png")) == {"text/plain", "image/png"}
    view = bundle("words", b"png", "id1")["application/vnd.jupyter.widget-view+json"]
    assert view == {"version_major": 2, "version_minor": 0, "model_id": "id1"}


def test_a_picture_shows_itself() -> None:
    drawn = mask_map(np.eye(2), one_query(["a", "b"]), title="eye", row=1)
    assert drawn._repr_mimebundle_() == {"text/plain": drawn.alt, "text/html": str(drawn)}
    assert drawn.alt == "eye: 2 of 4 pairs are visible, 0 look ahead; b (1) sees 1 (1 of 2)"


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
