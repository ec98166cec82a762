import pytest
import torch

from mini_ism import GPT, GPTConfig, encode_dialogue
from mini_ism.dialogue import EncodedDialogue
from mini_ism.widgets.panel import EXAMPLE
from tests.views.drawn import TOKENIZER


@pytest.fixture(scope="session")
def model() -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(TOKENIZER.n_vocab, mask="ism", layers=2, heads=2, width=16, context=200))


@pytest.fixture
def encoded() -> EncodedDialogue:
    return encode_dialogue(EXAMPLE, TOKENIZER)
