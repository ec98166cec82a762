"""The page about training on a GPU, at a small size on the CPU, where FlexAttention has no gradient."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu, long_rows
from benchmarks.gpu import findings, main
from benchmarks.long_rows import Budget, Cell, Measured, attempt, dialogue, form, learned
from mini_ism import get_mask

SMALL = ["--device", "cpu", "--small", "--lengths", "128", "256", "--rounds", "2"]


def rows(text: str, title: str) -> list[list[str]]:
    """The cells below a table's head."""
    table = re.findall(r"^\| (.*) \|$", text.split(f"\n## {title}")[1].split("\n## ")[0], re.MULTILINE)
    return [line.split(" | ") for line in table[2:]]


@pytest.mark.slow
def test_both_paths_are_measured_and_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a dense mask in the place of the blocks, which take no gradient here."""
    monkeypatch.setattr(long_rows, "form", lambda mask, path, s: form(mask, "dense", s))
    monkeypatch.setattr(torch.Tensor, "sparsity", lambda mask: 25.0, raising=False)
    monkeypatch.setattr(gpu, "decoding", lambda *given: ["1"] * 5)
    monkeypatch.setattr(gpu, "training", lambda *given, **changes: ["2"] * 4)
    assert main([*SMALL, "--out", str(tmp_path / "GPU.md")]) == 0
    text = (tmp_path / "GPU.md").read_text(encoding="utf-8")
    assert "`python -m benchmarks.gpu --device cpu --small --lengths 128 256 --rounds 2 --out " in text
    assert [row[:3] for row in rows(text, "A training step")] == [
        [mask, tokens, "75%"] for mask in ("causal", "prefix", "ism") for tokens in ("128", "256")
    ]
    assert all(re.fullmatch(r"[\d.]+ \([\d.]+ to [\d.]+\)", row[5]) for row in rows(text, "A training step"))
    assert [row[1:] for row in rows(text, "The same numbers")] == [["0.0e+00", "0.0e+00", "yes"]] * 3
    assert rows(text, "Decoding")[1] == ["tiny", "1,500", *"11111"]
    assert rows(text, "Training,") == [["tiny", "float32", *"2222"]]
    assert "Under ism, at 256 tokens, the block mask keeps 75% of the blocks" in text


def test_what_fails_or_has_no_time_left_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def full() -> None:
        raise torch.OutOfMemoryError

    assert attempt(full) == "out of memory"
    assert attempt(lambda: 1 / 0) == "ZeroDivisionError"
    assert Budget(60).attempt(lambda: "found") == "found"
    assert "division by zero" in capsys.readouterr().err
    assert main([*SMALL, "--seconds", "0", "--out", str(tmp_path / "GPU.md")]) == 0
    text = (tmp_path / "GPU.md").read_text(encoding="utf-8")
    assert {row[3] for row in rows(text, "A training step")} == {"not run"}
    assert rows(text, "Decoding")[0][2:] == ["not run", "", "", "", ""]
    assert "No cell has both paths." in text


def test_paths_that_differ_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "agreement", lambda *given: (0.0, 2e-4))
    monkeypatch.setattr(gpu, "fill_all", lambda *given: iter(()))
    for name in ("decoding", "training"):
        monkeypatch.setattr(gpu, name, lambda *given, **changes: "not run")
    assert main([*SMALL, "--out", str(tmp_path / "GPU.md")]) == 1
    assert rows((tmp_path / "GPU.md").read_text(encoding="utf-8"), "The same numbers")[0] == [
        *("causal", "0.0e+00", "2.0e-04", "NO")
    ]


def test_what_is_found_is_worked_out_from_the_cells() -> None:
    def cell(mask: str, tokens: int, dense: float, blocks: Any) -> Cell:
        slow = Measured(0.1, 1.0, 2**32, [dense], [dense])
        fast = blocks if isinstance(blocks, str) else Measured(0.1, 1.0, 2**30, [blocks], [blocks])
        return Cell(mask, tokens, 0.5, {"dense": slow, "blocks": fast})

    cells = [cell("causal", 1024, 1.0, 2.0), cell("causal", 2048, 4.0, 1.0), cell("ism", 1024, 1.0, "out of memory")]
    assert findings(cells) == (
        "Under causal, at 2,048 tokens, the block mask keeps 50% of the blocks, and a step with it takes 0.25 times "
        "the dense one's time and 0.25 times its memory."
    )


@pytest.mark.parametrize("tokens", [128, 1024, 16384])
def test_a_row_holds_turns_that_one_forward_can_learn(tokens: int) -> None:
    for mask in ("causal", "prefix", "ism"):
        batch = dialogue(tokens, 500, loss=learned(mask))
        assert batch.tokens.shape == (1, tokens)
        ids = batch.segments.id[0]
        assert bool((ids.diff() >= 0).all())
        assert ids[-1] >= 3
        assert bool(batch.segments.is_query[0, 0])
        assert bool(batch.loss_mask[0, -1])
        assert not bool((batch.loss_mask & batch.segments.is_query).any())
        if tokens == 128:
            seen = get_mask(mask).dense(batch.segments)[0]
            targets = batch.loss_mask[0].nonzero()[:, 0]
            assert not bool(seen[targets - 1, targets].any())
