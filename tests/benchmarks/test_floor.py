"""The floors multiply what the model multiplies, and attend to what it attends to."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.floor import reading_floor, training_floor
from benchmarks.peers import our_model
from benchmarks.timing import Step
from mini_ism import KVCache


def operations(step: Step) -> int:
    with FlopCounterMode(display=False) as counter:
        step()
    return int(counter.get_total_flops())


@pytest.mark.parametrize(("computed", "seen"), [(5, 5), (3, 20), (1, 9)])
def test_the_floor_of_reading(computed: int, seen: int) -> None:
    model = our_model("tiny")
    tokens = torch.full((1, seen), 30)

    def forward(start: int, stop: int, cache: KVCache) -> None:
        with torch.inference_mode():
            model.compute(tokens[:, start:stop], None, cache, logits_at=slice(-1, None))

    cache = model.new_cache()
    if computed < seen:
        forward(0, seen - computed, cache)
    own = operations(lambda: forward(seen - computed, seen, cache))
    assert operations(reading_floor(model, computed, seen)) == own


def test_the_floor_of_training() -> None:
    model = our_model("tiny").train()
    tokens, mask = torch.full((3, 16), 30), torch.ones(3, 16, 16).tril().bool()
    at = torch.zeros(3, 16, dtype=torch.bool)
    at[:, 5:9] = True
    own = operations(lambda: model(tokens, mask, logits_at=at).sum().backward())
    assert operations(training_floor(model, mask, int(at.sum()))) == own
