"""The world: nothing is dealt twice, and words are coined when asked for."""

from __future__ import annotations

import random

import pytest

from mini_ism.corpus import World


def test_world_deals_nothing_twice() -> None:
    world = World(random.Random(0))
    dealt = [deal() for deal in (world.name, world.thing, world.place, world.room) for _ in range(40)]
    assert len(set(dealt)) == len(dealt)
    assert world.claim("a slot")
    assert not world.claim("a slot")


@pytest.mark.parametrize("coined", [0.0, 1.0])
def test_share_of_coined_words(coined: float) -> None:
    from mini_ism.corpus.version_1 import NAMES

    world = World(random.Random(0), coined, version=1)
    names = {world.name() for _ in range(len(NAMES))}
    assert names == set(NAMES) if coined == 0 else names.isdisjoint(NAMES)
    assert all(name[0].isupper() for name in names)
