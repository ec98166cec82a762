"""Fixtures of the widgets' tests."""

from collections.abc import Iterator

import pytest

from mini_ism.masks import MASKS


@pytest.fixture
def no_new_masks() -> Iterator[None]:
    """Masks that a test registers are gone after it."""
    before = dict(MASKS)
    yield
    MASKS.clear()
    MASKS.update(before)
