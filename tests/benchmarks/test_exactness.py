"""A sample of the exactness check, and that it finds what is wrong."""

from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from benchmarks.exactness import main, segments_of
from mini_ism import encode_dialogue
from tests.strategies import TOKENIZER, Messages, conversations


@pytest.mark.slow
def test_a_sample_of_dialogues_and_interrupts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dialogues", "40", "--interrupts", "20", "--seed", "1"]) == 0
    line = capsys.readouterr().out.strip()
    assert line.startswith("40 dialogues, ")
    assert "0 mismatches; 20 interrupts, 0 broken sessions" in line
    assert line.endswith("seed 1")


@pytest.mark.slow
def test_what_is_not_exact_is_found_and_can_be_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    def all_is_right(before: Tensor, after: Tensor) -> int:
        return min(len(before), len(after))

    with patch("mini_ism.planner.unchanged_prefix", all_is_right):
        assert main(["--dialogues", "30"]) == 1
        first, *_, last = capsys.readouterr().out.splitlines()
        assert "InexactError: scores of positions" in first
        assert ", 0 mismatches" not in last
        number = first.split()[1].rstrip(",")
        assert first.endswith(f"again with --seed 0 --only {number}")
        assert main(["--seed", "0", "--only", number]) == 1
        again, last = capsys.readouterr().out.splitlines()
        assert again == first
        assert last.startswith("1 dialogues, ")
    assert main(["--seed", "0", "--only", number]) == 0


@pytest.mark.slow
@settings(max_examples=15)
@given(conversations())
def test_markers_say_what_the_segments_are(messages: Messages) -> None:
    encoded = encode_dialogue(messages, TOKENIZER)
    got = segments_of(encoded.tokens)
    for name in ("id", "is_query", "system"):
        assert torch.equal(getattr(got, name), getattr(encoded.segments, name))
