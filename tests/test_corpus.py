from __future__ import annotations

import json
import math
import random
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

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
    register_skill,
    skill_names,
)
from mini_ism.corpus import registry as registry_module
from mini_ism.corpus.card import write_card
from mini_ism.corpus.dialogues import canonical
from mini_ism.corpus.portable_random import below, pick, pick_weighted, shuffled
from mini_ism.corpus.splits import draw_split, to_jsonl
from mini_ism.dialogue import encode_dialogue
from mini_ism.files import sha256
from mini_ism.paths import data_dir
from mini_ism.tokenizer import load_tokenizer
from tests.corpus_reader import Reader

LABELS = {
    *(
        "ack",
        "recall",
        "reverse",
        "neighbour",
        "number",
        "unknown",
        "update",
        "queue",
        "compare",
        "count",
        "persona",
        "hops",
    ),
    *("codebook_before", "codebook_after", "codebook_later", "revision", "smalltalk"),
}


@pytest.fixture(scope="module")
def frozen() -> dict[str, list[Dialogue]]:
    return {name: load_split(name) for name in SIZES}


@pytest.fixture
def scratch_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skills that a test registers are gone after it."""
    monkeypatch.setattr(registry_module, "_REGISTRY", dict(registry_module._REGISTRY))


def texts(dialogue: Dialogue, role: str) -> list[str]:
    return [m["content"] for m in dialogue.messages if m["role"] == role]


# -- the answers are right --------------------------------------------------------------------------------------------


def assert_answers(dialogue: Dialogue) -> None:
    reader = Reader()
    for text in texts(dialogue, "system"):
        assert reader.hear(text, system=True) == "Okay."
    for user, answer, skill in zip(texts(dialogue, "user"), texts(dialogue, "assistant"), dialogue.skills, strict=True):
        assert reader.hear(user) == answer, (user, dialogue.messages)
        assert (skill == "ack") == (answer == "Okay.")
        assert (skill == "unknown") == (answer == "I do not know.")


@pytest.mark.parametrize("split", ["validation", "test", "long"])
def test_slow_reader_agrees_with_frozen(split: str, frozen: dict[str, list[Dialogue]]) -> None:
    for dialogue in frozen[split]:
        assert_answers(dialogue)


@pytest.mark.parametrize("skill", [name for name in skill_names() if name != "smalltalk"])
def test_slow_reader_agrees_skill_by_skill(skill: str) -> None:
    for dialogue in islice(generate(11, skills=[skill, "smalltalk"]), 100):
        assert_answers(dialogue)


def test_slow_reader_agrees_when_every_word_is_coined() -> None:
    for dialogue in islice(generate(12, coined=1.0), 200):
        assert_answers(dialogue)


def test_labels_fit_their_questions(frozen: dict[str, list[Dialogue]]) -> None:
    by_question = {
        r"which room": {"hops", "unknown"},
        r"how many things": {"count"},
        r"oldest|youngest|the most points|the fewest": {"compare"},
        r"how old|how many points": {"number"},
        r"who is (first|next|last)": {"queue", "unknown"},
        r"who is (behind|in front)": {"neighbour", "revision"},
        r"my name|who am i": {"persona", "update", "unknown"},
        r"do i like|pet do i|does \w+ like": {"persona", "unknown"},
    }
    for dialogue in frozen["test"]:
        for user, label in zip(texts(dialogue, "user"), dialogue.skills, strict=True):
            question = re.split(r"(?<=[.?]) ", user)[-1].lower()
            for pattern, labels in by_question.items():
                if label != "ack" and re.search(pattern, question):
                    assert label in labels, user


def test_reader_catches_a_wrong_answer() -> None:
    messages = [
        {"role": "user", "content": "The key is in the box. Where is the key?"},
        {"role": "assistant", "content": "In the jar."},
    ]
    with pytest.raises(AssertionError):
        assert_answers(Dialogue(messages, ["recall"]))


# -- shape ------------------------------------------------------------------------------------------------------------


def test_dialogues_have_the_promised_shape(frozen: dict[str, list[Dialogue]]) -> None:
    for name, dialogues in frozen.items():
        assert len(dialogues) == SIZES[name]
        for dialogue in dialogues:
            roles = [message["role"] for message in dialogue.messages]
            assert roles[roles[0] == "system" :] == ["user", "assistant"] * len(dialogue.skills)
            assert 2 <= len(dialogue.skills) <= SPLITS[name].turns
            assert set(dialogue.skills) <= LABELS
            assert all(1 <= len(text.split()) <= 8 for text in texts(dialogue, "assistant"))
            assert all(m["content"] == m["content"].strip() for m in dialogue.messages)


def test_system_prompts_in_about_a_quarter(frozen: dict[str, list[Dialogue]]) -> None:
    share = sum(d.messages[0]["role"] == "system" for d in frozen["train"]) / SIZES["train"]
    assert 0.2 < share < 0.3


def test_dialogues_mix_skills_and_every_label_occurs(frozen: dict[str, list[Dialogue]]) -> None:
    for dialogues in frozen.values():
        assert {label for dialogue in dialogues for label in dialogue.skills} == LABELS
    mixed = sum(len(set(d.skills) - {"ack", "smalltalk"}) > 1 for d in frozen["train"])
    assert mixed > SIZES["train"] / 2


def test_control_skills_and_unknown_are_about_half(frozen: dict[str, list[Dialogue]]) -> None:
    labels = Counter(label for dialogue in frozen["train"] for label in dialogue.skills)
    share = sum(labels[name] for name in ("recall", "persona", "queue", "unknown"))
    assert 0.45 < share / labels.total() < 0.65
    assert labels["ack"] / labels.total() < 0.2


def test_unknown_cannot_be_told_from_the_question() -> None:
    seen: dict[str, Counter[bool]] = defaultdict(Counter)
    for dialogue in islice(generate(13), 3000):
        for user, label in zip(texts(dialogue, "user"), dialogue.skills, strict=True):
            if label in ("recall", "reverse", "persona", "unknown"):
                question = re.split(r"(?<=[.?]) ", user)[-1].rstrip("?.").lower()
                question = re.sub(r"(?<=the )\w+|(?<=does )\w+", "_", question)
                seen[question][label == "unknown"] += 1
    for question in (
        *("where is the _", "where's the _", "where did i put the _"),
        *("what is in the _", "who has the _", "what does _ have", "what does _ like"),
        *("what is my name", "who am i", "what do i like", "what pet do i have"),
    ):
        share = seen[question][True] / seen[question].total()
        assert 0.05 < share < 0.5, (question, share)


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
    assert 0.02 < careless < 0.07


# -- determinism ------------------------------------------------------------------------------------------------------


def take(stream: Iterator[Dialogue], number: int = 40) -> list[Dialogue]:
    return list(islice(stream, number))


def test_same_seed_same_dialogues() -> None:
    assert take(generate(5)) == take(generate(5))
    assert take(generate(5)) != take(generate(6))
    assert take(generate(5, "test")) != take(generate(5))


def test_any_index_can_be_drawn_on_its_own() -> None:
    assert take(generate(5, start=30), 10) == take(generate(5))[30:]


def test_another_process_draws_the_same() -> None:
    code = "from mini_ism.corpus import generate; print(next(generate(3)), next(generate(4, 'long')))"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True)  # another hash seed
    assert run.stdout.strip() == f"{next(generate(3))} {next(generate(4, 'long'))}"


def test_frozen_file_is_what_the_generator_draws(frozen: dict[str, list[Dialogue]]) -> None:
    assert draw_split("validation") == frozen["validation"]
    path = data_dir() / "dialogues" / "validation.jsonl"
    assert path.read_bytes() == to_jsonl(frozen["validation"])


def test_card_is_up_to_date(frozen: dict[str, list[Dialogue]]) -> None:
    card = (data_dir() / "dialogues" / "README.md").read_text(encoding="utf-8")
    assert card == write_card(frozen, load_tokenizer())


def test_draws_are_fair_and_in_range() -> None:
    rng = random.Random("draws")
    assert {below(rng, 3) for _ in range(200)} == {0, 1, 2}
    assert sorted(shuffled(rng, range(9))) == list(range(9))
    assert len({tuple(shuffled(rng, "abc")) for _ in range(300)}) == math.factorial(3)
    counts = Counter(pick_weighted(rng, "xyz", (1, 0, 3)) for _ in range(4000))
    assert counts["y"] == 0
    assert counts["x"] / counts["z"] == pytest.approx(1 / 3, rel=0.15)
    assert {pick(rng, "ab") for _ in range(50)} == {"a", "b"}


# -- disjoint splits --------------------------------------------------------------------------------------------------


def test_buckets_part_the_hundred() -> None:
    assert sorted(number for shape in SPLITS.values() for number in shape.buckets) == list(range(100))


def test_splits_are_disjoint_by_hash(frozen: dict[str, list[Dialogue]]) -> None:
    for name, dialogues in frozen.items():
        assert all(bucket(dialogue.messages) in SPLITS[name].buckets for dialogue in dialogues)
    for dialogue in islice(generate(17), 300):
        assert bucket(dialogue.messages) in SPLITS["train"].buckets


def test_frozen_splits_share_no_dialogue_and_repeat_none(frozen: dict[str, list[Dialogue]]) -> None:
    all_texts = [canonical(d.messages) for dialogues in frozen.values() for d in dialogues]
    assert len(set(all_texts)) == len(all_texts)


def test_careless_typing_does_not_change_the_split() -> None:
    neat = [{"role": "user", "content": "The key is in the box. Where is the key?"}]
    careless = [{"role": "user", "content": "the key is in the box. Where is the key"}]
    assert bucket(neat) == bucket(careless)


# -- the world --------------------------------------------------------------------------------------------------------


def test_world_deals_nothing_twice() -> None:
    world = World(random.Random(0))
    dealt = [deal() for deal in (world.name, world.thing, world.place, world.room) for _ in range(40)]
    assert len(set(dealt)) == len(dealt)
    assert world.claim("a slot")
    assert not world.claim("a slot")


@pytest.mark.parametrize("coined", [0.0, 1.0])
def test_share_of_coined_words(coined: float) -> None:
    from mini_ism.corpus.world import NAMES

    world = World(random.Random(0), coined)
    names = {world.name() for _ in range(len(NAMES))}
    assert names == set(NAMES) if coined == 0 else names.isdisjoint(NAMES)
    assert all(name[0].isupper() for name in names)


# -- choosing and adding skills ---------------------------------------------------------------------------------------


def test_weights_and_skills_choose() -> None:
    only = {label for d in islice(generate(1, skills=["count"]), 50) for label in d.skills}
    assert only <= {"count", "ack"}
    none = {label for d in islice(generate(1, weights={"count": 0}), 200) for label in d.skills}
    assert "count" not in none


@pytest.mark.parametrize("skill", skill_names())
def test_every_skill_can_be_drawn_alone(skill: str) -> None:
    assert len(take(generate(2, skills=[skill]), 5)) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "dev"}, "no split named 'dev'; there are: train"),
        ({"skills": ["recal"]}, "no skill named 'recal'; there are: .*recall"),
        ({"skills": "recall"}, "give a list of names"),
        ({"skills": []}, "no skill to draw from"),
        ({"weights": {"recal": 1}}, "no skill named 'recal'"),
        ({"weights": {"recall": -1}}, "weight of skill 'recall' is -1"),
        ({"skills": ["recall"], "weights": {"recall": 0}}, "no skill to draw from"),
        ({"start": -1}, "start is -1"),
        ({"coined": 2}, "coined is 2"),
    ],
)
def test_bad_requests_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate(0, **arguments)  # type: ignore[arg-type]


@pytest.mark.usefixtures("scratch_registry")
def test_a_skill_of_ones_own() -> None:
    @register_skill(weight=2.0)
    def echo(rng: random.Random, world: World, size: int) -> list[Turn]:
        name = world.name()
        return [Turn(f"Say {name}.", f"{name}.", "echo")]

    register_skill(echo)  # a notebook cell that is run again
    dialogue = next(generate(0, skills=["echo"]))
    assert set(dialogue.skills) == {"echo"}
    user, answer = texts(dialogue, "user")[0], texts(dialogue, "assistant")[0]
    assert user.rstrip(".") == f"Say {answer}".rstrip(".")
    with pytest.raises(ValueError, match="a skill named 'recall' exists already"):

        @register_skill
        def recall(rng: random.Random, world: World, size: int) -> list[Turn]:
            return []

    with pytest.raises(ValueError, match="weight of skill 'echo' is -1"):
        register_skill(weight=-1)(echo)


@pytest.mark.usefixtures("scratch_registry")
def test_skills_that_go_wrong_are_named() -> None:
    @register_skill
    def stuck(rng: random.Random, world: World, size: int) -> list[Turn]:
        return []

    @register_skill
    def typed(rng: random.Random, world: World, size: int) -> list[Turn]:
        return "Hello."  # type: ignore[return-value]

    @register_skill
    def mute(rng: random.Random, world: World, size: int) -> list[Turn]:
        return [Turn("Say.", " ", "mute")]

    with pytest.raises(ValueError, match="draws of stuck made no dialogue"):
        next(generate(0, skills=["stuck"]))
    with pytest.raises(TypeError, match=r"skill 'typed' returned 'Hello\.'; it must return a list"):
        next(generate(0, skills=["typed"]))
    with pytest.raises(ValueError, match="skill 'mute' made a turn without text"):
        next(generate(0, skills=["mute"]))


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


@pytest.mark.parametrize("manifest", [b"{", b"[]", b"{}", b'{"splits": {"test": {}}}', b"\xff"])
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


@pytest.mark.slow
def test_build_writes_the_committed_files(tmp_path: Path) -> None:
    pytest.importorskip("rustbpe")
    from mini_ism.corpus.build import build

    written = build(tmp_path)
    assert {path.name for path in written} == {path.name for path in tmp_path.glob("*/*")}
    for path in written:
        assert path.read_bytes() == (data_dir() / path.relative_to(tmp_path)).read_bytes(), path
