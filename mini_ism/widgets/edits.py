"""Changes to a dialogue that leave it a dialogue: each takes messages in turn and gives messages in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mini_ism.dialogue import Message

Messages = list[dict[str, str]]
Edit = Callable[[Messages], Messages]

PROMPT = "You are Mira, a helpful guide."
"""The system prompt that a dialogue gets when it is asked to have one."""


def copied(messages: Sequence[Message]) -> Messages:
    """The same messages, as dictionaries of their own."""
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def grown(messages: Messages) -> Messages:
    """The messages with one turn more; a question that is still open gets its answer instead."""
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
    """Whether message ``number`` has a place to go, one turn earlier (``step`` -1) or later (+1)."""
    other = number + 2 * step
    return 0 <= other < len(messages) and messages[other]["role"] == messages[number]["role"]


def moved(messages: Messages, number: int, step: int) -> Messages:
    """The messages with one of them a turn earlier or later: a question takes its answer along, an answer goes alone.

    A question that nobody has answered yet trades places with a question, and the answers stay.
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

    A question takes its answer along; without an answer, two questions become one.
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
