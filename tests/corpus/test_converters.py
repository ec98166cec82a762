"""Converters: other formats as messages, and what can be read in two ways refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from mini_ism.corpus import read_dialogues
from mini_ism.corpus.converters import CONVERTERS

USER, ANSWER = {"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}
HUMAN, GPT = {"from": "human", "value": "Hi."}, {"from": "gpt", "value": "Hello."}
SYSTEM = {"role": "system", "content": "Be kind."}


def text(*pieces: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": piece} for piece in pieces]


def call(*names: str, **more: Any) -> dict[str, Any]:
    calls = [{"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": '{"animal": "pia"}'}}
             for n, name in enumerate(names)]  # fmt: skip
    return {"role": "assistant", "content": None, "tool_calls": calls, **more}


RESULT = {"role": "tool", "tool_call_id": "c0", "content": "fish"}
CALLED = {"role": "assistant", "content": 'food {"animal": "pia"}'}


def read(folder: Path, record: Any, *convert: str) -> list[dict[str, Any]]:
    file = folder / "zoo.jsonl"
    file.write_text("\n" + json.dumps(record), encoding="utf-8")
    (dialogue,) = read_dialogues(file, convert=convert)
    return dialogue.messages


@pytest.mark.parametrize(
    ("name", "record", "messages"),
    [
        ("sharegpt", {"conversations": [HUMAN, GPT]}, [USER, ANSWER]),
        ("sharegpt", [HUMAN, GPT], [USER, ANSWER]),
        ("sharegpt", {"conversations": [HUMAN, GPT], "system": "Be kind."}, [SYSTEM, USER, ANSWER]),
        ("sharegpt", {"conversations": [HUMAN, GPT], "system": ""}, [USER, ANSWER]),
        ("sharegpt", [{"from": "system", "value": "Be kind."}, HUMAN, GPT], [SYSTEM, USER, ANSWER]),
        (
            "sharegpt",
            [HUMAN, {**GPT, "weight": 0}, HUMAN, GPT],
            [USER, {**ANSWER, "weight": 0}, USER, ANSWER],
        ),
        ("sharegpt", [USER, ANSWER], [USER, ANSWER]),  # a file may hold both formats
        ("parts", [{**USER, "content": text("Hi.")}, ANSWER], [USER, ANSWER]),
        ("parts", [{**USER, "content": text("Hi.\n", "You.")}, ANSWER], [{**USER, "content": "Hi.\nYou."}, ANSWER]),
        (
            "parts",
            {"messages": [{**USER, "content": text("A", " b", "")}, ANSWER]},
            [{**USER, "content": "A b"}, ANSWER],
        ),
        ("tools", [USER, call("food"), RESULT, ANSWER], [USER, CALLED, {**USER, "content": "fish"}, ANSWER]),
        ("tools", [USER, call("food"), USER, ANSWER], [USER, CALLED, USER, ANSWER]),
        (
            "tools",
            [USER, {**call(), "tool_calls": [{"function": {"name": "food", "arguments": {"n": 1}}}]}],
            [USER, {**ANSWER, "content": 'food {"n": 1}'}],
        ),
    ],
)
def test_what_is_converted(tmp_path: Path, name: str, record: Any, messages: Any) -> None:
    assert read(tmp_path, record, name) == messages


def test_one_after_the_other(tmp_path: Path) -> None:
    """Whatever the order in which they are named: parts inside of ShareGPT's turns, and as a tool's result."""
    record = {"conversations": [{**HUMAN, "value": text("Hi.")}, GPT]}
    assert read(tmp_path, record, "parts", "sharegpt") == [USER, ANSWER]
    told = read(tmp_path, [USER, call("food"), {**RESULT, "content": text("fish")}, ANSWER], "tools", "parts")
    assert told[2] == {**USER, "content": "fish"}


@pytest.mark.parametrize(
    ("name", "record", "message"),
    [
        (
            "sharegpt",
            {"conversations": [HUMAN, GPT], "messages": [USER, ANSWER]},
            'both "conversations" and "messages"',
        ),
        ("sharegpt", {"conversations": "Hi."}, '"conversations" must be a list of turns, got .Hi'),
        ("sharegpt", {"conversations": [HUMAN, "Hi."]}, 'message 1 must have "from" and "value"'),
        ("sharegpt", [{"from": "bing", "value": "Hi."}], "message 0 is from 'bing'; speakers are system, human"),
        ("sharegpt", [{"from": ["human"], "value": "Hi."}], "message 0 is from"),
        (
            "sharegpt",
            {"conversations": [{"from": "system", "value": "A"}, HUMAN, GPT], "system": "B"},
            'a "system" prompt beside the turns and another one among them',
        ),
        ("sharegpt", [GPT, HUMAN], "message 0 is from 'assistant', but here"),
        ("parts", [{**USER, "content": text("Hi.", "You.")}, ANSWER], "parts 0 and 1 of message 0 do not say how"),
        ("parts", [USER, {**ANSWER, "content": [{"type": "image_url"}]}], "part 0 of message 1 is of type 'image_url'"),
        ("parts", [{**USER, "content": ["Hi."]}, ANSWER], "part 0 of message 0 is of type 'str'"),
        ("tools", [USER, call("food", "house")], "message 1 calls several tools at once"),
        ("tools", [USER, call("food", content="Let me see.")], "message 1 has text and a tool call"),
        ("tools", [USER, {**call(), "tool_calls": [{"function": {}}]}], 'of message 1 must have a "function" with a'),
        ("tools", [USER, ANSWER, RESULT], "message 2 is a tool's result, but no tool was called just before"),
        ("tools", [USER, call("food"), {**RESULT, "tool_call_id": "c7"}], "message 2 answers the tool call 'c7', but"),
        ("tools", [USER, call("food"), RESULT, RESULT], "message 3 is a tool's result, but no tool was called"),
        ("tools", [USER, {**ANSWER, "function_call": {"name": "food"}}], "message 1 has 'function_call'"),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, record: Any, message: str) -> None:
    with pytest.raises(ValueError, match=rf"zoo\.jsonl, line 2: .*{message}"):
        read(tmp_path, record, name)


def test_a_converter_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no converter named 'alpaca'; there are: sharegpt, parts, tools"):
        read(tmp_path, [USER, ANSWER], "alpaca")


@pytest.mark.parametrize("name", CONVERTERS)
@pytest.mark.parametrize("record", [3, None, "text", {"messages": 3}, {"conversations": 3}, [], [3], [[3]]])
def test_what_is_no_dialogue_is_no_crash(tmp_path: Path, name: str, record: Any) -> None:
    with pytest.raises(ValueError, match=r"zoo\.jsonl"):
        read(tmp_path, record, name)
