"""Your own dialogues: a file with one dialogue per line, read with errors that name the line and the message."""

from __future__ import annotations

import codecs
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import tiktoken

from mini_ism.corpus.converters import CONVERTERS
from mini_ism.corpus.dialogues import Dialogue
from mini_ism.corpus.portable_random import shuffled
from mini_ism.dialogue import check_messages, encode_message, is_target
from mini_ism.files import read_whole
from mini_ism.strict_json import from_json, json_lines

LABEL = "answer"
"""The skill under which answers are scored if a line does not name one."""
SHOWN = 8
"""The most faults that an error lists."""


def read_dialogues(
    path: str | Path,
    *,
    convert: Iterable[str] = (),
    tokenizer: tiktoken.Encoding | None = None,
    context: int | None = None,
    cut: bool = False,
) -> list[Dialogue]:
    """The dialogues of a JSON Lines file.

    A line is a list of messages, or an object with such a list under ``"messages"``, and perhaps a label for each
    answer under ``"skills"``. Messages are what :func:`~mini_ism.dialogue.check_messages` takes: OpenAI's and Hugging
    Face's roles, and ``"weight": 0`` for answers that must not be learned. Blank lines are skipped.

    Args:
        path: the file, in UTF-8.
        convert: names of :data:`~mini_ism.corpus.converters.CONVERTERS`, for dialogues in other formats.
        tokenizer: with ``context``, to see whether each dialogue fits a model.
        context: how many tokens a dialogue may have.
        cut: truncate a longer one to the turns from its beginning that fit, instead of rejecting it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no such converter; a line is no dialogue, or has no answer to learn; dialogues are too long.

    Warns:
        UserWarning: objects have fields besides ``"messages"`` and ``"skills"``, which are ignored.
    """
    path, convert = Path(path), list(convert)
    if unknown := [name for name in convert if name not in CONVERTERS]:
        raise ValueError(f"no converter named {unknown[0]!r}; there are: {', '.join(CONVERTERS)}")
    found: dict[str, Dialogue] = {}
    ignored: set[str] = set()
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            place = f"line {number}"
            try:
                found[place] = _parse(line, convert, ignored)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, {place}: {_short(error)}") from None
    if not found:
        raise ValueError(f"{path} holds no dialogue; write one on each line")
    if ignored:
        warnings.warn(f"{path}: not read: {', '.join(sorted(ignored))}", stacklevel=2)
    if tokenizer is not None and context is not None:
        found = fit(found, str(path), tokenizer, context, cut=cut)
    return list(found.values())


def fit(
    dialogues: Mapping[str, Dialogue], name: str, tokenizer: tiktoken.Encoding, context: int, *, cut: bool = False
) -> dict[str, Dialogue]:
    """The dialogues, each checked, or cut, to fit a model.

    Args:
        dialogues: by their place in the source, for the errors.
        name: the source.
        tokenizer: the model's.
        context: how many tokens the model takes.
        cut: truncate a longer one to the turns from its beginning that fit.

    Raises:
        ValueError: dialogues are too long, or too long to be cut; the message names them.
    """
    fitting: dict[str, Dialogue] = {}
    too_long: list[str] = []
    for place, dialogue in dialogues.items():
        lengths = [len(encode_message(message, tokenizer)) for message in dialogue.messages]
        if sum(lengths) > context:
            shorter = _cut(dialogue, lengths, context) if cut else None
            if shorter is None:
                too_long.append(f"{place} ({sum(lengths)})")
                continue
            dialogue = shorter
        fitting[place] = dialogue
    if too_long:
        shorter_by = "cut=True in read_dialogues, or --cut, keeps the first turns that fit"
        remedy = "not even a first turn to learn fits" if cut else shorter_by
        raise ValueError(
            f"{name}: {len(too_long)} of {len(dialogues)} dialogues have more than the model's {context} tokens: "
            f"{_listed(too_long)}; shorten them ({remedy})"
        )
    return fitting


def draw_own(dialogues: Sequence[Dialogue], seed: int, start: int, count: int) -> list[Dialogue]:
    """The dialogues from index ``start`` of an endless stream: all in a shuffled order, then all in another, and so on.

    As in :func:`~mini_ism.corpus.dialogues.generate`, an index can be drawn without those before it.
    """
    drawn = []
    for index in range(start, start + count):
        epoch, place = divmod(index, len(dialogues))
        drawn.append(dialogues[_order(seed, epoch, len(dialogues))[place]])
    return drawn


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> list[int]:
    return shuffled(Random(f"{seed}/{epoch}"), range(count))


def _lines(path: Path) -> list[str]:
    try:
        return json_lines(read_whole(path).removeprefix(codecs.BOM_UTF8))
    except FileNotFoundError:
        raise FileNotFoundError(f"no dialogues at {path}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error}); save it as UTF-8") from None


def _parse(line: str, convert: list[str], ignored: set[str]) -> Dialogue:
    try:
        record = from_json(line)
    except ValueError as error:
        raise ValueError(f"not JSON ({error}); write each dialogue on a line of its own") from None
    advice = "".join(
        f'; it looks like {name}: convert it (--convert {name}, or convert=["{name}"])'
        for name, converter in CONVERTERS.items()
        if name not in convert and converter.looks_like(record)
    )
    for name, converter in CONVERTERS.items():
        if name in convert:
            record = converter.convert(record)
    try:
        return _dialogue(record, ignored)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{_short(error)}{advice}") from None


def _dialogue(record: Any, ignored: set[str]) -> Dialogue:
    about = record if isinstance(record, dict) else {"messages": record}
    if "messages" not in about:
        raise ValueError(f'should be a list of messages, or have "messages"; it has {", ".join(about) or "nothing"}')
    messages = about["messages"]
    if isinstance(messages, list) and messages and isinstance(messages[0], list):
        raise ValueError("holds a list of dialogues; write each on a line of its own")
    check_messages(messages)
    for number, message in enumerate(messages):
        try:
            message["content"].encode()
        except UnicodeEncodeError:
            raise ValueError(f"message {number} holds half a character (a surrogate on its own)") from None
    if not any(map(is_target, messages)):
        raise ValueError('no answer to learn: give an assistant\'s message without "weight": 0')
    answers = sum(message["role"] == "assistant" for message in messages)
    skills = about.get("skills", [LABEL] * answers)
    if not isinstance(skills, list) or len(skills) != answers or not all(isinstance(skill, str) for skill in skills):
        raise ValueError(f'there are {answers} answers, so "skills" must be as many names, got {skills!r}')
    ignored |= about.keys() - {"messages", "skills"}
    return Dialogue([{key: value for key, value in m.items() if value is not None} for m in messages], skills)


def _cut(dialogue: Dialogue, lengths: list[int], context: int) -> Dialogue | None:
    """The whole turns from the beginning that fit; ``None`` if there is nothing to learn in them."""
    kept = max((n for n in range(len(lengths) + 1) if sum(lengths[:n]) <= context), default=0)
    while kept and dialogue.messages[kept - 1]["role"] != "assistant":
        kept -= 1
    messages = dialogue.messages[:kept]
    answers = sum(message["role"] == "assistant" for message in messages)
    return Dialogue(messages, dialogue.skills[:answers]) if any(map(is_target, messages)) else None


def _listed(faults: list[str]) -> str:
    more = len(faults) - SHOWN
    return ", ".join(faults[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _short(error: Exception) -> str:
    text = str(error)
    return text if len(text) <= 300 else f"{text[:300]}..."
