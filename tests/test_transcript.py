"""A session's tokens and segments are those of the encoded dialogue."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_ism import ChatSession, encode_dialogue
from tests.sessions import CONTEXT, MODELS, says, send
from tests.strategies import TOKENIZER


@settings(max_examples=12)
@given(
    st.lists(
        st.tuples(says, st.sampled_from(["In the box.", "Zolta.", "\u20ac\U0001f511"])),
        min_size=1,
        max_size=2,
    )
)
def test_tokens_and_segments_are_the_encoded_dialogues(turns: list[tuple[str, str]]) -> None:
    chat = ChatSession(MODELS[0], TOKENIZER, "ism", system="Be kind.")
    for text, answer in turns:
        send(chat, text, TOKENIZER.encode_ordinary(" " + answer))
    encoded = encode_dialogue(chat.messages, TOKENIZER)
    assert [m["content"] for m in chat.messages] == [
        "Be kind.",
        *(t for turn in turns for t in turn),
    ]
    assert torch.equal(chat.tokens, encoded.tokens)
    for name in ("id", "is_query", "is_system"):
        assert torch.equal(getattr(chat.segments, name), getattr(encoded.segments, name)), name
    assert chat.room == CONTEXT - len(encoded)
