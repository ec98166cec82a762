"""Version 1 of the corpus never changes: the sweeps' committed rows were measured in it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from itertools import islice
from random import Random

import pytest

from mini_ism.corpus import Dialogue, generate, skill_names
from mini_ism.corpus.chains import held_out
from mini_ism.corpus.splits import draw_split, to_jsonl
from mini_ism.training import TrainingConfig
from research.mismatch_corpus import WEIGHTS, five_minutes
from research.skills import _recipe
from research.word_tasks import TASKS

pytestmark = pytest.mark.slow

# Taken before there was a second version.
HASHES = json.loads("""
{
 "split train": "b60b5408192c3b4a",
 "split validation": "75b31f9d54d65c83",
 "split test": "62032266c57004c4",
 "split long": "a2d1dedde8dfe262",
 "skill codebook_before": "dbef01c0c159e8d4",
 "skill codebook_after": "cacd0a29e1ad394c",
 "skill codebook_later": "2c1c78a1f1243d11",
 "skill compare": "ae1e142a1765f8e6",
 "skill count": "d775cdc3bc60cd77",
 "skill hops": "8df2eafbf4875506",
 "skill persona": "bca08039ec9a23d7",
 "skill queue": "a51ca662ffd7b6c8",
 "skill recall": "3288f6e8f9a54972",
 "skill revision": "f76b8aef9bb1eb35",
 "skill smalltalk": "8fa2027671136f67",
 "skill unknown": "3250442f3756ee36",
 "skill update": "0d18211d1305c730",
 "coined 0.0": "a1985faceee72dc4",
 "coined 1.0": "c5e7752ba0b7b534",
 "task chains, any": "913b99381a0f58aa",
 "task chains, outer later": "0b478b6488d44b7e",
 "task chains, asked back": "c387a2abea618ee0",
 "task chains, told twice": "baeebff171bf9736",
 "task chains, asked first": "b3c073ca2481e2f6",
 "task chains, outer later, told twice": "1f7fc56b18c45363",
 "task codebook before": "6409cce01eb8fd03",
 "task codebook after": "7c0e463537579f16",
 "task codebook later": "5177c0b8b36820e0",
 "chains held out": "c63ea3ef89f94691",
 "recipe mismatch": "704af73d21e8706a",
 "recipe skills": "2dfa6f8cbcd5e3d8",
 "recipe shipped": "04ec67cfa5ec84d8"
}
""")
SPLITS = {  # of the files that data/dialogues held then
    "validation": "c7fba8b9d7fe689dfba26734f1fe894cf61b0224ba80b390a04983e80928b3bc",
    "test": "89475f997ca3b223bca17add384abab9b043cb50ef504acb6093f32d5dbc7f78",
    "long": "a2d1dedde8dfe2624755292a997864d012ed8c8e3933ef5fba60c9906ff7b54c",
}


def short_hash(dialogues: Iterable[Dialogue]) -> str:
    return sha256(to_jsonl(dialogues)).hexdigest()[:16]


@pytest.mark.parametrize("split", ["train", "validation", "test", "long"])
def test_every_split_is_drawn_as_ever(split: str) -> None:
    assert short_hash(islice(generate(0, split, version=1), 300)) == HASHES[f"split {split}"]


@pytest.mark.parametrize("split", SPLITS)
def test_the_files_of_then_can_be_drawn_again(split: str) -> None:
    assert sha256(to_jsonl(draw_split(split, version=1))).hexdigest() == SPLITS[split]


@pytest.mark.parametrize("skill", skill_names(1))
def test_every_skill_is_drawn_as_ever(skill: str) -> None:
    assert short_hash(islice(generate(1, skills=[skill], version=1), 60)) == HASHES[f"skill {skill}"]


@pytest.mark.parametrize("coined", [0.0, 1.0])
def test_words_are_coined_as_ever(coined: float) -> None:
    assert short_hash(islice(generate(2, coined=coined, version=1), 100)) == HASHES[f"coined {coined}"]


@pytest.mark.parametrize("name", TASKS)
def test_the_tasks_of_the_words_sweep_are_drawn_as_ever(name: str) -> None:
    drawn = [TASKS[name](Random(n), stage) for stage in range(3) for n in range(20)]
    assert short_hash(drawn) == HASHES[f"task {name}"]


def test_chains_are_drawn_as_ever() -> None:
    assert short_hash(held_out("test", 50)) == HASHES["chains held out"]


@pytest.mark.parametrize(
    ("name", "recipe", "steps"),
    [
        ("mismatch", five_minutes("ism", 0, 3300, WEIGHTS), (0, 1, 2000, 2001)),
        ("skills", _recipe({"mask": "ism", "seed": 0, "steps": 3000, "batch": 16, "lr": 1e-3}), (0, 1, 2000, 2001)),
        ("shipped", TrainingConfig(corpus=1, coined=0.16), (0, 1, 20000, 20001)),
    ],
)
def test_trainings_draw_as_ever(name: str, recipe: TrainingConfig, steps: tuple[int, ...]) -> None:
    assert short_hash(d for step in steps for d in recipe.draw(step)) == HASHES[f"recipe {name}"]
