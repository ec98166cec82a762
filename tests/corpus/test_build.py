"""The build writes the committed files."""

from __future__ import annotations

from pathlib import Path

import pytest

from mini_ism.corpus.build import build
from mini_ism.paths import data_dir


@pytest.mark.slow
def test_build_writes_the_committed_files(tmp_path: Path) -> None:
    written = build(tmp_path)
    assert {path.name for path in written} == {path.name for path in tmp_path.glob("*/*")}
    for path in written:
        assert path.read_bytes() == (data_dir() / path.relative_to(tmp_path)).read_bytes(), path
