"""The synthetic dialogues: skills, an endless generator, and frozen splits."""

from __future__ import annotations

from . import skills
from .dialogues import SPLITS, Dialogue, bucket, generate
from .registry import Turn, register_skill, skill_names
from .world import World

__all__ = [
    "SPLITS",
    "Dialogue",
    "Turn",
    "World",
    "bucket",
    "generate",
    "register_skill",
    "skill_names",
    "skills",
]
