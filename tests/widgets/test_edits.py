"""Edits of a dialogue: no edit breaks it."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_ism.dialogue import check_messages
from mini_ism.widgets.edits import Edit, Messages, copied, grown, moved, removed, shrunk, with_system


def said(messages: Messages) -> str:
    return " ".join(message["content"] for message in messages)


def conversation(text: str) -> Messages:
    """``"S a b c"`` as system, user, assistant, user; capital S alone is the system prompt."""
    words = text.split()
    system = [{"role": "system", "content": "S"}] if words[0] == "S" else []
    rest = words[len(system) :]
    return system + [{"role": ("user", "assistant")[n % 2], "content": word} for n, word in enumerate(rest)]


@pytest.mark.parametrize(
    ("before", "number", "step", "after"),
    [
        ("q1 a1 q2 a2", 2, -1, "q2 a2 q1 a1"),
        ("q1 a1 q2 a2", 0, 1, "q2 a2 q1 a1"),
        ("q1 a1 q2 a2", 3, -1, "q1 a2 q2 a1"),
        ("q1 a1 q2", 2, -1, "q2 a1 q1"),
        ("q1 a1 q2", 0, 1, "q2 a1 q1"),
        ("q1 a1 q2", 1, 1, "q1 a1 q2"),
        ("q1 a1", 0, -1, "q1 a1"),
        ("S q1 a1 q2 a2 q3", 1, 1, "S q2 a2 q1 a1 q3"),
        ("S q1 a1", 1, -1, "S q1 a1"),
    ],
)
def test_moving_a_message(before: str, number: int, step: int, after: str) -> None:
    assert said(moved(conversation(before), number, step)) == after


@pytest.mark.parametrize(
    ("before", "number", "after"),
    [
        ("q1 a1 q2 a2", 0, "q2 a2"),
        ("q1 a1 q2 a2", 1, "q1 q2 a2"),
        ("q1 a1 q2 a2", 3, "q1 a1 q2"),
        ("q1 a1 q2", 2, "q1 a1"),
        ("q1 a1", 0, "q1 a1"),
        ("S q1 a1", 0, "q1 a1"),
    ],
)
def test_removing_a_message(before: str, number: int, after: str) -> None:
    assert said(removed(conversation(before), number)) == after


@given(st.integers(1, 7), st.booleans(), st.lists(st.tuples(st.sampled_from("+-<>xs"), st.integers(0, 9)), max_size=12))
def test_no_edit_breaks_a_dialogue(length: int, system: bool, edits: list[tuple[str, int]]) -> None:
    messages = conversation(" ".join(["S"] * system + [f"m{n}" for n in range(length)]))
    for edit, where in edits:
        before, number = copied(messages), where % len(messages)
        edits_by_sign: dict[str, Edit] = {
            "+": grown,
            "-": shrunk,
            "<": partial(moved, number=number, step=-1),
            ">": partial(moved, number=number, step=1),
            "x": partial(removed, number=number),
            "s": partial(with_system, wanted=before[0]["role"] != "system"),
        }
        messages = edits_by_sign[edit](messages)
        check_messages(messages)
        if edit in "<>":
            assert sorted(said(messages).split()) == sorted(said(before).split())
