"""The generator: the same seed gives the same dialogues, in the split that their text belongs to."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import numpy as np
import pytest

from mini_ism.corpus import LATEST, SPLITS, Dialogue, bucket, generate, skill_names
from tests.corpus.samples import take

# -- determinism ------------------------------------------------------------------------------------------------------


def test_same_seed_same_dialogues() -> None:
    assert take(generate(5)) == take(generate(5))
    assert take(generate(5)) != take(generate(6))
    assert take(generate(5, "test")) != take(generate(5))


def test_any_index_can_be_drawn_on_its_own() -> None:
    assert take(generate(5, start=30), 10) == take(generate(5))[30:]


@pytest.mark.slow
def test_another_process_draws_the_same() -> None:
    code = "from mini_ism.corpus import generate; print(next(generate(3)), next(generate(4, 'long')))"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True)  # another hash seed
    assert run.stdout.strip() == f"{next(generate(3))} {next(generate(4, 'long'))}"


# -- disjoint splits --------------------------------------------------------------------------------------------------


def test_buckets_part_the_hundred() -> None:
    parted = [number for spec in SPLITS.values() if not spec.held_out for number in spec.buckets]
    assert sorted(parted) == list(range(100))
    assert SPLITS["held_out"].buckets == SPLITS["test"].buckets


def test_careless_typing_does_not_change_the_split() -> None:
    neat = [{"role": "user", "content": "The key is in the box. Where is the key?"}]
    careless = [{"role": "user", "content": "the key is in the box. Where is the key"}]
    assert bucket(neat) == bucket(careless)


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
        ({"skills": ["recall", "recall"]}, "a skill is named twice in .*; give weights to take it more often"),
        ({"weights": {"recal": 1}}, "no skill named 'recal'"),
        ({"weights": {"recall": -1}}, "weight of skill 'recall' must be at least 0, and finite, got -1"),
        ({"weights": {"recall": math.nan}}, "weight of skill 'recall' must be at least 0, and finite, got nan"),
        ({"skills": ["recall"], "weights": {"recall": 0}}, "no skill to draw from"),
        ({"start": -1}, "start must be at least 0, got -1"),
        ({"version": 3}, "the version of the corpus must be from 1 to 2, got 3"),
        (
            {"split": "held_out", "version": 1},
            "version 1 of the corpus holds no words out; draw 'held_out' from version 2",
        ),
        (
            {"skills": ["wishes"], "version": 1},
            "skill 'wishes' needs words .*; draw it from version 2, or take another",
        ),
        ({"weights": {"recall": 1e308, "persona": 1e308}}, "the weights of skills must have a finite sum"),
        ({"coined": 2}, "coined must be from 0 to 1, got 2"),
        ({"coined": math.nan}, "coined must be from 0 to 1, got nan"),
    ],
)
def test_bad_requests_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate(0, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("version", range(1, LATEST + 1))
@pytest.mark.parametrize("skill", skill_names())
def test_each_version_draws_a_skill_or_refuses_it_by_name(skill: str, version: int) -> None:
    if skill in skill_names(version):
        take(generate(3, skills=[skill], version=version), 10)
    else:
        with pytest.raises(ValueError, match=f"skill '{skill}' needs words that version {version} of the corpus"):
            generate(3, skills=[skill], version=version)


@pytest.mark.parametrize(
    ("skills", "error", "message"),
    [
        (["a"], ValueError, r"a dialogue of 2 answers needs as many skills, got \['a'\]"),
        ("ab", TypeError, "skills must be a list of texts, one for each answer, got 'ab'"),
        ([1, 2], TypeError, "skills must be a list of texts"),
    ],
)
def test_a_dialogue_has_a_skill_for_each_answer(skills: Any, error: type[Exception], message: str) -> None:
    messages = [{"role": role, "content": "Hi."} for role in ("user", "assistant") * 2]
    with pytest.raises(error, match=message):
        Dialogue(messages, skills)


@pytest.mark.parametrize("arguments", [{"skills": 5}, {"weights": "recall=2"}])
def test_other_kinds_of_requests_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"must be .*; give a"):
        generate(0, **arguments)


@pytest.mark.parametrize("arguments", [{"seed": 1.0}, {"seed": True}, {"seed": "1"}, {"start": 2.0}, {"version": True}])
def test_numbers_of_another_type_are_no_other_corpus(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="must be a whole number"):
        generate(**{"seed": 1} | arguments)
    assert next(generate(np.int64(1))) == next(generate(1))  # type: ignore[arg-type]


@pytest.mark.parametrize("whole", [list, tuple, sorted])
def test_who_asks_for_all_of_an_endless_corpus_is_told(whole: Callable[[Iterable[Dialogue]], object]) -> None:
    with pytest.raises(ValueError, match=r"never end; take some of them, as in itertools\.islice"):
        whole(generate(0))
