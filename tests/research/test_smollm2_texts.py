"""The conversations for SmolLM2 say what their labels claim."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from research.smollm2_texts import (
    CHAINS,
    FACTS,
    HOLDERS,
    NAMES,
    QUESTIONS,
    ROOMS,
    SPLITS,
    THINGS,
    TURNS,
    Conversation,
    conversation,
    nouns,
    told_twice,
)

DRAWN = [conversation("training", 0, number) for number in range(300)]


def reading(template: str) -> re.Pattern[str]:
    """A template as a pattern that finds what it was filled with."""
    pattern = re.escape(template)
    for slot in ("inner", "outer", "thing"):
        pattern = pattern.replace(re.escape(f"{{{slot}}}"), rf"(?P<{slot}>[a-z]+(?: [a-z]+)?)")
    return re.compile(pattern.replace(re.escape("{name}"), f"(?:{'|'.join(NAMES)})"))


def told(text: str) -> dict[str, str]:
    """What a user's text says of what is in what."""
    sentences = re.findall(r"[^.?]+[.?]", text)
    found = {}
    for sentence in map(str.strip, sentences):
        if sentence.endswith("."):
            matches = [match for fact in FACTS if (match := reading(fact).fullmatch(sentence))]
            assert len(matches) == 1, sentence
            found[matches[0]["inner"]] = matches[0]["outer"]
    return found


def asked_for(text: str) -> str:
    """The thing that a user's question is about."""
    (thing,) = {match["thing"] for question in QUESTIONS if (match := reading(question).search(text))}
    return str(thing)


def users(found: Conversation) -> list[str]:
    return [message["content"] for message in found.messages if message["role"] == "user"]


def answers(found: Conversation) -> list[str]:
    return [message["content"] for message in found.messages if message["role"] == "assistant"]


def test_answers_follow_from_as_many_facts_as_the_label_says_of_the_turns_it_says() -> None:
    for found in DRAWN:
        assert len(users(found)) == len(answers(found)) == len(found.asked) == TURNS
        known: dict[str, tuple[str, int]] = {}
        for turn, (text, answer, asked) in enumerate(zip(users(found), answers(found), found.asked, strict=True)):
            known |= {inner: (outer, turn) for inner, outer in told(text).items()}
            at, turns = asked_for(text), []
            while at in known:
                at, when = known[at]
                turns.append(when)
            assert answer == f"The {at}"
            assert len(turns) == asked.links
            assert (min(turns) < turn) == asked.earlier
            assert turns == sorted(turns, reverse=True)  # the outer facts are the earlier ones


def test_a_guess_is_right_one_time_in_three() -> None:
    rooms = set(ROOMS.split())
    for found in DRAWN:
        facts = [told(text) for text in users(found)]
        known = {inner: outer for told_then in facts for inner, outer in told_then.items()}
        for text, asked in zip(users(found), found.asked, strict=True):
            ends = Counter()  # type: Counter[int]
            for start in known.keys() - set(known.values()):
                at, links = start, 0
                while at in known:
                    at, links = known[at], links + 1
                assert at in rooms
                ends[links] += 1
            assert ends[asked.links] >= CHAINS
            assert asked_for(text) in known
        places = [outer for outer in known.values() if outer in rooms]
        assert len(places) == len(set(places)) >= CHAINS * TURNS


def test_half_of_the_later_questions_need_an_earlier_turn() -> None:
    later = [asked for found in DRAWN for asked in found.asked[1:]]
    assert not any(found.asked[0].earlier for found in DRAWN)
    assert sum(asked.earlier for asked in later) / len(later) == pytest.approx(0.5, abs=0.05)
    counts = Counter(asked.links for asked in later)
    assert min(counts.values()) / len(later) == pytest.approx(1 / 3, abs=0.05)


def test_every_turn_tells_something_in_no_order() -> None:
    behind = 0
    for found in DRAWN:
        for text in users(found):
            facts = told(text)
            assert len(facts) >= CHAINS
            order = {inner: place for place, inner in enumerate(facts)}
            behind += any(order[outer] < order[inner] for inner, outer in facts.items() if outer in order)
    assert behind > len(DRAWN)


@pytest.mark.parametrize("words", [THINGS, HOLDERS, ROOMS])
def test_no_noun_is_read_in_two_splits(words: str) -> None:
    assert len(set(words.split())) == len(words.split())
    parts = [set(nouns(words, split)) for split in SPLITS]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    text = " ".join(users(conversation("test", "held out", 0)))
    assert not re.findall(rf"\b(?:{'|'.join(parts[0])})\b", text)


def test_no_noun_is_of_two_kinds() -> None:
    everything = [*THINGS.split(), *HOLDERS.split(), *ROOMS.split()]
    assert len(set(everything)) == len(everything)


def test_a_conversation_is_the_same_each_time_and_no_two_are() -> None:
    assert conversation("training", 0, 7) == DRAWN[7]
    assert len({str(found.messages) for found in DRAWN}) == len(DRAWN)
    assert conversation("training", 1, 7) != DRAWN[7]


def test_told_twice_says_the_same_and_answers_the_same() -> None:
    for found in DRAWN[:20]:
        twice = told_twice(found)
        assert [f"{text} {text}" for text in users(found)] == users(twice)
        assert answers(twice) == answers(found)
        assert twice.messages[0] == found.messages[0]
        assert twice.asked == found.asked
