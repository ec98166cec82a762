"""Skills of one's own, and skills that go wrong."""

from __future__ import annotations

import math
import random

import pytest

from mini_ism.corpus import Turn, World, generate, register_skill
from tests.corpus.samples import texts


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

    with pytest.raises(ValueError, match="weight of skill 'echo' must be at least 0, and finite, got -1"):
        register_skill(weight=-1)(echo)
    with pytest.raises(ValueError, match="weight of skill 'echo' must be at least 0, and finite, got nan"):
        register_skill(weight=math.nan)(echo)
    with pytest.raises(ValueError, match=r"found by its function's name, and .*lambda.* has none; write it as `def"):
        register_skill(lambda rng, world, size: [])


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


@pytest.mark.usefixtures("scratch_registry")
def test_an_error_inside_a_skill_names_the_skill_and_the_line() -> None:
    @register_skill
    def broken(rng: random.Random, world: World, size: int) -> list[Turn]:
        return [Turn("Say.", str(1 / 0), "broken")]

    @register_skill
    def worldly(rng: random.Random, world: World, size: int) -> list[Turn]:
        return [Turn(world.word("city"), "Yes.", "worldly")]

    @register_skill
    def numeric(rng: random.Random, world: World, size: int) -> list[Turn]:
        return [Turn("How many?", 3, "numeric")]  # type: ignore[arg-type]

    with pytest.raises(ValueError, match=r"skill 'broken' raised ZeroDivisionError: .* \(test_registry.py, line \d+\)"):
        next(generate(0, skills=["broken"]))
    with pytest.raises(
        ValueError, match=r"'worldly' .* version 1 .* no words of kind 'city'.* \(test_registry.py, line"
    ):
        next(generate(0, skills=["worldly"], version=1))
    with pytest.raises(TypeError, match=r"skill 'numeric' made .*; its user, assistant and skill must be texts"):
        next(generate(0, skills=["numeric"]))


@pytest.mark.usefixtures("scratch_registry")
def test_a_skill_takes_three_arguments() -> None:
    with pytest.raises(
        TypeError, match=r"skill 'two' takes \(rng, world\), but is called .*: write `def two\(rng, world, size"
    ):

        @register_skill  # type: ignore[arg-type]
        def two(rng, world):  # type: ignore[no-untyped-def]
            return []
