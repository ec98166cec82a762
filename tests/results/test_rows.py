"""Committed rows are read as they are, and each reader reads all of them."""

from pathlib import Path

import pytest

from mini_ism.results import costs, load_rows, mismatch, read_rows, regression, results_dir, skills, words


def test_rows_are_found_by_name() -> None:
    assert load_rows("words") == read_rows(results_dir() / "words.jsonl")
    with pytest.raises(ValueError, match=r"there are no rows of 'word'; choose one of costs, mismatch, .*, words"):
        load_rows("word")
    assert read_rows(Path("no-such-folder") / "words.jsonl") == []


def test_no_rows_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "words.jsonl").write_bytes(b'{"config": {}')  # of a run that was killed
    monkeypatch.setattr("mini_ism.results.rows.results_dir", lambda: tmp_path)
    with pytest.raises(ValueError, match=r"words\.jsonl holds no rows; restore it, or make them"):
        load_rows("words")


def test_readers_read_every_committed_sweep() -> None:
    """Each reader gives a group for each mask that was run, and a number for each cell of a picture."""
    for name in ("skills", "skills-long", "skills-late"):
        rows = load_rows(name)
        assert {mask for _, mask in skills.best(rows)} == {row.config["mask"] for row in rows}
        assert all(0 <= cell[0] <= 1 for cells in skills.by_setting(rows).values() for cell in cells.values())
    for path in results_dir().glob("regression-*.jsonl"):
        rows = load_rows(path.stem)
        assert {mask for _, mask in regression.best(rows)} == {row.config["mask"] for row in rows}
        assert all(cell[0] >= 1 for cells in regression.by_setting(rows).values() for cell in cells.values())
    rows = load_rows("words")
    assert {task for task, *_ in words.best(rows)} == set(words.TASKS)
    assert words.by_setting(rows, "chains").keys().isdisjoint(words.by_setting(rows, "codebook"))
    assert words.learning_curves(rows).keys() == {"causal", "ism", "prefix"}
    for name in ("mismatch", "mismatch-chains"):
        for stage in ("zero-shot", "tuned"):
            assert list(mismatch.by_training(load_rows(name), stage)) == [
                f"trained with {mask}" for mask in ("causal", "ism", "prefix")
            ]
    waits = costs.first_tokens(load_rows("costs"))
    assert all(len(turns) == 8 for turns in waits.values())
