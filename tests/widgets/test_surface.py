"""The front end's Python half: picks from the page are handed on, and what is not one is ignored."""

from typing import Any

import pytest

from mini_ism.widgets.surface import Surface, picked_index


@pytest.fixture
def picked() -> tuple[Surface, list[Any]]:
    surface = Surface("<svg></svg>")
    picks: list[Any] = []
    surface.on_pick(picks.append)
    return surface, picks


def test_a_pick_is_handed_on_each_time_it_is_made(picked: tuple[Surface, list[Any]]) -> None:
    surface, picks = picked
    for count in (1, 2):
        surface.event = {"pick": "grid", "row": 3, "column": None, "count": count}
    surface.event = {"pick": "token", "text": "<b>", "count": 3}
    assert picks == [{"pick": "grid", "row": 3, "column": None}] * 2 + [{"pick": "token", "text": "<b>"}]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"row": 1},
        {"pick": 7},
        {"pick": None},
        {"pick": "grid", "row": 1.5},
        {"pick": "grid", "row": True},
        {"pick": "grid", "row": [1]},
        {"pick": "x" * 201},
        {"pick": "grid", "x" * 201: 1},
        {"pick": "grid", 3: 1},
    ],
)
def test_what_is_no_pick_is_ignored(event: Any, picked: tuple[Surface, list[Any]]) -> None:
    surface, picks = picked
    surface.event = {**event, "count": 1}
    assert picks == []


def test_numbers_are_within_their_limits() -> None:
    pick: dict[str, int | str | None] = {"pick": "grid", "row": 3, "column": None, "text": "3"}
    assert picked_index(pick, "row", below=4) == 3
    assert picked_index({**pick, "row": 0}, "row", below=4) == 0
    for name, below in (("row", 3), ("column", 9), ("text", 9), ("nothing", 9)):
        assert picked_index(pick, name, below=below) is None
    assert picked_index({"pick": "grid", "row": -1}, "row", below=4) is None


def test_it_brings_its_front_end_along() -> None:
    state = Surface("<svg></svg>").get_state()
    assert state["value"] == "<svg></svg>"
    assert "export function mount" in state["_esm"]
    assert ".mi-surface" in state["_css"]
    for text in (state["_esm"], state["_css"]):
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "")  # nothing is loaded from anywhere
