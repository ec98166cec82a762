"""Tiny chat models: the same each time, fit for any mask, and small."""

import pytest
import torch
import transformers

from mini_ism.hf import HFChatSession
from mini_ism.hf.tiny import VOCABULARY, tiny_chat_model
from tests.hf.templates import MESSAGES


def test_the_same_each_time_and_without_a_trace_in_the_random_numbers() -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    (one, template), (other, _) = (tiny_chat_model([MESSAGES]) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    for weight, same in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(weight, same)
    assert sum(weight.numel() for weight in one.parameters()) < 300_000
    assert template.n_vocab <= VOCABULARY
    assert template.decode(template.encode(MESSAGES[:1]).tokens.tolist()).split("\n")[1] == MESSAGES[0]["content"]


def test_it_chats() -> None:
    session = HFChatSession(*tiny_chat_model([MESSAGES]))
    session.send("Where is the key?", max_new_tokens=3)
    assert session.turn == 1


def test_hrm_text_where_transformers_has_it() -> None:
    if hasattr(transformers, "HrmTextConfig"):
        model, _ = tiny_chat_model([MESSAGES], "hrm_text")
        assert type(model).__name__ == "HrmTextForCausalLM"
    else:
        with pytest.raises(ModuleNotFoundError, match="has no HRM-Text; pip install --upgrade transformers"):
            tiny_chat_model([MESSAGES], "hrm_text")
