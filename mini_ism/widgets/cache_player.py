"""The cache player: several masks read the same dialogue in lockstep; watch what each cache keeps and what it loses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ipywidgets as w
import tiktoken

from mini_ism.chat import ChatSession
from mini_ism.cost import plan
from mini_ism.dialogue import Message, encode_dialogue
from mini_ism.tokenizer import load_tokenizer
from mini_ism.views import (
    Figure,
    Frame,
    cache_figure,
    cache_strip,
    frames,
    token_labels,
    token_roles,
)
from mini_ism.widgets.panel import EXAMPLE, Panel, put

MILLISECONDS = 450
MASKS = ("causal", "prefix", "ism")


class CachePlayer(Panel):
    """A film of KV caches: a lane for each mask, a cell for each token.

    Args:
        messages: the dialogue; what each lane does with it follows from the rules, exactly, and no model runs.
        tokenizer: default, the package's own.
        masks: the lanes, as text for :func:`~mini_ism.masks.get_mask`.
        sessions: real conversations by name, instead of ``messages``: their traces are played.

    Raises:
        TypeError, ValueError: the dialogue or a mask is not valid; both ``messages`` and ``sessions`` were given;
            a session has said nothing yet or went back.
    """

    def __init__(
        self,
        messages: Sequence[Message] | None = None,
        tokenizer: tiktoken.Encoding | None = None,
        *,
        masks: Sequence[str] = MASKS,
        sessions: Mapping[str, ChatSession] | None = None,
    ) -> None:
        super().__init__("mi-cache")
        if sessions is None:
            self._plan(
                list(EXAMPLE if messages is None else messages),
                tokenizer or load_tokenizer(),
                masks,
            )
        elif messages is None:
            self._play(sessions)
        else:
            raise ValueError("give a dialogue (messages) or conversations that took place (sessions), not both")
        self._most = max(lane.computed for lane in self.film[-1].lanes.values())
        self._make_controls()
        self._redraw()

    def _plan(self, messages: list[Message], tokenizer: tiktoken.Encoding, masks: Sequence[str]) -> None:
        encoded = encode_dialogue(messages, tokenizer)
        self.film = frames({mask: plan(mask, encoded.segments) for mask in masks})
        self.labels, self.roles = token_labels(encoded, tokenizer), token_roles(encoded.segments)

    def _play(self, sessions: Mapping[str, ChatSession]) -> None:
        self.film = frames({name: session.trace for name, session in sessions.items()})
        if len(self.film) == 1:
            raise ValueError("the sessions have said nothing yet; send() each of them a message first")
        written = []
        for session in sessions.values():
            encoded = encode_dialogue(session.messages, session.tokenizer)
            labels = token_labels(encoded, session.tokenizer)
            written.append(list(zip(labels, token_roles(encoded.segments), strict=True)))
        longest = max(written, key=len)
        # Answers may differ; a position that is not the same token in each lane gets no name.
        agree = [all(lane[i : i + 1] in ([], [pair]) for lane in written) for i, pair in enumerate(longest)]
        self.labels = [label if same else "…" for (label, _), same in zip(longest, agree, strict=True)]
        self.roles = [role for _, role in longest]

    def _make_controls(self) -> None:
        last = len(self.film) - 1
        self.player = w.Play(min=0, max=last, value=0, interval=MILLISECONDS)
        self.step = w.IntSlider(min=0, max=last, value=0, description="Step", layout=w.Layout(width="420px"))
        self.back = w.Button(description="Back", icon="step-backward", layout=w.Layout(width="90px"))
        self.forward = w.Button(description="Step", icon="step-forward", layout=w.Layout(width="90px"))
        self.picture = w.HTML()
        self._link = w.jslink((self.player, "value"), (self.step, "value"))
        self.step.observe(lambda _: self._redraw(), "value")
        self.back.on_click(lambda _: self._move(-1))
        self.forward.on_click(lambda _: self._move(1))
        bar = w.HBox([self.player, self.back, self.forward, self.step], layout=w.Layout(flex_flow="row wrap"))
        self.box.children = [self._style, bar, self._status, self.picture]

    def _move(self, steps: int) -> None:
        self.step.value = min(max(self.step.value + steps, 0), len(self.film) - 1)

    @property
    def frame(self) -> Frame:
        """The step that is shown."""
        return self.film[int(self.step.value)]

    def _redraw(self) -> None:
        self._say(self.frame.describe())
        put(self.picture, str(cache_strip(self.frame, self.labels, self.roles, most=self._most)))

    def figure(self) -> Figure:
        """The last step as a still picture: what was kept, read and written by the end."""
        figure = cache_figure(self.film[-1], self.labels, self.roles)
        figure.alt = f"Cache player, last step. {figure.alt}"
        return figure
