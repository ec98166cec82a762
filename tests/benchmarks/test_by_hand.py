"""The step that is written out by hand computes what the model's does, and leaves the cache as it was."""

import pytest
import torch

from benchmarks.by_hand import ByHand
from benchmarks.peers import our_model


@pytest.mark.parametrize("context", [8, 33])
def test_the_step_by_hand_is_the_models(context: int) -> None:
    model = our_model("tiny")
    steps = ByHand(model, context)  # compares one step with the model's
    with torch.inference_mode():
        for number in range(3):
            tokens = torch.full((1, context + number + 1), 30)
            assert torch.allclose(steps.step(), model(tokens)[:, -1], atol=1e-4), number
    steps.cache.truncate(context)
    steps.decode()
    assert steps.cache.length == context


def test_another_computation_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ByHand, "step", lambda self: torch.zeros(1, self.model.config.vocab_size))
    with pytest.raises(AssertionError, match="something else"):
        ByHand(our_model("tiny"), 8)
