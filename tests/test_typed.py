"""What somebody types reaches a small model in the spelling that it has read."""

import re
from collections.abc import Callable

import pytest
import tiktoken

from mini_ism.chat import ChatSession
from mini_ism.checkpoints import load_model
from mini_ism.corpus import load_split
from mini_ism.dialogue import encode_dialogue, encode_message
from mini_ism.tokenizer import load_tokenizer
from mini_ism.typed import normalised
from tools.chat_check import natural_messages

TOKENIZER = load_tokenizer()


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Thanks! ", "Thanks!"),
        ("\tThe cup  is in\u00a0the oven.\u202f", "The cup is in the oven."),
        ("Where is the cup ? It is here !", "Where is the cup? It is here!"),
        ("I am Jose\u0301.", "I am Jos\u00e9."),
        ("A line.\nAnother ,  please", "A line.\nAnother, please"),
        ("Where\u2019s the \u201ccup\u201d ?", 'Where\'s the "cup"?'),
        ("It costs .5 or :) more", "It costs .5 or :) more"),
    ],
)
def test_spaces_and_accents_are_as_dialogues_have_them(text: str, read: str) -> None:
    assert normalised(text, TOKENIZER) == read
    assert normalised(read, TOKENIZER) == read


@pytest.mark.parametrize(
    "habit",
    [lambda t: f" {t} ", lambda t: re.sub(r"([?!])", r" \1", t), lambda t: t.replace("'", "\u2019")],
    ids=["spaces around", "spaces before marks", "curly apostrophes"],
)
def test_newcomers_may_type_as_they_are_used_to(habit: Callable[[str], str]) -> None:
    for text in (turn for message in natural_messages() for turn in message.turns):
        assert normalised(habit(text), TOKENIZER) == normalised(text, TOKENIZER)


def test_a_mark_keeps_a_space_that_the_tokenizer_has_learned() -> None:
    ranks = {**{bytes([code]): code for code in range(256)}, b" ?": 256}
    french = tiktoken.Encoding("french", pat_str=r" ?\S", mergeable_ranks=ranks, special_tokens={})
    assert normalised("Qui ? L\u2019ami !", french) == "Qui ? L'ami!"


def test_capitals_become_small_where_that_is_what_the_tokenizer_knows() -> None:
    assert normalised("WHERE IS THE CUP?", TOKENIZER) == "where is the cup?"
    for text in ("I", "I am MARIA.", "Where is the cup?", "12?"):
        assert normalised(text, TOKENIZER) == text


def test_no_dialogue_of_the_corpus_changes() -> None:
    said = {m["content"] for d in load_split("test") + load_split("held_out") for m in d.messages}
    assert {normalised(text, TOKENIZER) for text in said} == said


def test_answers_are_what_they_are() -> None:
    odd = " Where\u2019s  it ?"
    question, answer = ({"role": role, "content": odd} for role in ("user", "assistant"))
    plain = {**question, "content": "Where's it?"}
    assert encode_dialogue([question, answer], TOKENIZER).tokens.tolist() == [
        *encode_dialogue([plain], TOKENIZER).tokens.tolist(),
        *encode_message(answer, TOKENIZER),
    ]
    assert TOKENIZER.decode(encode_message(answer, TOKENIZER)).startswith(f" {odd}")


def test_a_chat_reads_what_was_meant() -> None:
    model, tokenizer = load_model("ism")
    plain, odd = ChatSession(model, tokenizer), ChatSession(model, tokenizer)
    reply = odd.send(" The cup is in the  oven. Where is the cup ? ")
    assert reply.text == plain.send("The cup is in the oven. Where is the cup?").text
    assert odd.tokens.tolist() == plain.tokens.tolist()
    assert odd.messages[0]["content"] == " The cup is in the  oven. Where is the cup ? "  # as it was typed
