"""Edits that keep a dialogue valid: each takes alternating messages and returns alternating messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mini_ism.dialogue import Message

Messages = list[dict[str, str]]
Edit = Callable[[Messages], Messages]

PROMPT = "You are Mira, a helpful guide."
"""The system prompt that :func:`with_system` adds."""


def copied(messages: Sequence[Message]) -> Messages:
    """The same messages, as new dictionaries."""
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def grown(messages: Messages) -> Messages:
    """The messages with one more turn; an unanswered question gets its answer instead."""
    if messages[-1]["role"] == "user":
        return [*messages, {"role": "assistant", "content": "Okay."}]
    more = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "I do not know."}]
    return [*messages, *more]


def shrunk(messages: Messages) -> Messages:
    """The messages without the last turn; the first turn stays."""
    asked = [n for n, message in enumerate(messages) if message["role"] == "user"]
    return messages[: asked[-1]] if len(asked) > 1 else messages


def with_system(messages: Messages, wanted: bool) -> Messages:
    """The messages with a system prompt in front, or without one."""
    bare = [message for message in messages if message["role"] != "system"]
    return [{"role": "system", "content": PROMPT}, *bare] if wanted else bare


def movable(messages: Messages, number: int, step: int) -> bool:
    """Whether message ``number`` can move one turn earlier (``step`` -1) or later (+1)."""
    other = number + 2 * step
    return 0 <= other < len(messages) and messages[other]["role"] == messages[number]["role"]


def moved(messages: Messages, number: int, step: int) -> Messages:
    """The messages with one of them a turn earlier or later: a question takes its answer along, an answer moves alone.

    An unanswered question swaps places with another question, and the answers stay.
    """
    if not movable(messages, number, step):
        return messages
    other, changed = number + 2 * step, list(messages)
    places = [(number, other)]
    if messages[number]["role"] == "user" and max(number, other) + 1 < len(messages):
        places.append((number + 1, other + 1))
    for here, there in places:
        changed[here], changed[there] = messages[there], messages[here]
    return changed


def removable(messages: Messages, number: int) -> bool:
    """Whether message ``number`` may be removed: any but the only question."""
    asked = sum(message["role"] == "user" for message in messages)
    return messages[number]["role"] != "user" or asked > 1


def removed(messages: Messages, number: int) -> Messages:
    """The messages without message ``number``.

    Removing a question also removes its answer; after removing an answer, the questions around it become one.
    """
    if not removable(messages, number):
        return messages
    before, after = messages[:number], messages[number + 1 :]
    if messages[number]["role"] == "user":
        return before + after[1:]
    if messages[number]["role"] == "assistant" and after:
        joined = {"role": "user", "content": f"{before[-1]['content']} {after[0]['content']}"}
        return [*before[:-1], joined, *after[1:]]
    return before + after
