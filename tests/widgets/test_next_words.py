"""The odds of the next word: they are the model's own, and each token of the answer can be chosen."""

import torch

from mini_ism import ChatSession, load_tokenizer
from mini_ism.replies import Reply
from mini_ism.widgets.next_words import MOST, NextWords
from tests.small_models import small

TOKENIZER = load_tokenizer()
END = TOKENIZER.encode_single_token("<|end|>")


def test_the_odds_are_the_softmax_of_an_uncached_forward() -> None:
    model, tokenizer = small("ism")
    chat, words = ChatSession(model, tokenizer), NextWords(tokenizer)
    live: list[torch.Tensor] = []

    def add(token: int, logits: torch.Tensor) -> None:
        words.add(token, logits)
        live.append(words.odds(words.chosen))

    reply = chat.send("Where is the cup?", max_new_tokens=12, on_token=add)
    words.show(reply)
    start = len(chat.tokens) - len(reply.tokens) - 1
    logits = model(chat.tokens[None], chat.mask.dense(chat.segments)[None])[0]
    for number in range(len(reply.tokens)):
        odds = words.odds(number)
        assert abs(float(odds.sum()) - 1) < 1e-5
        torch.testing.assert_close(odds, logits[start - 1 + number].softmax(-1), atol=1e-5, rtol=1e-4)
        assert torch.equal(odds, live[number])
        assert int(odds.argmax()) == int(reply.tokens[number])  # the temperature is 0


def reply_of(tokens: list[int], stopped: str) -> Reply:
    torch.manual_seed(0)
    count = len(tokens) + (stopped == "end")
    return Reply("", torch.tensor(tokens), torch.randn(count, TOKENIZER.n_vocab), stopped)  # type: ignore[arg-type]


def test_a_token_is_chosen_by_a_pick_and_the_end_is_one() -> None:
    words = NextWords(TOKENIZER)
    tokens = TOKENIZER.encode(" Maria is in the oven")
    words.show(reply_of(tokens, "end"))
    assert words.chosen == 0
    shown = words.surface.value
    assert shown.count("data-pick") == len(tokens) + 1
    assert ">-ia<" in shown  # goes on with a word
    assert "‹end›" in shown
    for pick, chosen in (({"token": 2}, 2), ({"token": len(tokens)}, len(tokens)), ({"token": 99}, len(tokens))):
        words.surface.event = {"pick": "token", "count": chosen, **pick}
        assert words.chosen == chosen
        assert f'data-token="{chosen}" aria-current="true"' in words.surface.value
    words.surface.event = {"pick": "token", "token": "x"}
    assert words.chosen == len(tokens)


def test_what_was_written_is_shown_though_it_was_unlikely() -> None:
    words, logits = NextWords(TOKENIZER), torch.zeros(TOKENIZER.n_vocab)
    logits[list(range(MOST))] = 5.0
    logits[40] = -5.0
    words.add(40, logits)
    assert words.surface.value.count('class="mi-odds"') == MOST + 2  # and all others
    assert words.surface.value.count('class="mi-picked"') == 1
    words.add(0, logits)
    assert words.surface.value.count('class="mi-odds"') == MOST + 1


def test_an_answer_whose_scores_are_gone_has_no_bars() -> None:
    words = NextWords(TOKENIZER)
    words.show(Reply("", torch.tensor([40, 41]), torch.zeros(0, TOKENIZER.n_vocab), "interrupted"))
    assert words.surface.value == ""
    words.show(reply_of([], "end"))  # an empty answer is an end
    assert "‹end›" in words.surface.value
    words.clear()
    assert words.surface.value == ""
