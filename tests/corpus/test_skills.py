"""The skills: answers that a slow reader gives, too, and labels that fit their questions."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import islice

import pytest

from mini_ism.corpus import Dialogue, generate, skill_names
from tests.corpus.chat_reader import ChatReader
from tests.corpus.reader import Reader
from tests.corpus.samples import texts


def assert_answers(dialogue: Dialogue) -> None:
    reader = Reader()
    for text in texts(dialogue, "system"):
        assert reader.hear(text, system=True) == "Okay."
    for user, answer, skill in zip(texts(dialogue, "user"), texts(dialogue, "assistant"), dialogue.skills, strict=True):
        assert reader.hear(user) == answer, (user, dialogue.messages)
        assert (skill == "ack") == (answer == "Okay.")
        assert (skill == "unknown") == (answer == "I do not know.")


def assert_chat_answers(dialogue: Dialogue) -> None:
    reader = ChatReader()
    for text in texts(dialogue, "system"):
        assert reader.hear(text, system=True) == "Okay."
    for user, answer, skill in zip(texts(dialogue, "user"), texts(dialogue, "assistant"), dialogue.skills, strict=True):
        assert reader.answers(user, answer), (user, dialogue.messages)
        assert (skill == "ack") == (answer == "Okay.")
        assert (skill == "unknown") == (answer == "I do not know.")


@pytest.mark.slow
@pytest.mark.parametrize("split", ["validation", "test", "long", "held_out"])
def test_slow_reader_agrees_with_frozen(split: str, frozen: dict[str, list[Dialogue]]) -> None:
    for dialogue in frozen[split]:
        assert_chat_answers(dialogue)


@pytest.mark.slow
@pytest.mark.parametrize("skill", [name for name in skill_names() if name != "smalltalk"])
def test_slow_reader_agrees_skill_by_skill(skill: str) -> None:
    for dialogue in islice(generate(11, skills=[skill, "smalltalk"]), 100):
        assert_chat_answers(dialogue)


@pytest.mark.parametrize("skill", [name for name in skill_names(1) if name != "smalltalk"])
def test_slow_reader_agrees_in_version_1(skill: str) -> None:
    for dialogue in islice(generate(11, skills=[skill, "smalltalk"], version=1), 100):
        assert_answers(dialogue)


def test_slow_reader_agrees_when_every_word_is_coined() -> None:
    for dialogue in islice(generate(12, coined=1.0), 200):
        assert_chat_answers(dialogue)


def test_labels_fit_their_questions(frozen: dict[str, list[Dialogue]]) -> None:
    by_question = {
        r"which room": {"hops", "unknown"},
        r"how many things": {"count"},
        r"oldest|youngest|the most points|the fewest": {"compare"},
        r"how old (?!am i)|how many points": {"number"},
        r"who is (first|next|last)": {"queue", "unknown"},
        r"who is (behind|in front)": {"neighbour", "revision"},
        r"what.* my name|who am i": {"persona", "update", "unknown", "about_me"},
        r"do i like|pet do i|does \w+ like": {"persona", "unknown", "about_me", "people", "yes_no"},
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
    for check in (assert_answers, assert_chat_answers):
        with pytest.raises(AssertionError):
            check(Dialogue(messages, ["recall"]))


@pytest.mark.slow
def test_unknown_cannot_be_told_from_the_question() -> None:
    seen: dict[str, Counter[bool]] = defaultdict(Counter)
    for dialogue in islice(generate(13, version=1), 3000):
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
