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
"""So many of the likeliest tokens are shown, and the one that was written."""


class NextWords:
    """The tokens of an answer, and bars that say what was likely in the place of one of them.

    Args:
        tokenizer: of the model.

    Attributes:
        surface: the picture, to be put onto the page; empty until there is an answer.
        chosen: the token that the bars are about, counted from 0.
    """

    def __init__(self, tokenizer: tiktoken.Encoding) -> None:
        self.tokenizer, self.surface = tokenizer, Surface()
        self._end = tokenizer.encode_single_token(END)
        self.surface.on_pick(self._pick)
        self.clear()

    def clear(self) -> None:
        """There is no answer."""
        self._tokens: list[int] = []
        self._logits: list[Tensor] = []
        self.chosen = 0
        put(self.surface, "")

    def add(self, token: int, logits: Tensor) -> None:
        """A token of an answer was drawn from the scores ``[V]``: show those."""
        self._tokens.append(token)
        self._logits.append(logits)
        self.choose(len(self._tokens) - 1)

    def show(self, reply: Reply) -> None:
        """An answer is finished: any of its tokens can be chosen, and its end, if the model ended it."""
        tokens = [*reply.tokens.tolist(), *([self._end] if reply.stopped == "end" else [])]
        self._logits = list(reply.logits)
        self._tokens = tokens[: len(self._logits)]  # of an answer that was interrupted they may be gone
        if self._tokens:
            self.choose(min(self.chosen, len(self._tokens) - 1))
        else:
            self.clear()

    def odds(self, number: int) -> Tensor:
        """The probabilities ``[V]`` that the model gave to all tokens in one place, before any temperature."""
        return self._logits[number][: self.tokenizer.n_vocab].softmax(0)

    def choose(self, number: int) -> None:
        """Show the bars of one of the answer's tokens, counted from 0."""
        self.chosen = number
        odds, written = self.odds(number), self._tokens[number]
        ranked = odds.topk(min(MOST, len(odds))).indices.tolist()
        shown = ranked if written in ranked else [*ranked, written]
        bars = [(self._label(token), float(odds[token])) for token in shown]
        pieces = [self._label(token) for token in self._tokens]
        put(self.surface, str(next_word_bars(pieces, number, bars, shown.index(written))))

    def _pick(self, pick: Pick) -> None:
        number = picked_index(pick, "token", below=len(self._tokens))
        if number is not None:
            self.choose(number)

    def _label(self, token: int) -> str:
        """A token's name; one that goes on with a word begins with a hyphen."""
        text = self.tokenizer.decode([token])
        return f"-{token_label(text)}" if text[:1].isalnum() else token_label(text)
