"""JSON as the standard has it, whatever Python's own module lets through."""

import math

import pytest

from mini_ism.strict_json import from_json, json_lines, to_json


def test_there_and_back() -> None:
    value = {"a": [1, 2.5, None, True, "x\u2028y"]}
    assert from_json(to_json(value)) == value
    assert from_json(to_json(value, indent=2).encode()) == value


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_has_no_word_for(number: float) -> None:
    with pytest.raises(ValueError, match=r"no word for a number that is not finite .*\{'loss': "):
        to_json({"loss": number})


@pytest.mark.parametrize("text", ["NaN", '{"loss": Infinity}', "[-Infinity]", "", "{", "[" * 200_000, b"\xff"])
def test_what_is_no_json(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        from_json(text)


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0c", "\r", "\x1c"])
def test_only_a_line_feed_ends_a_line(mark: str) -> None:
    assert json_lines(f"a{mark}b\nc\n".encode()) == [f"a{mark}b", "c"]
    assert json_lines(f"a{mark}b\nc".encode()) == [f"a{mark}b", "c"]
    assert json_lines(b"") == []


def test_a_key_that_is_given_twice() -> None:
    with pytest.raises(ValueError, match="'b' is given twice in one object"):
        from_json('[{"a": 1, "b": {"a": 2}, "b": 3}]')


def test_a_value_that_holds_itself() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="JSON cannot hold a value that holds itself"):
        to_json(endless)
