"""Where the data is found, in a checkout and in an installed package."""

from __future__ import annotations

from pathlib import Path

import pytest

from mini_ism import paths
from mini_ism.paths import data_dir


def test_no_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "mini_ism")
    (tmp_path / "data").mkdir()  # somebody else's
    with pytest.raises(FileNotFoundError, match="data directory is missing: looked for"):
        data_dir()
    inside = tmp_path / "mini_ism" / "data" / "tokenizer"
    inside.mkdir(parents=True)
    assert data_dir() == inside.parent
