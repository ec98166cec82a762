"""Chat with the shipped models as a newcomer does: names that they never saw, words held out, natural messages."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import tiktoken

from mini_ism.chat import ChatSession
from mini_ism.checkpoints import load_model
from mini_ism.corpus import Dialogue, World
from mini_ism.corpus.version_2 import KEPT_APART, VERSION_2
from mini_ism.evaluation import Score, evaluate
from mini_ism.masks import COURSE_MASKS
from mini_ism.model import GPT

PHRASINGS = {
    "My name is ...": ("My name is {}. What is my name?", "Your name is {}."),
    "I am ...": ("I am {}. What is my name?", "Your name is {}."),
    "... is in the kitchen": ("{name} is in the kitchen. Where is {name}?", "In the kitchen."),
}
"""The three ways in which a name is asked for, each with its right answer."""

COINED_NAMES = 500
MESSAGES = Path(__file__).parent.parent / "tests" / "natural_messages.jsonl"


class Message(NamedTuple):
    """What a newcomer types, turn by turn, and patterns, one of which a sensible last reply matches."""

    turns: list[str]
    accept: list[str]


def check_names(model: GPT, tokenizer: tiktoken.Encoding, names: Sequence[str]) -> dict[str, Score]:
    """How many of the names a model answers exactly right, by phrasing.

    Names are asked for as they are typed: "maria" is to be answered with "maria".
    """
    return evaluate(model, tokenizer, [ask(phrasing, name) for phrasing in PHRASINGS for name in names])


def ask(phrasing: str, name: str) -> Dialogue:
    """A dialogue of one turn about a name; its label is the phrasing."""
    query, answer = (text.replace("{name}", name).replace("{}", name) for text in PHRASINGS[phrasing])
    return Dialogue([{"role": "user", "content": query}, {"role": "assistant", "content": answer}], [phrasing])


def name_lists() -> dict[str, list[str]]:
    """Names that no training dialogue uses, by where they are from."""
    coined = [World(Random(n), coined=1.0, held_out=True).name() for n in range(COINED_NAMES)]
    common = list(KEPT_APART)
    return {
        "common first names": common,
        "the same in small letters": [name.lower() for name in common],
        "first names held out": list(VERSION_2.held_out["name"]),
        "coined names held out": coined,
    }


def natural_messages() -> list[Message]:
    """The sixty messages that were written down before there was a corpus to answer them."""
    lines = MESSAGES.read_text(encoding="utf-8").splitlines()
    return [Message(record["messages"], record["accept"]) for record in map(json.loads, lines)]


def reply_to(model: GPT, tokenizer: tiktoken.Encoding, turns: Sequence[str]) -> str:
    """The reply to the last of these turns, in a new chat."""
    chat = ChatSession(model, tokenizer)
    for turn in turns:
        reply = chat.send(turn, stop_loops=True)
    return reply.text


def is_sensible(message: Message, reply: str) -> bool:
    """Whether a reply matches one of the message's patterns."""
    return any(re.search(pattern, reply) for pattern in message.accept)


def check_messages(model: GPT, tokenizer: tiktoken.Encoding) -> list[tuple[Message, str, bool]]:
    """Each natural message with the model's last reply, and whether it is sensible."""
    replies = [(message, reply_to(model, tokenizer, message.turns)) for message in natural_messages()]
    return [(message, reply, is_sensible(message, reply)) for message, reply in replies]


def main() -> None:
    """Print the shares, and the natural messages that were not understood."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=COURSE_MASKS, help="names or folders (default: the shipped ones)")
    parser.add_argument("--names", nargs="+", help="names to ask for, instead of the lists")
    options = parser.parse_args()
    lists = {"names": options.names} if options.names else name_lists()
    for each in options.models:
        model, tokenizer = load_model(each)
        for title, names in lists.items():
            scores = check_names(model, tokenizer, names)
            shares = ", ".join(f"{phrasing} {score.share:.1%}" for phrasing, score in scores.items())
            print(f"{each}: {title} ({len(names)}): {shares}")
        checked = check_messages(model, tokenizer)
        print(f"{each}: natural messages: {sum(ok for _, _, ok in checked)} of {len(checked)} sensible")
        for message, reply, ok in checked:
            if not ok:
                print(f"    {' | '.join(message.turns)} -> {reply}")


if __name__ == "__main__":
    main()
