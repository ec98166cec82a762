"""The mask explorer without a browser: what it says for given controls, and that nothing a user types breaks it."""

import base64
import html
import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from torch import Tensor

from mini_ism import GPT, Mask, Segments, encode_dialogue, load_tokenizer, register_mask
from mini_ism.cost import SHIPPED
from mini_ism.dialogue import encode_message
from mini_ism.widgets import MaskExplorer
from mini_ism.widgets.panel import EXAMPLE
from mini_ism.widgets.rule_text import turned
from mini_ism.widgets.surface import Surface
from tests.strategies import segments_of
from tests.test_expressions import REFUSED

TOKENIZER = load_tokenizer()
LENGTHS = [len(encode_message(message, TOKENIZER)) for message in EXAMPLE]
STARTS = [sum(LENGTHS[:n]) for n in range(len(LENGTHS) + 1)]
SCRIPT = "<script>alert(1)</script>"


def segment_of(position: int) -> int:
    return max(n for n in range(len(LENGTHS)) if STARTS[n] <= position)


def reach(rule: str, position: int, messages: int) -> int:
    """One past the last position that a position sees, written from the definitions."""
    segment = segment_of(position)
    query = segment % 2 == 0
    if rule == "ism" and query:
        return STARTS[segment + 1]
    if rule == "prefix":
        last_query = max(n for n in range(messages) if n % 2 == 0)
        return max(position + 1, STARTS[last_query + 1])
    return position + 1


@pytest.mark.parametrize("rule", ["causal", "prefix", "ism"])
@pytest.mark.parametrize("turn", [1, 2])
def test_the_status_line_says_what_each_row_sees(rule: str, turn: int) -> None:
    explorer = MaskExplorer(mask=rule)
    explorer.turn.value = turn
    total = STARTS[2 * turn]
    assert explorer.row.max == total - 1
    for position in range(total):
        explorer.row.value = position
        stop = reach(rule, position, 2 * turn)
        seen = "0" if stop == 1 else f"0..{stop - 1}"
        assert explorer.status.endswith(f"({position}) sees {seen} ({stop} of {total})")


@pytest.mark.parametrize(("rule", "kept"), [("causal", 1.0), ("ism", 1.0), ("prefix", 0.0)])
@pytest.mark.parametrize("turn", [1, 2])
def test_the_counters_say_what_the_cache_keeps(rule: str, kept: float, turn: int) -> None:
    explorer = MaskExplorer(mask=rule)
    explorer.turn.value = turn
    total = STARTS[2 * turn]
    assert f"the cache keeps {int(kept * total)} of {total} positions" in explorer.counters.value
    pairs = sum(reach(rule, position, 2 * turn) for position in range(total))
    assert f"{pairs:,} of {total * total:,}" in explorer.counters.value
    flops = GPT(SHIPPED).flops(total, pairs)
    assert f"{flops / 1e6:.1f} MFLOP (a shipped model, visible pairs only)" in explorer.counters.value


def test_a_rule_that_cannot_be_read_is_told_in_place_and_forgiven() -> None:
    explorer = MaskExplorer()
    picture, said = explorer.picture.value, explorer.status
    for rule, complaint in [
        ("ism &", "cannot read mask"),
        ("ims", "unknown mask 'ims'"),
        ("", "cannot read mask"),
        ("same_query", "leaves position"),
        ("sliding_window('a')", "must be a whole number"),
        ("__import__('os')", "unknown mask '__import__'"),
        (f"{SCRIPT}", "cannot read mask"),
    ]:
        explorer.rule.value = rule
        assert complaint in explorer.error
        assert explorer.picture.value == picture
        assert explorer.status == said
        assert 'role="alert"' in explorer._error.value
        assert "<script" not in explorer._error.value
    explorer.rule.value = "causal"
    assert explorer.error == ""
    assert explorer._error.value == ""
    assert explorer.picture.value != picture


EMPTY_ROWS = ["q < kv", "~causal", "~(causal | same_query)", "sliding_window(0)", "same_query", "s.is_query[q]"]


def test_the_box_takes_each_remedy_that_it_gives() -> None:
    """What stands in backticks in an error can be pasted into the box."""
    explorer, remedies = MaskExplorer(), set()
    for text in [*(text for text, _ in REFUSED), *EMPTY_ROWS]:
        explorer.rule.value = text
        assert explorer.error
        assert "--import" not in explorer.error  # nobody gives a widget an option
        found = re.findall("`([^`]*)`", explorer.error)
        assert found or text not in EMPTY_ROWS
        remedies |= set(found)
    assert len(remedies) > len(EMPTY_ROWS) + 2
    for remedy in remedies:
        explorer.rule.value = remedy
        assert explorer.error == ""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("", "message 1 (user) is empty"), (" \n", "is empty"), ("cup " * 1250, "at most 512")],
)
def test_a_message_that_cannot_be_drawn_is_told_in_place(text: str, complaint: str) -> None:
    explorer = MaskExplorer()
    box = explorer.editor.rows[0].text
    before = box.value
    box.value = text
    assert complaint in explorer.error
    explorer.row.value = 1  # still alive
    assert "(1) sees" in explorer.status
    box.value = before
    assert explorer.error == ""


@pytest.mark.slow
@pytest.mark.parametrize("text", [SCRIPT, "🦊🦊", "a < b & c > d", "<|assistant|>", "\x00\x1b[31m"])
def test_what_users_write_is_text_and_nothing_else(text: str) -> None:
    explorer = MaskExplorer()
    explorer.editor.rows[0].text.value = text
    assert explorer.error == ""
    for value in (
        explorer.picture.value,
        explorer.small.value,
        explorer.counters.value,
        explorer._status.value,
    ):
        assert "<script" not in value
        assert "\x00" not in value
    for row in range(explorer.row.max + 1):
        explorer.row.value = row
        assert f"({row}) sees" in html.unescape(explorer._status.value)


def test_presets_options_and_rule_agree() -> None:
    explorer = MaskExplorer()
    explorer.preset.value = "causal in a window, with a sink"
    assert explorer.rule.value == "causal & (sliding_window(8) | sink(2))"
    assert explorer.preset.value == "causal in a window, with a sink"
    assert explorer.rules.sink.disabled
    explorer.preset.value = "ISM"
    assert not explorer.rules.sink.disabled
    explorer.row.value = 0
    explorer.rules.sink.value = True
    assert explorer.rule.value == "ism(sink=True)"
    assert explorer.status.endswith(f"(0) sees 0 (1 of {STARTS[4]})")
    explorer.rules.system_as_query.value = False
    assert explorer.rule.value == "ism(sink=True, system_as_query=False)"
    explorer.rule.value = "ism"
    assert (explorer.rules.sink.value, explorer.rules.system_as_query.value) == (False, True)
    assert explorer.preset.value == "ISM"


def test_turns_come_and_go() -> None:
    explorer = MaskExplorer()
    explorer.editor.add_turn.click()
    assert (len(explorer.messages), explorer.turn.max, explorer.turn.value) == (6, 3, 3)
    explorer.row.value = explorer.row.max
    for _ in range(3):
        explorer.editor.remove_turn.click()
        assert explorer.error == ""
        if explorer.editor.remove_turn.disabled:
            break
    assert len(explorer.messages) == 2
    assert explorer.row.value == explorer.row.max == STARTS[2] - 1
    explorer.editor.system.value = True
    assert explorer.messages[0]["role"] == "system"
    explorer.editor.system.value = False
    assert [message["role"] for message in explorer.messages] == ["user", "assistant"]


def test_an_open_question_can_be_explored() -> None:
    explorer = MaskExplorer([{"role": "user", "content": "Where is the cup?"}], mask="prefix")
    assert explorer.error == ""
    assert "positions" in explorer.counters.value
    explorer.editor.add_turn.click()
    assert [message["role"] for message in explorer.messages] == ["user", "assistant"]


def test_nothing_is_sent_that_did_not_change() -> None:
    explorer = MaskExplorer()
    changes: list[Any] = []
    for part in (explorer.small, explorer.counters, explorer._error):
        part.observe(changes.append, "value")
    explorer.row.value = 7
    assert changes == []


def test_a_click_chooses_the_token() -> None:
    explorer = MaskExplorer()
    picks: list[tuple[Surface, dict[str, Any], int]] = [
        (explorer.picture, {"pick": "grid", "row": 7, "column": 2}, 7),
        (explorer.picture, {"pick": "grid", "row": None, "column": 3}, 3),
        (explorer.picture, {"pick": "grid", "row": 5, "column": None}, 5),
        (explorer.strip, {"pick": "token", "token": 0}, 0),
        (explorer.strip, {"pick": "token", "token": 999}, 0),
        (explorer.strip, {"pick": "token", "token": "8"}, 0),
        (explorer.picture, {"row": 9}, 0),
    ]
    for count, (surface, pick, token) in enumerate(picks):
        surface.event = {**pick, "count": count}
        assert explorer.row.value == token
        assert f"({token}) sees" in explorer.status


@pytest.mark.slow
def test_what_was_clicked_may_be_gone_by_now() -> None:
    explorer = MaskExplorer()
    last = explorer.row.max
    explorer.turn.value = 1
    explorer.picture.event = {"pick": "grid", "row": last, "column": 0, "count": 1}
    assert explorer.row.value <= explorer.row.max


# -- directions -----------------------------------------------------------------------------------


def switch(explorer: MaskExplorer, message: int, both_ways: bool) -> None:
    explorer.editor.rows[message].direction.value = both_ways


def signs(explorer: MaskExplorer) -> str:
    """The messages' directions as one letter each: b(oth ways), (backward)s, p(artly)."""
    letters = {"⇄ both ways": "b", "← backwards": "s", "⇄ partly": "p", "later turn": "-"}
    return "".join(letters[row.direction.description] for row in explorer.editor.rows)


def test_a_switched_direction_is_written_into_the_rule() -> None:
    explorer = MaskExplorer()
    explorer.row.value = STARTS[2]
    assert signs(explorer) == "bsbs"
    switch(explorer, 2, False)
    assert (explorer.rule.value, signs(explorer)) == ("ism & (causal | ~inside(2))", "bsss")
    assert f"sees 0..{STARTS[2]} " in explorer.status
    switch(explorer, 0, False)
    assert (explorer.rule.value, signs(explorer)) == ("ism & (causal | ~(inside(0) | inside(2)))", "ssss")
    assert "· causal" in explorer.counters.value or ">causal" in explorer.counters.value
    switch(explorer, 0, True)
    switch(explorer, 2, True)
    assert (explorer.rule.value, explorer.preset.value) == ("ism", "ISM")
    explorer.rule.value = "causal"
    switch(explorer, 1, True)
    assert (explorer.rule.value, signs(explorer)) == ("causal | inside(1)", "sbss")
    assert explorer.preset.value == "your own rule"


@pytest.mark.slow
def test_an_exception_is_taken_back_whatever_it_was_made_to() -> None:
    explorer = MaskExplorer()
    for rule in ("prefix", "causal & (sliding_window(8) | sink(2))", "causal | same_segment", "ism(sink=True)"):
        explorer.rule.value = rule
        before = signs(explorer)
        for message in range(4):
            reads = before[message] == "b"
            switch(explorer, message, not reads)
            assert signs(explorer)[message] == ("s" if reads else "b")
            switch(explorer, message, reads)
            assert signs(explorer)[message] == ("b" if reads else "s")
        if "p" not in before:
            assert explorer.rule.value == rule


def test_options_live_inside_a_composed_rule() -> None:
    explorer = MaskExplorer()
    switch(explorer, 1, True)
    explorer.rules.sink.value = True
    assert (explorer.rule.value, signs(explorer)) == ("ism(sink=True) | inside(1)", "pbbs")
    switch(explorer, 0, True)  # the sink is what stood in the way
    assert (explorer.rule.value, explorer.rules.sink.value) == ("ism | inside(1)", False)


def test_later_turns_have_no_direction_yet() -> None:
    explorer = MaskExplorer()
    explorer.turn.value = 1
    assert signs(explorer) == "bs--"
    assert explorer.editor.rows[2].direction.disabled


def test_a_direction_that_cannot_be_is_refused() -> None:
    s = segments_of([("user", 3), ("assistant", 2)])
    rule = "~causal & inside(0) | causal & ~inside(0) | ~causal & sliding_window(2)"
    with pytest.raises(ValueError, match=r"segment 0 cannot read backwards .* position 0 would be left"):
        turned(rule, 0, False, [s])


# -- editing --------------------------------------------------------------------------------------


def test_messages_move_through_boxes_that_stay() -> None:
    explorer = MaskExplorer()
    boxes = [row.text for row in explorer.editor.rows]
    first = [message["content"] for message in EXAMPLE]
    explorer.editor.rows[2].up.click()
    assert [box.value for box in boxes] == [first[2], first[3], first[0], first[1]]
    assert [row.text for row in explorer.editor.rows] == boxes
    assert explorer.editor.rows[0].up.disabled
    assert explorer.editor.rows[0].down.tooltip == "Move turn 1 down"
    assert explorer.status.endswith(f"of {STARTS[4]})")
    explorer.editor.rows[1].remove.click()
    assert explorer.messages[0]["content"] == f"{first[2]} {first[0]}"
    assert (explorer.turn.max, explorer.turn.value) == (1, 1)
    assert explorer.editor.rows[0].remove.disabled
    explorer.editor.rows[1].remove.click()
    assert [message["role"] for message in explorer.messages] == ["user"]
    assert explorer.error == ""


# -- composing, pictures, files -------------------------------------------------------------------


def test_masks_are_joined_to_the_rule() -> None:
    explorer = MaskExplorer(mask="causal")
    explorer.rules.join.value, explorer.rules.part.value = "& both", "sliding_window"
    explorer.rules.apply.click()
    assert explorer.rule.value == "causal & sliding_window"
    explorer.rules.join.value, explorer.rules.part.value = "| either", "same_query"
    explorer.rules.apply.click()
    assert explorer.rule.value == "(causal & sliding_window) | same_query"
    assert explorer.error == ""


@pytest.mark.usefixtures("no_new_masks")
def test_a_rule_of_your_own_is_known_by_its_name() -> None:
    @register_mask
    def evens(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
        return (kv <= q) & ((kv % 2 == 0) | (kv == q))

    @register_mask
    def broken(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
        raise KeyError("oops")

    explorer = MaskExplorer(mask=evens)
    explorer.staircase.value = True
    explorer.row.value = 5
    assert explorer.status.endswith(f"(5) sees 0, 2, 4..5 (4 of {STARTS[4]}); no f(5): there are holes before 5")
    assert "evens" in explorer.rules.part.options
    explorer.rule.value = "broken"
    assert "raised KeyError" in explorer.error
    explorer.rule.value = "evens | ism"
    assert explorer.error == ""
    with pytest.raises(ValueError, match="register_mask"):
        MaskExplorer(mask=Mask(lambda q, kv, s: kv <= q, "nameless"))


def test_a_dialogue_or_mask_that_cannot_be_drawn_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="is empty"):
        MaskExplorer([{"role": "user", "content": " "}])
    with pytest.raises(ValueError, match="nothing to attend to"):
        MaskExplorer(mask="same_query")


def test_a_dialogue_is_drawn_even_if_it_came_while_the_rule_was_broken() -> None:
    explorer = MaskExplorer()
    explorer.rule.value = "inside(0)"
    assert "nothing to attend to" in explorer.error
    explorer.editor.rows[0].text.value = "Where?"
    explorer.rule.value = "ism"
    assert explorer.error == ""
    encoded = encode_dialogue(explorer.messages, TOKENIZER)
    assert explorer.row.max == len(encoded) - 1
    assert explorer.status.endswith(f"of {len(encoded)})")


def test_the_staircase_is_said_and_drawn() -> None:
    explorer = MaskExplorer()
    assert "mi-staircase" not in explorer.picture.value
    explorer.staircase.value = True
    explorer.row.value = 1
    assert explorer.status.endswith(f"; f(1) = {STARTS[1] - 1}")
    assert "mi-staircase" in explorer.picture.value
    explorer.preset.value = "causal in a window, with a sink"
    explorer.row.value = row = explorer.row.max
    assert f"no f({row})" in explorer.status
    path = re.search('"mi-staircase" d="([^"]*)"', explorer.picture.value)
    assert path
    assert path[1].count("V") == 8 + 2  # with a later row the window leaves the sink


def test_the_strip_shows_what_the_row_sees() -> None:
    explorer = MaskExplorer()
    explorer.row.value = 4
    kinds = re.findall(r'class="mi-(back|ahead|hidden)"', explorer.strip.value)
    assert kinds == ["back"] * 5 + ["ahead"] * (STARTS[1] - 5) + ["hidden"] * (STARTS[4] - STARTS[1])


def downloads(explorer: MaskExplorer) -> dict[str, bytes]:
    links = re.findall(r'download="([^"]+)" href="data:[\w/+]+;base64,([^"]+)"', explorer.files.value)
    return {name: base64.b64decode(data) for name, data in links}


def test_what_is_shown_can_be_taken_away() -> None:
    explorer = MaskExplorer()
    explorer.editor.rows[0].text.value = f"{SCRIPT} 🦊"
    explorer.save.click()
    files = downloads(explorer)
    assert files["mask.png"].startswith(b"\x89PNG")
    root = ET.fromstring(files["mask.svg"])
    assert explorer.status in str(root.get("aria-label"))
    explorer.row.value = 1
    assert explorer.files.value == ""  # of another picture


@pytest.mark.parametrize("rule", ["(kv <= q) | (s.id[q] == s.id[kv])", "causal | same_query"])
def test_the_rule_box_takes_what_it_says_it_takes(rule: str) -> None:
    explorer = MaskExplorer()
    assert rule in html.unescape(explorer.rules.hint.value)
    explorer.rule.value = rule
    assert explorer.error == ""
    explorer.rule.value = explorer.rule.placeholder
    assert explorer.error == ""
    assert explorer.preset.value == "your own rule"
