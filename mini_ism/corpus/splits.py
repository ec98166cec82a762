"""The frozen splits: read, checked against their manifest, never silently wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from mini_ism.corpus.dialogues import Dialogue, canonical, generate, split_spec
from mini_ism.corpus.registry import get_entry, skill_names
from mini_ism.corpus.world import LATEST, get_lexicon
from mini_ism.files import read_whole, sha256
from mini_ism.paths import data_dir
from mini_ism.strict_json import from_json, json_lines

SEED = 0
SIZES = {"train": 1000, "validation": 500, "test": 1000, "long": 300, "held_out": 500}  # dialogues
MANIFEST = "manifest.json"


def draw_split(name: str, version: int = LATEST) -> list[Dialogue]:
    """The first dialogues of a split's endless stream, without repeats: for the latest version, what the files hold."""
    seen: set[str] = set()

    def fresh(dialogue: Dialogue) -> bool:
        text = canonical(dialogue.messages)
        return text not in seen and not seen.add(text)  # type: ignore[func-returns-value]

    return list(islice(filter(fresh, generate(SEED, name, version=version)), SIZES[name]))


def to_jsonl(dialogues: Iterable[Dialogue]) -> bytes:
    """One JSON object per line: `{"messages": [...], "skills": [...]}`."""
    lines = (
        json.dumps(
            {"messages": dialogue.messages, "skills": dialogue.skills},
            ensure_ascii=False,
            separators=(",", ":"),
        )
        for dialogue in dialogues
    )
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def load_split(name: str, folder: str | Path | None = None, *, version: int = LATEST) -> list[Dialogue]:
    """The dialogues of a frozen split.

    Args:
        name: "train", "validation", "test", "long" or "held_out".
        folder: where the split and its manifest are; the package's own data by default.
        version: of the corpus. The files hold the latest; an earlier one is drawn again, the same every time.

    Raises:
        FileNotFoundError: the split's file or the manifest is missing.
        TypeError, ValueError: no such split or version; or a file is truncated, edited or malformed.
    """
    split_spec(name)
    if get_lexicon(version).version != LATEST:
        return draw_split(name, version)
    folder = data_dir() / "dialogues" if folder is None else Path(folder)
    path = folder / f"{name}.jsonl"
    content = _read(path)
    expected = _manifest_entry(folder / MANIFEST, name)
    found, lines = sha256(content), content.count(b"\n")
    if found != expected["sha256"]:
        raise ValueError(
            f"{path} is not the file that {MANIFEST} describes: expected {expected['dialogues']} "
            f"dialogues and sha256 {expected['sha256']}, found {lines} and {found}. {_remedy(path)}"
        )
    return [_parse(line, f"{path}, line {number}") for number, line in enumerate(json_lines(content), start=1)]


def own_dialogues(
    name: str,
    count: int,
    skills: Iterable[str] | None = None,
    weights: Mapping[str, float] | None = None,
    *,
    version: int = LATEST,
) -> list[Dialogue]:
    """Dialogues to score your own skills on, which the frozen split of this name does not cover.

    Args:
        name: of the split that they belong to; training draws none of them.
        count: how many are drawn, from the same mix as :func:`generate` uses.
        skills: see :func:`generate`.
        weights: see :func:`generate`.
        version: of the corpus.

    Returns:
        Those that contain an answer of your own skills. Answers of other skills have ``"weight"`` 0, since the frozen
        split scores those. An empty list if there are no such skills.

    Raises:
        ValueError: see :func:`generate`.
    """
    if not any(get_entry(skill).is_own for skill in (skill_names(version) if skills is None else skills)):
        return []
    known = {label for dialogue in load_split(name, version=version) for label in dialogue.skills}
    drawn = islice(generate(SEED, name, skills, weights, version=version), count)
    return [_only(dialogue, known) for dialogue in drawn if not known.issuperset(dialogue.skills)]


def _only(dialogue: Dialogue, known: set[str]) -> Dialogue:
    """A dialogue in which the answers of known skills are not targets."""
    labels = iter(dialogue.skills)
    messages = [
        {**message, "weight": 0} if message["role"] == "assistant" and next(labels) in known else message
        for message in dialogue.messages
    ]
    return Dialogue(messages, dialogue.skills)


def _remedy(path: Path) -> str:
    return (
        f"Restore {path.name} (`git checkout -- data/dialogues` in a checkout, or reinstall the "
        "package), or rebuild it with `python -m mini_ism corpus build`."
    )


def _read(path: Path) -> bytes:
    try:
        return read_whole(path)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"no dialogues at {path}. {_remedy(path)}") from None


def _manifest_entry(path: Path, name: str) -> dict[str, Any]:
    content = _read(path)
    try:
        about: Any = from_json(content)
        entry = about["splits"][name]
        return {"sha256": str(entry["sha256"]), "dialogues": int(entry["dialogues"])}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} does not describe the split {name!r} ({error!r}). {_remedy(path)}") from None


def _parse(line: str, where: str) -> Dialogue:
    """A line as a dialogue; `where` is for the error messages."""
    try:
        record = from_json(line)
    except ValueError as error:
        raise ValueError(f"{where} is not JSON: {error}") from None
    if not isinstance(record, dict) or set(record) != {"messages", "skills"}:
        raise ValueError(f"{where} should be an object with `messages` and `skills`: {line[:80]}")
    messages, skills = record["messages"], record["skills"]
    if not isinstance(messages, list) or not all(map(_is_message, messages)):
        raise ValueError(f"{where}: `messages` should be a list of role and content: {line[:80]}")
    answers = sum(message["role"] == "assistant" for message in messages)
    if not isinstance(skills, list) or len(skills) != answers:
        raise ValueError(f"{where}: there are {answers} answers, so give as many `skills`")
    return Dialogue(messages, skills)


def _is_message(message: object) -> bool:
    return (
        isinstance(message, dict)
        and set(message) == {"role", "content"}
        and message["role"] in ("system", "user", "assistant")
        and isinstance(message["content"], str)
    )
