"""Converters: dialogues in other formats, converted to lists of ``{"role": ..., "content": ...}``.

A converter is applied only when requested by name, never by guesswork, and rejects ambiguous input.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Converter:
    """A way to read another format.

    Args:
        summary: one sentence on what it does, which the command line shows.
        looks_like: whether a dialogue seems to be in this format; used only for hints in error messages.
        convert: from one line's JSON value to another; a ``ValueError`` says what cannot be converted.
    """

    summary: str
    looks_like: Callable[[Any], bool]
    convert: Callable[[Any], Any]


SHAREGPT_ROLES = {"system": "system", "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}


def _is_sharegpt(record: Any) -> bool:
    if isinstance(record, dict):
        return "conversations" in record
    return isinstance(record, list) and any(isinstance(turn, dict) and "from" in turn for turn in record)


def _from_sharegpt(record: Any) -> Any:
    """``{"conversations": [{"from": "human", "value": "Hi."}, ...]}``, perhaps with a ``system``; or the bare list."""
    if not _is_sharegpt(record):
        return record
    about: dict[str, Any] = {} if isinstance(record, list) else dict(record)
    turns = record if isinstance(record, list) else about.pop("conversations")
    if "messages" in about:
        raise ValueError('both "conversations" and "messages" are given; leave out one of them')
    if not isinstance(turns, list):
        raise ValueError(f'"conversations" must be a list of turns, got {turns!r:.80}')
    messages = [_sharegpt_message(number, turn) for number, turn in enumerate(turns)]
    if system := about.pop("system", None):
        if any(message["role"] == "system" for message in messages):
            raise ValueError('there is a "system" prompt beside the turns and another one among them; leave out one')
        messages.insert(0, {"role": "system", "content": system})
    return {"messages": messages, **about}


def _sharegpt_message(number: int, turn: Any) -> dict[str, Any]:
    if not isinstance(turn, dict) or not {"from", "value"} <= turn.keys():
        raise ValueError(f'message {number} must have "from" and "value", got {turn!r:.80}')
    speaker = turn["from"]
    if not isinstance(speaker, str) or speaker not in SHAREGPT_ROLES:
        raise ValueError(f"message {number} is from {speaker!r}; speakers are {', '.join(SHAREGPT_ROLES)}")
    rest = {key: value for key, value in turn.items() if key not in ("from", "value")}
    return {"role": SHAREGPT_ROLES[speaker], "content": turn["value"], **rest}


def _on_messages(change: Callable[[list[Any]], list[Any]]) -> Callable[[Any], Any]:
    """A converter of a list of messages, bare or under ``"messages"``; anything else is left alone."""

    def convert(record: Any) -> Any:
        if isinstance(record, list):
            return change(record)
        if isinstance(record, dict) and isinstance(record.get("messages"), list):
            return {**record, "messages": change(record["messages"])}
        return record

    return convert


def _any_message(test: Callable[[Mapping[str, Any]], bool]) -> Callable[[Any], bool]:
    def found(record: Any) -> bool:
        messages = record.get("messages") if isinstance(record, dict) else record
        return isinstance(messages, list) and any(isinstance(m, dict) and test(m) for m in messages)

    return found


def _join_parts(messages: list[Any]) -> list[Any]:
    """``"content": [{"type": "text", "text": "Hi."}, ...]`` becomes one text."""
    return [
        {**message, "content": _joined(number, message["content"])}
        if isinstance(message, dict) and isinstance(message.get("content"), list)
        else message
        for number, message in enumerate(messages)
    ]


def _joined(number: int, parts: Sequence[Any]) -> str:
    text = ""
    for index, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else type(part).__name__
        if kind != "text" or not isinstance(part.get("text"), str):
            raise ValueError(f"part {index} of message {number} is of type {kind!r}; only text can be read here")
        piece = part["text"]
        if text and piece and not (text[-1].isspace() or piece[0].isspace()):
            raise ValueError(
                f"parts {index - 1} and {index} of message {number} do not say how they are joined; "
                "end the first with a space or a new line"
            )
        text += piece
    return text


def _tell_tools(messages: list[Any]) -> list[Any]:
    """A tool call becomes an answer, ``name {"argument": ...}``, and the tool's result the query after it."""
    told: list[Any] = []
    call: dict[str, Any] | None = None
    for number, message in enumerate(messages):
        if not isinstance(message, dict):
            return messages  # the check of the messages reports what is wrong
        rest = {key: value for key, value in message.items() if key not in ("tool_calls", "tool_call_id")}
        if message.get("role") == "tool":
            if call is None:
                raise ValueError(f"message {number} is a tool's result, but no tool was called just before it")
            given = message.get("tool_call_id")
            if given is not None and given != call.get("id"):
                raise ValueError(
                    f"message {number} answers the tool call {given!r}, but the last was {call.get('id')!r}"
                )
            rest.pop("name", None)
            told.append({**rest, "role": "user"})
            call = None
            continue
        call = None
        if calls := message.get("tool_calls"):
            call = _only_call(number, message, calls)
            rest["content"] = _written(number, call)
        told.append(rest)
    return told


def _only_call(number: int, message: Mapping[str, Any], calls: Any) -> dict[str, Any]:
    if not isinstance(calls, list) or len(calls) != 1 or not isinstance(calls[0], dict):
        raise ValueError(
            f"message {number} calls several tools at once, but a turn has room for one call and one result; "
            "make each call a turn"
        )
    if message.get("content"):
        raise ValueError(f"message {number} has text and a tool call; which is the answer? Leave out one of them")
    return calls[0]


def _written(number: int, call: Mapping[str, Any]) -> str:
    function = call.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise ValueError(f'the tool call of message {number} must have a "function" with a "name", got {call!r:.80}')
    given = function.get("arguments", "{}")
    arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return f"{function['name']} {arguments}"


CONVERTERS = {
    "sharegpt": Converter(
        'ShareGPT\'s {"conversations": [{"from": "human", "value": ...}, ...]}, with or without a "system"',
        _is_sharegpt,
        _from_sharegpt,
    ),
    "parts": Converter(
        'contents that are lists of {"type": "text", "text": ...}, joined as they stand',
        _any_message(lambda message: isinstance(message.get("content"), list)),
        _on_messages(_join_parts),
    ),
    "tools": Converter(
        "tool calls as answers that spell the call, and tools' results as the queries after them",
        _any_message(lambda message: message.get("role") == "tool" or bool(message.get("tool_calls"))),
        _on_messages(_tell_tools),
    ),
}
"""By name, in the order in which they are applied."""
