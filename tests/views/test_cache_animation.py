"""The film as one animated picture."""

import xml.etree.ElementTree as ET

import pytest

from mini_ism import encode_dialogue
from mini_ism.cost import plan
from mini_ism.views import tokenized
from mini_ism.views.cache_animation import END, Loop, cache_animation, shots
from mini_ism.views.timeline import frames
from tests.views.drawn import TOKENIZER, one_query
from tools.make_pictures import DIALOGUE

SVG = "{http://www.w3.org/2000/svg}"


def times(animation: ET.Element) -> list[float]:
    return [float(time) for time in animation.attrib["keyTimes"].split(";")]


def test_a_films_cells_are_those_of_its_frames() -> None:
    """At each moment the boxes that lie on top show the states of the frame."""
    encoded = encode_dialogue(DIALOGUE, TOKENIZER)
    film = frames({mask: plan(mask, encoded.segments) for mask in ("prefix", "causal & sliding_window(9)")})
    drawn = ET.fromstring(cache_animation(film, tokenized(encoded, TOKENIZER)))
    cut, total = shots(film), len(encoded)
    length = cut[-1].stop + END
    lanes = [group for group in drawn.iter(f"{SVG}g") if group.get("class") == "mi-lane"]
    side = float(lanes[0][0].attrib["width"]) / total
    for shot in cut:
        for group, lane in zip(lanes, shot.frame.lanes.values(), strict=True):
            states = [""] * total
            for box in group:
                wide = float(box.attrib["width"])
                for animation in box:
                    at = [n for n, time in enumerate(times(animation)) if time * length < shot.stop - 0.01][-1]
                    wide = float(animation.attrib["values"].split(";")[at])
                first = round(float(box.attrib["x"]) / side)
                for position in range(first, first + round(wide / side)):
                    states[position] = box.attrib["class"].removeprefix("mi-")
            assert tuple(states) == lane.states


def test_a_film_needs_frames_and_labels() -> None:
    with pytest.raises(ValueError, match="got 0 frames of 0 positions, and 0 tokens"):
        cache_animation([], one_query([]))
    segments = encode_dialogue(DIALOGUE, TOKENIZER).segments
    with pytest.raises(ValueError, match=r"a token for each position, .* and 1 tokens"):
        cache_animation(frames({"ism": plan("ism", segments)}), one_query(["x"]))


def test_what_never_changes_is_not_moved() -> None:
    loop = Loop(10)
    assert loop.steps("width", [(0.0, 3)]) == loop.shifts([(0.0, "0 0")]) == ""
    assert 'values="visible;hidden" keyTimes="0;0.5"' in loop.between(0, 5)
