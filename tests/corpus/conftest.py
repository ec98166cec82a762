"""The frozen dialogues, and a registry that forgets."""

from __future__ import annotations

import pytest

from mini_ism.corpus import SIZES, Dialogue, load_split
from mini_ism.corpus import registry as registry_module


@pytest.fixture(scope="module")
def frozen() -> dict[str, list[Dialogue]]:
    return {name: load_split(name) for name in SIZES}


@pytest.fixture
def scratch_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skills that a test registers are gone after it."""
    monkeypatch.setattr(registry_module, "_REGISTRY", dict(registry_module._REGISTRY))
