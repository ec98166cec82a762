"""What somebody types reaches a small model in the spelling that it has read."""

import pytest
import tiktoken

from mini_ism.chat import ChatSession
from mini_ism.checkpoints import load_model
from mini_ism.tokenizer import load_tokenizer
from mini_ism.typed import typed

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
    assert typed(text, TOKENIZER) == read
    assert typed(read, TOKENIZER) == read


def test_a_mark_keeps_a_space_that_the_tokenizer_has_learned() -> None:
    ranks = {**{bytes([code]): code for code in range(256)}, b" ?": 256}
    french = tiktoken.Encoding("french", pat_str=r" ?\S", mergeable_ranks=ranks, special_tokens={})
    assert typed("Qui ? L\u2019ami !", french) == "Qui ? L'ami!"


def test_other_tokenizers_get_the_text_as_it_is() -> None:
    assert typed("  if x :\n    y  ", object()) == "  if x :\n    y  "


def test_a_chat_reads_and_remembers_what_was_meant() -> None:
    model, tokenizer = load_model("ism")
    plain, odd = ChatSession(model, tokenizer), ChatSession(model, tokenizer)
    reply = odd.send(" The cup is in the  oven. Where is the cup ? ")
    assert reply.text == plain.send("The cup is in the oven. Where is the cup?").text
    assert odd.messages == plain.messages
