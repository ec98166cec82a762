"""What the corpus offers to say: a slow reader can answer it, and the words are those of the lists."""

import pytest

from mini_ism import ChatSession, load_model, load_tokenizer
from mini_ism.corpus.topics import EXAMPLES, hard_words, word_lists
from mini_ism.corpus.version_2 import VERSION_2
from mini_ism.masks import COURSE_MASKS
from tests.corpus.chat_reader import ChatReader

ANSWERS = (
    "Your name is Maria.",
    "In Berlin.",
    "In the oven.",
    "In the kitchen.",
    "In the garage.",
    "Ella.",
    "I do not know.",
    "Tell me who or what is where, then ask me.",
)


@pytest.mark.parametrize(("text", "answer"), list(zip(EXAMPLES, ANSWERS, strict=True)))
def test_each_example_can_be_answered_alone(text: str, answer: str) -> None:
    assert ChatReader().answers(text, answer)


def test_all_examples_can_be_answered_in_a_row() -> None:
    reader = ChatReader()
    for text, answer in zip(EXAMPLES, ANSWERS, strict=True):
        assert reader.answers(text, answer), text


@pytest.mark.slow
@pytest.mark.parametrize("mask", COURSE_MASKS)
def test_the_shipped_models_answer_each_example_alone_and_in_a_row(mask: str) -> None:
    model, tokenizer = load_model(mask)
    in_a_row = ChatSession(model, tokenizer)
    for text, answer in zip(EXAMPLES, ANSWERS, strict=True):
        assert ChatSession(model, tokenizer).send(text).text == answer
        assert in_a_row.send(text).text == answer


def test_word_lists_are_those_that_training_uses() -> None:
    lists = word_lists()
    assert {word for words in lists.values() for word in words} <= {w for ws in VERSION_2.known.values() for w in ws}
    for words in lists.values():
        assert list(words) == sorted(words)
        assert len(words) > 50


def test_hard_words() -> None:
    tokenizer = load_tokenizer()
    assert hard_words("", tokenizer) == {}
    for text in EXAMPLES:
        assert hard_words(text, tokenizer) == {}
    found = hard_words("Is <|assistant|> Thandiwe's, (screwdriver)? I'm JOS\u00c9, OK \U0001f44b \u674e!", tokenizer)
    assert found.keys() == {"assistant", "Thandiwe's", "screwdriver", "JOS\u00c9", "\U0001f44b", "\u674e"}
    assert "tokens long" in found["screwdriver"]
    assert "capitals" in found["JOS\u00c9"]
    assert "never read" in found["\u674e"]
