"""The film's time line has a box for each step."""

import re

import pytest

from mini_ism.cost import plan
from mini_ism.views.cache_scrubber import cache_scrubber, first_read
from mini_ism.views.timeline import frames
from tests.strategies import segments_of
from tests.views.drawn import LAYOUT


def test_each_step_can_be_chosen_and_one_is_current() -> None:
    film = frames({"ism": plan("ism", segments_of(LAYOUT))}, at_once=2)
    drawn = cache_scrubber(film, 3)
    assert re.findall(r'data-step="(\d+)"', drawn) == [str(n) for n in range(len(film))]
    assert re.findall(r'data-step="(\d+)" aria-current="true"', drawn) == ["3"]
    assert drawn.alt == f"Step 3 of {len(film) - 1}: {film[3].headline}"
    turns = sorted({frame.turn for frame in film} - {0})
    assert re.findall(r">turn (\d+)<", drawn) == [str(turn) for turn in turns]
    with pytest.raises(ValueError, match=f"step {len(film)} is none of the film's {len(film)} steps"):
        cache_scrubber(film, len(film))


def test_a_position_leads_to_the_step_that_first_has_it() -> None:
    film = frames({name: plan(name, segments_of(LAYOUT)) for name in ("causal", "prefix")}, at_once=3)
    for position, step in enumerate(first_read(film)):
        assert film[step].lanes["causal"].states[position] != "waiting"
        assert film[step - 1].lanes["causal"].states[position] == "waiting"
