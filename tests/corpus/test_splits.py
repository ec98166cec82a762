"""The frozen splits: what the generator draws, in the promised shape, disjoint, and refused when damaged."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from mini_ism.corpus import (
    SIZES,
    SPLITS,
    Dialogue,
    Turn,
    World,
    bucket,
    generate,
    load_split,
    own_dialogues,
    register_skill,
)
from mini_ism.corpus.dialogues import canonical
from mini_ism.corpus.splits import draw_split, to_jsonl
from mini_ism.dialogue import encode_dialogue, is_target
from mini_ism.files import sha256
from mini_ism.paths import data_dir
from mini_ism.tokenizer import load_tokenizer
from tests.corpus.samples import LABELS, texts

# -- shape ------------------------------------------------------------------------------------------------------------


def test_dialogues_have_the_promised_shape(frozen: dict[str, list[Dialogue]]) -> None:
    for name, dialogues in frozen.items():
        assert len(dialogues) == SIZES[name]
        for dialogue in dialogues:
            roles = [message["role"] for message in dialogue.messages]
            assert roles[roles[0] == "system" :] == ["user", "assistant"] * len(dialogue.skills)
            assert 2 <= len(dialogue.skills) <= SPLITS[name].turns
            assert set(dialogue.skills) <= LABELS
            assert all(1 <= len(text.split()) <= 10 for text in texts(dialogue, "assistant"))
            assert all(m["content"] == m["content"].strip() for m in dialogue.messages)


def test_system_prompts_in_about_a_quarter(frozen: dict[str, list[Dialogue]]) -> None:
    share = sum(d.messages[0]["role"] == "system" for d in frozen["train"]) / SIZES["train"]
    assert 0.2 < share < 0.3


def test_dialogues_mix_skills_and_every_label_occurs(frozen: dict[str, list[Dialogue]]) -> None:
    for dialogues in frozen.values():
        assert {label for dialogue in dialogues for label in dialogue.skills} == LABELS
    mixed = sum(len(set(d.skills) - {"ack", "smalltalk"}) > 1 for d in frozen["train"])
    assert mixed > SIZES["train"] / 2


def test_control_skills_and_unknown_are_a_third(frozen: dict[str, list[Dialogue]]) -> None:
    labels = Counter(label for dialogue in frozen["train"] for label in dialogue.skills)
    share = sum(labels[name] for name in ("recall", "persona", "queue", "unknown"))
    assert 0.3 < share / labels.total() < 0.65
    assert labels["ack"] / labels.total() < 0.2


@pytest.mark.slow
def test_tokens_stay_in_bounds(frozen: dict[str, list[Dialogue]]) -> None:
    tokenizer = load_tokenizer()
    for name, dialogues in frozen.items():
        counts = [len(encode_dialogue(d.messages, tokenizer).tokens) for d in dialogues]
        longest = 480 if name == "long" else 240
        assert max(counts) <= longest, name
        if name != "long":
            assert sum(counts) / len(counts) <= 130, name


def test_long_is_longer_than_training(frozen: dict[str, list[Dialogue]]) -> None:
    def longest_line(dialogues: list[Dialogue]) -> int:
        lines = re.findall(r"((?:\w+, )+\w+ and)", " ".join(m for d in dialogues for m in texts(d, "user")))
        return max(line.count(",") for line in lines)

    assert longest_line(frozen["long"]) > longest_line(frozen["train"])
    assert max(len(d.skills) for d in frozen["long"]) > max(len(d.skills) for d in frozen["train"])


def test_a_few_user_turns_are_typed_carelessly(frozen: dict[str, list[Dialogue]]) -> None:
    users = [text for dialogue in frozen["train"] for text in texts(dialogue, "user")]
    careless = sum(text[0].islower() or text[-1] not in ".?" for text in users) / len(users)
    assert 0.15 < careless < 0.3


# -- determinism ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_frozen_file_is_what_the_generator_draws(frozen: dict[str, list[Dialogue]]) -> None:
    assert draw_split("validation") == frozen["validation"]
    path = data_dir() / "dialogues" / "validation.jsonl"
    assert path.read_bytes() == to_jsonl(frozen["validation"])


# -- disjoint splits --------------------------------------------------------------------------------------------------


def test_splits_are_disjoint_by_hash(frozen: dict[str, list[Dialogue]]) -> None:
    for name, dialogues in frozen.items():
        assert all(bucket(dialogue.messages) in SPLITS[name].buckets for dialogue in dialogues)
    for dialogue in islice(generate(17), 300):
        assert bucket(dialogue.messages) in SPLITS["train"].buckets


def test_frozen_splits_share_no_dialogue_and_repeat_none(frozen: dict[str, list[Dialogue]]) -> None:
    all_texts = [canonical(d.messages) for dialogues in frozen.values() for d in dialogues]
    assert len(set(all_texts)) == len(all_texts)


# -- damaged files ----------------------------------------------------------------------------------------------------


GOOD = {"messages": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}]}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for name in ("validation.jsonl", "manifest.json"):
        (tmp_path / name).write_bytes((data_dir() / "dialogues" / name).read_bytes())
    return tmp_path


def test_copied_split_loads(copied: Path, frozen: dict[str, list[Dialogue]]) -> None:
    assert load_split("validation", copied) == frozen["validation"]


def test_unknown_and_missing_splits(copied: Path) -> None:
    with pytest.raises(ValueError, match="no split named 'dev'; there are: train"):
        load_split("dev")
    with pytest.raises(FileNotFoundError, match=r"no dialogues at .*test\.jsonl.*corpus build"):
        load_split("test", copied)
    (copied / "manifest.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no dialogues at .*manifest\.json.*corpus build"):
        load_split("validation", copied)


@pytest.mark.parametrize("damage", ["truncated", "tampered", "foreign", "empty"])
def test_damaged_split(copied: Path, damage: str) -> None:
    path = copied / "validation.jsonl"
    content = path.read_bytes()
    damaged = {
        "truncated": content[:-500],
        "tampered": content.replace(b"box", b"jar", 1),
        "foreign": b'{"text": "Once upon a time"}\n',
        "empty": b"",
    }[damage]
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"validation\.jsonl is not the file") as caught:
        load_split("validation", copied)
    for part in (sha256(content), sha256(damaged), "expected 500 dialogues", "corpus build"):
        assert part in str(caught.value)


def test_a_text_with_other_ends_of_lines_is_read_back(copied: Path) -> None:
    """``to_jsonl`` writes U+2028 and its like raw, as JSON allows."""
    text = "one\u2028two\u2029three\x85four\x0cfive"
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "Okay."}]
    content = to_jsonl([Dialogue(messages, ["ack"])] * 2)
    (copied / "test.jsonl").write_bytes(content)
    about = {"splits": {"test": {"sha256": sha256(content), "dialogues": 2}}}
    (copied / "manifest.json").write_text(json.dumps(about), encoding="utf-8")
    assert load_split("test", copied) == [Dialogue(messages, ["ack"])] * 2


@pytest.mark.parametrize(
    "manifest", [b"[" * 200_000, b'{"splits": NaN}', b"{", b"[]", b"{}", b'{"splits": {"test": {}}}', b"\xff"]
)
def test_damaged_manifest(copied: Path, manifest: bytes) -> None:
    (copied / "manifest.json").write_bytes(manifest)
    with pytest.raises(ValueError, match=r"manifest\.json does not describe the split 'validation'"):
        load_split("validation", copied)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is not JSON"),
        ("[]", "line 2 should be an object"),
        (json.dumps(GOOD), "line 2 should be an object"),
        (json.dumps({**GOOD, "skills": []}), "line 2: there are 1 answers"),
        (json.dumps({"messages": [{"role": "bot", "content": ""}], "skills": []}), "list of role"),
    ],
)
def test_malformed_line(copied: Path, line: str, message: str) -> None:
    content = f"{json.dumps({**GOOD, 'skills': ['smalltalk']})}\n{line}\n".encode()
    entry = {"dialogues": 2, "sha256": sha256(content)}
    (copied / "validation.jsonl").write_bytes(content)
    (copied / "manifest.json").write_text(json.dumps({"splits": {"validation": entry}}), "utf-8")
    with pytest.raises(ValueError, match=message):
        load_split("validation", copied)


# -- skills of one's own ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("scratch_registry")
def test_skills_of_ones_own_are_scored_and_the_others_are_not_scored_twice() -> None:
    assert own_dialogues("validation", 50) == []

    @register_skill(weight=5.0)
    def colours(rng: Random, world: World, size: int) -> list[Turn]:
        thing, colour = world.thing(), rng.choice(["red", "green", "blue"])
        return [Turn(f"The {thing} is {colour}. What colour is the {thing}?", f"{colour.title()}.", "colours")]

    assert own_dialogues("validation", 50, ["recall", "queue"]) == []  # it is not trained on
    assert own_dialogues("validation", 50, version=1) != own_dialogues("validation", 50)
    found = own_dialogues("validation", 50)
    assert found == own_dialogues("validation", 50)
    assert 0 < len(found) < 50
    for dialogue in found:
        answers = [message for message in dialogue.messages if message["role"] == "assistant"]
        assert [label == "colours" for label in dialogue.skills] == [is_target(answer) for answer in answers]
        assert "colours" in dialogue.skills
        assert bucket(dialogue.messages) in SPLITS["validation"].buckets
