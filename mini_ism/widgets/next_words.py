"""The next word's probabilities: live while an answer is written, and afterwards for any of its tokens."""

from __future__ import annotations

import tiktoken
from torch import Tensor

from mini_ism.dialogue import END
from mini_ism.replies import Reply
from mini_ism.views.dialogue_view import token_label
from mini_ism.views.next_word import next_word_bars
from mini_ism.widgets.panel import put
from mini_ism.widgets.surface import Pick, Surface, picked_index

MOST = 6
"""How many of the likeliest tokens are shown, besides the one that was written."""


class NextWords:
    """The tokens of an answer, and bars for the likeliest tokens in the place of one of them.

    Args:
        tokenizer: of the model.

    Attributes:
        surface: the picture, to be placed on the page; empty until there is an answer.
        chosen: the index of the token that the bars are about, from 0.
    """

    def __init__(self, tokenizer: tiktoken.Encoding) -> None:
        self.tokenizer, self.surface = tokenizer, Surface()
        self._end = tokenizer.encode_single_token(END)
        self.surface.on_pick(self._pick)
        self.clear()

    def clear(self) -> None:
        """Forget the answer, and show nothing."""
        self._places: list[tuple[int, Tensor]] = []  # each token, and the odds [V] of all tokens in its place
        self.chosen = 0
        put(self.surface, "")

    def add(self, token: int, logits: Tensor) -> None:
        """A token of an answer was sampled from these logits ``[V]``: show its bars."""
        self._places.append((token, self._odds(logits)))
        self.choose(len(self._places) - 1)

    def show(self, reply: Reply) -> None:
        """An answer is finished: any of its tokens can be chosen, and its end, if the model ended it."""
        tokens = [*reply.tokens.tolist(), *([self._end] if reply.stopped == "end" else [])]
        # After an interruption, the logits may be missing.
        self._places = [(token, self._odds(logits)) for token, logits in zip(tokens, reply.logits, strict=False)]
        if self._places:
            self.choose(min(self.chosen, len(self._places) - 1))
        else:
            self.clear()

    def odds(self, number: int) -> Tensor:
        """The probabilities ``[V]`` that the model gave to all tokens in one place, before any temperature."""
        return self._places[number][1]

    def choose(self, number: int) -> None:
        """Show the bars of one of the answer's tokens, counted from 0."""
        self.chosen = number
        written, odds = self._places[number]
        ranked = odds.topk(min(MOST, len(odds))).indices.tolist()
        shown = ranked if written in ranked else [*ranked, written]
        answer = [self._named(*place) for place in self._places]
        likely = [self._named(token, odds) for token in shown]
        put(self.surface, str(next_word_bars(answer, number, likely, shown.index(written))))

    def _odds(self, logits: Tensor) -> Tensor:
        return logits[: self.tokenizer.n_vocab].softmax(0)

    def _pick(self, pick: Pick) -> None:
        number = picked_index(pick, "token", below=len(self._places))
        if number is not None:
            self.choose(number)

    def _named(self, token: int, odds: Tensor) -> tuple[str, float]:
        """A token's label, with a hyphen before it if it continues a word, and its probability."""
        text = self.tokenizer.decode([token])
        return f"{'-' if text[:1].isalnum() else ''}{token_label(text)}", float(odds[token])
