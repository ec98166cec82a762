"""Pictures: well-formed, escaped, in words as well, and drawn from the cells they claim to show."""

import base64
import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_ism import Segments, encode_dialogue, get_mask, load_tokenizer, svg
from mini_ism.cost import plan, turn_costs
from mini_ism.views import (
    Figure,
    bundle,
    cache_figure,
    cache_strip,
    describe_row,
    frames,
    mask_figure,
    mask_map,
    png_bytes,
    ranges,
    token_labels,
    token_roles,
    turn_cost_figure,
)
from mini_ism.views.axes import GUTTER, STRIP, shown_labels
from tests.strategies import segments_of

TOKENIZER = load_tokenizer()
NASTY = st.text(max_size=12) | st.sampled_from(["<script>alert(1)</script>", "a & b", "\x00\x0b", "]]>", "$x_1$", "🦊"])


def messages_of(texts: list[str]) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    return [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]


def axes(texts: list[str]) -> tuple[Segments, list[str], list[str], list[int]]:
    encoded = encode_dialogue(messages_of(texts), TOKENIZER)
    s = encoded.segments
    return s, token_labels(encoded, TOKENIZER), token_roles(s), s.id.tolist()


def elements(picture: str, name: str, kind: str | None = None) -> list[ET.Element]:
    found = ET.fromstring(picture).iter(f"{{http://www.w3.org/2000/svg}}{name}")
    return [element for element in found if kind is None or element.get("class") == kind]


@settings(max_examples=25)
@given(st.lists(NASTY, min_size=1, max_size=5), st.sampled_from(["causal", "prefix", "ism"]), st.data())
def test_pictures_are_well_formed_whatever_is_said(texts: list[str], rule: str, data: st.DataObject) -> None:
    s, labels, roles, ids = axes(texts)
    row = data.draw(st.none() | st.integers(0, len(s) - 1))
    drawn = mask_map(get_mask(rule).dense(s), labels, roles, ids, title=texts[0], row=row, staircase=True)
    assert elements(drawn, "script") == []
    assert ET.fromstring(drawn).get("role") == "img"
    assert ET.fromstring(drawn).get("aria-label")
    for frame in frames({rule: plan(rule, s), "<b>": plan("causal", s)}):
        assert elements(cache_strip(frame, labels, roles), "script") == []


def painted(path: str, cell: float, total: int) -> np.ndarray:
    """The cells that an SVG path of boxes covers."""
    grid = np.zeros((total, total), dtype=bool)
    for x, y, wide in re.findall(r"M([\d.e-]+) ([\d.e-]+)h([\d.e-]+)", path):
        row, start = round(float(y) / cell), round(float(x) / cell)
        grid[row, start : start + round(float(wide) / cell)] = True
    return grid


@settings(max_examples=20)
@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_the_map_paints_exactly_the_visible_cells(total: int, seed: int) -> None:
    matrix = np.random.default_rng(seed).random((total, total)) < 0.5
    drawn = mask_map(matrix, ["x"] * total, ["user"] * total, [0] * total, title="any")
    cell = round(min(420 / total, 22.0), 2)
    back, ahead = (
        next(p.get("d", "") for p in elements(drawn, "path") if p.get("fill") == fill) for fill in (svg.BACK, svg.AHEAD)
    )
    assert (painted(back, cell, total) == np.tril(matrix)).all()
    assert (painted(ahead, cell, total) == np.triu(matrix, 1)).all()


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=5))
def test_spans_against_a_loop(matrix: list[list[bool]]) -> None:
    expected = []
    for y, row in enumerate(matrix):
        for x, value in enumerate(row):
            if value and (x == 0 or not row[x - 1]):
                stop = next((e for e in range(x, len(row)) if not row[e]), len(row))
                expected.append((y, x, stop))
    assert svg.spans(matrix) == expected


@given(st.sets(st.integers(0, 40)))
def test_ranges_can_be_read_back(positions: set[int]) -> None:
    text = ranges(sorted(positions))
    back: set[int] = set()
    for part in [] if text == "nothing" else text.split(", "):
        first, _, last = part.partition("..")
        back |= set(range(int(first), int(last or first) + 1))
    assert back == positions


def test_a_row_in_words() -> None:
    assert describe_row("Bob", 7, [True] * 13 + [False] * 7) == "Bob (7) sees 0..12 (13 of 20)"
    assert describe_row("x", 1, [True, False, True]) == "x (1) sees 0, 2 (2 of 3)"
    assert describe_row("x", 0, [False]) == "x (0) sees nothing (0 of 1)"


def test_labels_name_markers_and_hide_nothing() -> None:
    _, labels, roles, _ = axes(["the  cup", "a\nb"])
    assert labels[0] == "‹user›"
    assert labels[-1] == "‹end›"
    assert "‹assistant›" in labels
    assert roles[labels.index("‹assistant›")] == "user"
    assert all(label and label.isprintable() for label in labels)


def test_labels_thin_out_but_keep_the_selected_row() -> None:
    assert shown_labels(12, 20, None) == list(range(12))
    shown = shown_labels(128, 3.3, 77)
    assert 77 in shown
    assert 10 <= len(shown) <= 18
    assert all(b - a >= 3 for a, b in pairwise(shown))


@pytest.mark.parametrize("size", [3, 40])
def test_the_legend_fits(size: int) -> None:
    s = segments_of([("system", size), ("user", size), ("assistant", size)])
    labels, roles, ids = ["a"] * len(s), token_roles(s), s.id.tolist()
    drawn = mask_map(get_mask("ism").dense(s), labels, roles, ids, title="ism", staircase=True)
    width = float(ET.fromstring(drawn).get("width", "0"))
    told = [text for text in elements(drawn, "text") if text.text in ("line: f(j)", "hidden", "assistant")]
    assert len(told) == 3
    ends = [GUTTER + STRIP + float(text.get("x", "0")) + 7 * len(text.text or "") for text in told]
    assert max(ends) <= width


def test_the_staircase_ends_where_each_row_ends() -> None:
    s, labels, roles, ids = axes(["the cup", "yes"])
    dense = get_mask("ism").dense(s)
    drawn = mask_map(dense, labels, roles, ids, title="ism", staircase=True, size=22 * len(s))
    path = elements(drawn, "path", "mi-staircase")[0].get("d", "")
    reach = [max(j for j in range(len(s)) if dense[i, j]) + 1 for i in range(len(s))]
    assert [round(float(x) / 22) for x in re.findall(r"[ML]([\d.]+) ", path)] == reach


@pytest.mark.parametrize("row", [-1, 3])
def test_a_row_outside_the_map_is_refused(row: int) -> None:
    with pytest.raises(ValueError, match=f"row {row} is not a position"):
        mask_map(np.eye(3), ["a"] * 3, ["user"] * 3, [0] * 3, title="x", row=row)


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="matrix \\[T, T\\]"):
        mask_map(np.eye(3), ["a"] * 2, ["user"] * 2, [0] * 2, title="x")


def film() -> tuple[list[Any], list[str], list[str]]:
    s, labels, roles, _ = axes(["Where is the cup?", "In the oven.", "Why?", "I do not know."])
    return frames({rule: plan(rule, s) for rule in ("causal", "prefix", "ism")}), labels, roles


def test_the_film_keeps_the_books() -> None:
    steps, labels, _ = film()
    total = len(labels)
    assert steps[0].action == "start"
    assert {lane.computed for lane in steps[0].lanes.values()} == {0}
    ends = {name: lane.computed for name, lane in steps[-1].lanes.items()}
    assert ends["causal"] == ends["ism"] == total
    s = axes(["Where is the cup?", "In the oven.", "Why?", "I do not know."])[0]
    assert ends["prefix"] == sum(cost.computed for cost in turn_costs(plan("prefix", s)))
    assert all("waiting" not in lane.states for lane in steps[-1].lanes.values())
    keep = next(step for step in steps if step.turn == 2 and step.action == "keep")
    seen = int((s.id < 2).sum())
    assert set(keep.lanes["prefix"].states[:seen]) == {"discarded"}
    assert set(keep.lanes["ism"].states[:seen]) == {"reused"}
    assert f"prefix throws away {seen}" in keep.describe()
    assert f"ism keeps {seen}" in keep.describe()


def test_a_shorter_lane_waits() -> None:
    long = axes(["Where?", "In the oven.", "Why?", "I do not know."])[0]
    short = axes(["Where?", "In.", "Why?", "I do."])[0]
    steps = frames({"long": plan("causal", long), "short": plan("causal", short)})
    starts = [step for step in steps if step.turn == 2 and step.action == "keep"]
    assert len(starts) == 1
    assert starts[0].lanes["long"].touched
    assert starts[0].lanes["short"].touched
    assert "short has nothing to do" in " ".join(step.describe() for step in steps)


def test_a_conversation_that_went_back_is_refused() -> None:
    trace = plan("causal", axes(["Where?", "In.", "Why?", "So."])[0])
    with pytest.raises(ValueError, match="went back to turn 1"):
        frames({"a": [*trace, *trace]})
    with pytest.raises(ValueError, match="no conversation"):
        frames({})


def test_the_strip_draws_each_state_where_it_is() -> None:
    steps, labels, roles = film()
    for step in steps:
        drawn = cache_strip(step, labels, roles)
        cell = float(elements(drawn, "pattern")[0].get("width", "0"))
        boxes = [
            r for r in elements(drawn, "rect") if (r.get("class") or "").startswith("mi-") and r.get("fill") != "none"
        ]
        read = [(r.get("class", "")[3:]) for r in boxes for _ in range(round(float(r.get("width", "0")) / cell))]
        assert read == [state for lane in step.lanes.values() for state in lane.states]


def test_figures_speak_and_are_the_same_bytes_twice() -> None:
    s, labels, roles, ids = axes(["Is $5_0$ a lot?", "No."])
    steps = frames({"ism": plan("ism", s)})

    def figures() -> list[Figure]:
        return [
            mask_figure(
                {"ism": get_mask("ism").dense(s), "causal": get_mask("causal").dense(s)},
                labels,
                roles,
                ids,
                row=1,
            ),
            turn_cost_figure({"ism": turn_costs(plan("ism", s))}),
            turn_cost_figure({"ism": []}),
            cache_figure(steps[-1], labels, roles),
        ]

    for first, second in zip(figures(), figures(), strict=True):
        data = first._repr_mimebundle_()
        assert data["text/plain"] == first.alt
        assert len(first.alt.split()) > 4
        png = base64.b64decode(data["image/png"])
        assert png.startswith(b"\x89PNG")
        assert png == png_bytes(second)


def test_a_bundle_without_a_widget_has_no_view() -> None:
    assert set(bundle("words", b"png")) == {"text/plain", "image/png"}
    view = bundle("words", b"png", "id1")["application/vnd.jupyter.widget-view+json"]
    assert view == {"version_major": 2, "version_minor": 0, "model_id": "id1"}


def test_a_picture_shows_itself() -> None:
    drawn = mask_map(np.eye(2), ["a", "b"], ["user"] * 2, [0, 0], title="eye", row=1)
    assert drawn._repr_mimebundle_() == {"text/plain": drawn.alt, "text/html": str(drawn)}
    assert drawn.alt == "eye: 2 of 4 pairs are visible, 0 look ahead; b (1) sees 1 (1 of 2)"


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("colours", "paper"), [(svg.LIGHT, "#ffffff"), (svg.DARK, "#111111")])
def test_colours_have_contrast(colours: dict[str, str], paper: str) -> None:
    for role in ("system", "user", "assistant"):
        assert contrast(colours[role], paper) >= 4.5, role  # text
    for cell in ("back", "ahead"):
        assert contrast(colours[cell], colours["hidden"]) >= 3, cell
