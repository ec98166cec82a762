"""What the tests of the chat engine and its parts share: models, answers put in a model's mouth, the exact check."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from hypothesis import strategies as st

from mini_ism import ChatSession
from mini_ism.replies import Reply
from mini_ism.sampling import Sampler
from tests.strategies import SHAPES, TOKENIZER, close, random_model

VOCAB = TOKENIZER.n_vocab
END = TOKENIZER.encode_single_token("<|end|>")
CONTEXT = 96
MODELS = [random_model(n, vocab_size=VOCAB, context=CONTEXT, **shape) for n, shape in enumerate(SHAPES)]
models = st.sampled_from(MODELS)
says = st.sampled_from(["Hi.", "Where is the key?", "the box", "My name is Zolta.", "a \u20ac"])
words = st.integers(0, VOCAB - 6)  # any token but the markers
answers = st.lists(words, min_size=1, max_size=4)


@contextmanager
def saying(*answer: int) -> Iterator[None]:
    """Whatever the model thinks, the next reply is this one."""
    with patch.object(Sampler, "pick", side_effect=[*answer, END]):
        yield


def send(chat: ChatSession, text: str, answer: list[int]) -> Reply:
    with saying(*answer):
        return chat.send(text)


@torch.inference_mode()
def assert_exact(chat: ChatSession, prompt: int, reply: Reply) -> None:
    """Each score the reply was picked from is that of one uncached forward over all tokens so far."""
    for step, scores in enumerate(reply.logits):
        stop = prompt + step
        dense = chat.mask.dense(chat.segments[:stop])
        close(scores, chat.model(chat.tokens[None, :stop], dense)[0, -1])


def prompt_length(chat: ChatSession, reply: Reply) -> int:
    return len(chat.tokens) - 1 - len(reply.tokens)


def state(chat: ChatSession) -> tuple[object, ...]:
    messages = [dict(message) for message in chat.messages]
    return chat.tokens.tolist(), chat.segments.id.tolist(), messages, chat.cached, len(chat.trace)
