"""The synthetic dialogues: skills, an endless generator, and frozen splits."""

from __future__ import annotations

from mini_ism.corpus import skills
from mini_ism.corpus.dialogues import SPLITS, Dialogue, bucket, generate
from mini_ism.corpus.own import read_dialogues
from mini_ism.corpus.registry import Turn, register_skill, skill_names
from mini_ism.corpus.splits import SIZES, load_split, own_dialogues
from mini_ism.corpus.world import LATEST, World

__all__ = [
    "LATEST",
    "SIZES",
    "SPLITS",
    "Dialogue",
    "Turn",
    "World",
    "bucket",
    "generate",
    "load_split",
    "own_dialogues",
    "read_dialogues",
    "register_skill",
    "skill_names",
    "skills",
]
