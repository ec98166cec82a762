"""A tokenizer without the markers is told so, wherever it is first asked for one."""

from collections.abc import Callable
from typing import Any

import pytest
import tiktoken

from mini_ism import GPT, ChatSession, GPTConfig, encode_dialogue, evaluate, load_tokenizer
from mini_ism.corpus import load_split
from mini_ism.decoding import answer_all
from mini_ism.dialogue import decode_dialogue
from mini_ism.markers import marker_id
from mini_ism.sampling import Sampler

BARE = tiktoken.Encoding(
    "bare", pat_str=r".", mergeable_ranks={bytes([byte]): byte for byte in range(256)}, special_tokens={}
)
MODEL = GPT(GPTConfig(vocab_size=512, width=16, heads=2, layers=1))
HI = [{"role": "user", "content": "Hi."}]


def test_a_marker_that_there_is() -> None:
    tokenizer = load_tokenizer()
    assert tokenizer.decode([marker_id(tokenizer, "<|user|>")]) == "<|user|>"


@pytest.mark.parametrize(
    "use",
    [
        lambda: encode_dialogue(HI, BARE),
        lambda: decode_dialogue([65], BARE),
        lambda: Sampler(BARE),
        lambda: ChatSession(MODEL, BARE).send("Hi."),
        lambda: evaluate(MODEL, BARE, load_split("test")[:1]),
        lambda: dict(answer_all(MODEL, BARE, [HI])),
    ],
)
def test_a_tokenizer_without_markers(use: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"the tokenizer 'bare' has no token '<\|\w+\|>', .* use load_tokenizer\(\)"):
        use()


@pytest.mark.parametrize("nothing", [None, "gpt2", (MODEL, load_tokenizer())])
def test_what_is_no_tokenizer(nothing: Any) -> None:
    with pytest.raises(TypeError, match=r"a tokenizer must be a tiktoken\.Encoding, from load_tokenizer\(\), got"):
        encode_dialogue(HI, nothing)
