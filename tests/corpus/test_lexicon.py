"""The words of version 2: many, each in one list, and parted for good in words in use and words held out."""

from __future__ import annotations

import json
import re
from itertools import islice, pairwise
from pathlib import Path
from random import Random

import pytest

from mini_ism.corpus import Dialogue, World, generate, load_split
from mini_ism.corpus.dialogues import canonical
from mini_ism.corpus.lexicon import fold, is_held_out, read_words
from mini_ism.corpus.skills import wishes
from mini_ism.corpus.skills.about_me import RELATIVES
from mini_ism.corpus.skills.smalltalk import CHATTER
from mini_ism.corpus.version_1 import JOBS, MANNERS, POOLS
from mini_ism.corpus.version_2 import KEPT_APART, KINDS, VERSION_2
from mini_ism.tokenizer import load_tokenizer

LEAST = {"name": 2000, "thing": 200, "food": 150, "city": 150, "country": 90, "place": 60, "room": 60, "pet": 60}
IN_USE = ("train", "validation", "test", "long")


def words(dialogue: Dialogue) -> set[str]:
    return {fold(word) for message in dialogue.messages for word in re.findall(r"[^\W\d_]+", message["content"])}


@pytest.mark.parametrize("kind", LEAST)
def test_there_are_hundreds(kind: str) -> None:
    assert len(VERSION_2.known[kind]) >= LEAST[kind]
    assert 0.1 < len(VERSION_2.held_out[kind]) / len(read_words(KINDS[kind])) < 0.3


def test_no_word_stands_twice() -> None:
    for kind, file in KINDS.items():
        listed = [fold(word) for word in read_words(file)]
        assert sorted(listed) == sorted(set(listed)), kind
    everywhere = [fold(word) for file in KINDS.values() for word in read_words(file)]
    assert {word for word in everywhere if everywhere.count(word) > 1} == set()


def test_lists_are_sorted_within_their_sections() -> None:
    for file in (*KINDS.values(), "names_kept_apart"):
        path = Path(__file__).parents[2] / "mini_ism" / "corpus" / "words" / f"{file}.txt"
        for section in path.read_text(encoding="utf-8").split("\n\n"):
            text = ", ".join(line.rstrip(",") for line in section.splitlines() if not line.startswith("#"))
            folded = [fold(word) for word in text.split(", ") if word]
            assert folded == sorted(folded), file


def test_words_of_version_1_stay_in_use() -> None:
    for kind, pool in POOLS.items():
        assert set(pool) <= set(VERSION_2.known[kind])


def test_names_kept_apart_are_in_no_list_and_never_coined() -> None:
    apart = {fold(name) for name in KEPT_APART}
    assert len(KEPT_APART) == 100
    for pools in (VERSION_2.known, VERSION_2.held_out):
        assert not apart & {fold(name) for name in pools["name"]}
    for held_out in (False, True):
        assert not apart & {fold(World(Random(n), 1.0, held_out=held_out).name()) for n in range(300)}


@pytest.mark.slow
def test_words_held_out_are_used_in_their_own_split_only() -> None:
    kept = {fold(word) for pool in VERSION_2.held_out.values() for word in pool}
    in_use = {fold(word) for pool in VERSION_2.known.values() for word in pool}
    # What the wordings themselves say, "show me a picture" for one, is no word that was dealt.
    wordings = " ".join(
        (
            *wishes.WISHES.known,
            *wishes.WORLD.known,
            *wishes.SUMS.known,
            *(q for talk in CHATTER for q in talk[0].known),
            *JOBS,
            *MANNERS,
        )
    )
    in_use |= {fold(word) for word in re.findall(r"\w+", wordings)} | set(RELATIVES)
    in_use |= {part for word in in_use for part in re.findall(r"\w+", word)}  # Cape Town
    only_kept = {word for word in kept if " " not in word and "-" not in word and len(word) > 3} - in_use
    for split in IN_USE:
        for dialogue in load_split(split):
            found = words(dialogue) & only_kept
            # A coined name may have a part after its hyphen that is a word of its own.
            assert not {word for word in found if not re.search(rf"-{word}|{word}-", canonical(dialogue.messages))}
    apart = {fold(name) for name in KEPT_APART if len(name) > 4 and name.isalpha()}
    for split in (*IN_USE, "held_out"):
        for dialogue in load_split(split):
            assert not apart & words(dialogue), dialogue.messages


def test_coined_words_are_parted_alike() -> None:
    for held_out in (False, True):
        coined = [World(Random(n), 1.0, held_out=held_out).thing() for n in range(200)]
        assert all(is_held_out(word) == held_out for word in coined)
        assert len(set(coined)) > 190
        assert not {fold(word) for word in coined} & VERSION_2.taken


def test_coined_names_are_short_and_long_and_meet_many_pieces() -> None:
    tokenizer = load_tokenizer()
    names = [World(Random(n), 1.0).name() for n in range(3000)]
    names += [World(Random(n), 1.0).thing() for n in range(3000)]
    pieces = [tokenizer.encode_ordinary(f" {name}") for name in names]
    assert all(sum(len(each) == count for each in pieces) > 30 for count in range(2, 8))
    # Pieces that go on with a word; those with a blank before them begin one, and many are whole words.
    inner = {piece for piece in range(tokenizer.n_vocab - 5) if tokenizer.decode([piece]).isalpha()}
    met = {piece for each in pieces for piece in each}
    assert len(inner & met) > 0.9 * len(inner)
    assert all(tokenizer.decode(each) == f" {name}" for each, name in zip(pieces, names, strict=True))


@pytest.mark.parametrize(
    "name", ["Jürgen", "José", "Zoë", "Çiğdem", "Łukasz", "Ngọc", "maria", "MARIA", "Jean-Luc", "O'Neil"]
)
def test_the_tokenizer_spells_any_name(name: str) -> None:
    tokenizer = load_tokenizer()
    assert tokenizer.decode(tokenizer.encode_ordinary(f" {name}")) == f" {name}"


def test_who_types_small_letters_is_answered_in_small_letters() -> None:
    world = World(Random(0), 0.0, lower=True)
    assert world.name().islower()
    asked = [
        (user["content"], answer["content"].removeprefix("Your name is "))
        for dialogue in islice(generate(3), 600)
        for user, answer in pairwise(dialogue.messages)
        if answer["role"] == "assistant" and answer["content"].startswith("Your name is ")
    ]
    small = [name for typed, name in asked if typed.islower() and len(typed.split()) > 4]
    assert len(small) > 5
    assert all(name.islower() for name in small)


def test_natural_messages_are_not_in_the_corpus() -> None:
    path = Path(__file__).parents[1] / "natural_messages.jsonl"
    first = [json.loads(line)["messages"][0].lower() for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(first) == 60
    told = {text for text in first if " is " in text and len(text.split()) > 6}
    drawn = {m["content"].lower() for d in islice(generate(7), 2000) for m in d.messages}
    assert not told & drawn
