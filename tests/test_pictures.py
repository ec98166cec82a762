"""The pictures of README and guide: there, small, in words as well, and drawn from what the package says."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from mini_ism import encode_dialogue, load_tokenizer
from mini_ism.cost import plan
from mini_ism.trace import turn_costs
from tools import make_pictures
from tools.make_pictures import DIALOGUE, DRAWN, LANES, ONE_MORE_TURN, PICTURES

PAGES = (PICTURES.parent / "README.md", PICTURES / "guide.md")
SHOWN = {
    page.parent / link: " ".join(alt.split())
    for page in PAGES
    for alt, link in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
}
"""The text alternative of each picture that these pages show, by its file."""
MEGABYTE = 2**20
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def film() -> ET.Element:
    return ET.fromstring((PICTURES / "cache_player.svg").read_text(encoding="utf-8"))


def moved(film: ET.Element) -> Iterator[tuple[ET.Element, ET.Element]]:
    """Each element that is animated, and its animation."""
    for element in film.iter():
        for child in element:
            if child.tag in (f"{SVG}animate", f"{SVG}animateTransform"):
                yield element, child


def times(animation: ET.Element) -> list[float]:
    return [float(time) for time in animation.attrib["keyTimes"].split(";")]


def test_the_pages_show_what_the_command_draws() -> None:
    assert {path.name for path in SHOWN} == set(DRAWN)


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.name)
def test_a_picture_of_a_page(path: Path) -> None:
    assert path.is_file(), "run `python -m tools.make_pictures`"
    assert 0 < path.stat().st_size <= MEGABYTE
    assert len(SHOWN[path].split()) >= 12, f"{path} needs words for those who cannot see it"


@pytest.mark.slow
def test_drawn_twice_the_bytes_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_pictures, "SHARP", 40)  # coarse is quick
    for name, draw in DRAWN.items():
        assert draw() == draw(), name


def test_the_film_is_up_to_date() -> None:
    """A PNG's bytes depend on matplotlib's version, those of the film on the package alone."""
    film = (PICTURES / "cache_player.svg").read_bytes()
    assert make_pictures.cache_player() == film, "run `python -m tools.make_pictures`"


def test_the_film_moves_and_shows_all_lanes(film: ET.Element) -> None:
    texts = [text.text for text in film.iter(f"{SVG}text")]
    assert set(LANES) <= set(texts)
    lanes = [group for group in film.iter(f"{SVG}g") if group.get("class") == "mi-lane"]
    assert len(lanes) == len(LANES)
    for lane in lanes:
        looks = {box.get("class") for box in lane}
        assert {"mi-waiting", "mi-computed", "mi-decoded"} < looks
        assert len(list(moved(lane))) > 10
    assert len({tuple(times(animation)) for _, animation in moved(film)}) > 10
    assert {animation.get("repeatCount") for _, animation in moved(film)} == {"indefinite"}
    assert len({animation.get("dur") for _, animation in moved(film)}) == 1
    for _, animation in moved(film):
        assert len(times(animation)) == len(animation.attrib["values"].split(";"))
        assert times(animation)[0] == 0
        assert all(0 <= a < b <= 1 for a, b in pairwise(times(animation)))


def test_what_cannot_play_shows_the_end(film: ET.Element) -> None:
    for element, animation in moved(film):
        last = animation.attrib["values"].split(";")[-1]
        name = animation.attrib["attributeName"]
        fixed = element.get(name, {"opacity": "1", "visibility": "visible"}.get(name, ""))
        if name == "width":
            assert float(fixed) == pytest.approx(float(last), abs=0.05)
        else:
            assert fixed in (last, f"translate({last})")


def test_the_film_tells_what_the_plan_says(film: ET.Element, monkeypatch: pytest.MonkeyPatch) -> None:
    segments = encode_dialogue(DIALOGUE + ONE_MORE_TURN, load_tokenizer()).segments
    totals = {}
    for name, mask in LANES.items():
        costs = turn_costs(plan(mask, segments))
        totals[name] = sum(cost.computed for cost in costs)
        assert len(costs) == 3
    told = ", ".join(f"{name} {total}" for name, total in totals.items())
    assert told in film.attrib["aria-label"]
    assert totals["prefix"] > 2 * totals["ISM"] == 2 * totals["causal"]
    said = re.findall(r"\d+", SHOWN[PICTURES / "cache_player.svg"])
    assert said == [str(totals["ISM"]), str(totals["prefix"])]

    monkeypatch.setattr(make_pictures, "plan", lambda mask, segments: plan("prefix", segments))
    other = make_pictures.cache_player().decode()
    assert f"causal {totals['prefix']}, prefix {totals['prefix']}, ISM {totals['prefix']}" in other
