"""A sample of the soak, and that it notices what is lost."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from benchmarks import fuzz, soak
from benchmarks.killed import mismatches
from benchmarks.long_chat import long_chat
from benchmarks.soak import PARTS, TRIALS, main, page, trials
from mini_ism import get_mask
from mini_ism.chat import ChatSession
from mini_ism.training import Run, TrainingConfig
from tests.small_runs import TINY


@pytest.mark.slow
def test_a_sample_of_everything_loses_nothing(tmp_path: Path) -> None:
    assert main(["--sample", "--seed", "2", "--out", str(tmp_path / "page.md")]) == 0
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")][2:]
    assert [(what, int(tried), int(lost)) for what, tried, _, lost in rows] == [(p.what, p.sample, 0) for p in PARTS]
    assert "\nNothing was lost.\n" in text
    assert "seed 2;" in text


def test_what_is_lost_is_counted_told_and_can_be_lost_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_down(random: Random) -> bool:
        if random.random() < 0.2:
            raise ZeroDivisionError("of the 7th kind")
        return random.random() < 0.5

    monkeypatch.setitem(TRIALS, "rule", break_down)
    part = soak.Part("masks", 50, 50, trials("rule", "read"))
    monkeypatch.setattr(soak, "PARTS", [part])
    assert main(["--sample", "--seed", "3"]) == 1
    printed = capsys.readouterr().out
    lost = [line for line in printed.splitlines() if line.startswith("- masks: ZeroDivisionError: of the 7th kind")]
    assert lost
    assert printed.count(f"| {len(lost)} |\n") == 1
    assert "Nothing was lost" not in printed
    words = lost[0].split("again with ")[1].split()
    with pytest.raises(ZeroDivisionError):
        main(words)
    assert page([(part, 1, soak.Outcome("well"))], 0, 61.0).endswith("; seed 0; 61 s.\n")


def lost_among(name: str, count: int) -> list[str]:
    return trials(name, "taken")(count, 0).lost


def test_a_text_that_is_read_as_another_rule_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "get_mask", lambda text: get_mask("causal"))
    assert any("was read as another rule" in line for line in lost_among("rule", 20))


def test_a_raw_error_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "get_mask", lambda text: get_mask(text.split("&")[99]))
    assert lost_among("rule", 5)[0].startswith("IndexError: list index out of range; again with --seed 0 --only rule/")
    monkeypatch.setattr(fuzz, "get_mask", lambda text: int(text))
    assert any(line.startswith("LostError: a raw ValueError") for line in lost_among("rule", 20))


def test_an_option_that_is_not_heeded_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    send = ChatSession.send
    monkeypatch.setattr(ChatSession, "send", lambda self, text, **_: send(self, text, max_new_tokens=9))
    assert any("LostError: send(" in line for line in lost_among("option", 60))


def test_a_damaged_file_that_is_read_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fuzz.KINDS, "split", lambda folder: (folder / "validation.jsonl").read_bytes())
    fuzz._read_whole.cache_clear()
    try:
        assert any("a damaged validation.jsonl was read as something else" in line for line in lost_among("file", 60))
    finally:
        fuzz._read_whole.cache_clear()


def test_a_long_chat_that_reads_a_token_twice_or_wrongly_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match=r"positions were computed for"):
        long_chat(3, Random(0), "prefix")
    softmax = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional,
        "scaled_dot_product_attention",
        lambda q, k, v, **given: softmax(q, k, v, **given) * (1 + q.shape[-2] / 1e3),
    )
    with pytest.raises(AssertionError, match=r"a score differs by"):
        long_chat(3, Random(0))


def test_what_differs_between_two_runs_is_named(tmp_path: Path) -> None:
    runs: list[Any] = [Run(TrainingConfig(seed=seed, **TINY), tmp_path / str(seed)) for seed in (0, 1)]
    assert mismatches(runs[0], runs[0]) == []
    runs[1].metrics.append({"step": 1, "loss": 5.0})
    found = mismatches(*runs)
    assert "embed.weight" in found
    assert "the measured loss" in found
