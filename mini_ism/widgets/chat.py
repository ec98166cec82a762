"""Chat with several models, or with one under several masks, side by side, and see what each turn cost each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ipywidgets as w
import tiktoken

from mini_ism.chat import ChatSession, ContextFullError
from mini_ism.corpus.topics import EXAMPLES
from mini_ism.masks import COURSE_MASKS, get_mask
from mini_ism.model import GPT
from mini_ism.views import Figure, turn_bars
from mini_ism.views.chat_figure import chat_figure
from mini_ism.widgets.chat_guide import CHIP_STYLE, about_html, hard_words_note, note_html, words_html
from mini_ism.widgets.chat_lane import Lane
from mini_ism.widgets.layout import legible
from mini_ism.widgets.message_box import MessageBox
from mini_ism.widgets.panel import Panel, heading, put
from mini_ism.widgets.surface import Surface

OWN = "models, each under its own mask"
START_OVER = "Start over"
MESSAGE = "Message to all of them"
HELLO = "Nobody has said anything yet. Type a message and press Enter, or pick an example."


class ChatWidget(Panel):
    """One text box, and a conversation with each model, or with one model's weights under each of several masks.

    Args:
        models: a model and its tokenizer by name.
        examples: messages that a click sends.
        masks: the masks to run one model's weights under, side by side, as text for :func:`~mini_ism.masks.get_mask`.
        weights: begin with this model under all ``masks``; default, with all models, each under the mask it was trained
            with. A menu switches between these.

    Attributes:
        lanes: the conversations by name, as :class:`~mini_ism.widgets.chat_lane.Lane`.

    Raises:
        TypeError, ValueError: no model; a mask that cannot be parsed; ``weights`` names no model; ``examples`` is a
            single string.
    """

    def __init__(
        self,
        models: Mapping[str, tuple[GPT, tiktoken.Encoding]],
        examples: Sequence[str] = EXAMPLES,
        *,
        masks: Sequence[str] = COURSE_MASKS,
        weights: str | None = None,
    ) -> None:
        super().__init__("mi-chat")
        if not models:
            raise ValueError('no model to chat with; give some by name: {"ism": load_model("ism")}')
        if weights is not None and weights not in models:
            raise ValueError(f"weights={weights!r} names no model; models are {', '.join(models)}")
        if weights is not None and not masks:
            raise ValueError(f"weights={weights!r} needs masks to be read under, but masks={masks!r} has none")
        if isinstance(examples, str | Mapping):
            raise TypeError(f"examples must be messages in a list, got {examples!r}")
        for mask in masks:
            get_mask(mask)
        self.models, self.masks = dict(models), tuple(masks)
        self._make_controls(weights)
        self._make_examples(examples)
        self._lay_out()
        self.reset()

    # -- layout ---------------------------------------------------------------------------------

    def _make_controls(self, weights: str | None) -> None:
        choices = [(OWN, "")] + [(f"{name}'s weights, under {', '.join(self.masks)}", name) for name in self.models]
        self.line_up = w.Dropdown(
            options=choices if self.masks else choices[:1],
            value=weights or "",
            description="Side by side",
            style={"description_width": "90px"},
            layout=w.Layout(width="520px", max_width="calc(100% - 4px)"),
        )
        self.text = MessageBox(
            MESSAGE,
            "Type a message, and press Enter.",
            layout=w.Layout(width="calc(100% - 4px)", max_width="640px", margin="2px"),
        )
        self.button = w.Button(description="Send", icon="paper-plane", button_style="primary")
        self.again = w.Button(description=START_OVER, icon="undo")
        self.odds = w.Checkbox(
            description="show how likely each next word was", indent=False, layout=w.Layout(width="auto")
        )
        self.row, self.note = w.HBox(layout=w.Layout(flex_flow="row wrap")), w.HTML()
        self.bars = Surface()
        self.line_up.observe(lambda _: self._change_line_up(), "value")
        self.text.on_enter(self._send_lines)
        self.odds.observe(lambda _: self._show_odds(), "value")
        self.button.on_click(lambda _: self._send_typed())
        self.again.on_click(lambda _: self.reset())

    def _make_examples(self, examples: Sequence[str]) -> None:
        self.examples = {text: w.Button(description=text, tooltip=f"Send: {text}") for text in examples}
        for text, chip in self.examples.items():
            chip.add_class("mi-chip")
            chip.on_click(lambda _, text=text: self.send(text))

    def _lay_out(self) -> None:
        wrap = w.Layout(flex_flow="row wrap")
        self.box.children = [
            self._style,
            w.HTML(CHIP_STYLE, layout=w.Layout(display="none")),
            w.HTML(about_html("Chat")),
            heading("Pick an example to send it"),
            w.HBox(list(self.examples.values()), layout=wrap),
            w.HTML(words_html()),
            # Above the columns, which grow: the text box stays in place, even in a small window.
            w.VBox([heading(MESSAGE), self.text]),
            w.HBox([self.button, self.again, self.odds], layout=wrap),
            self.note,
            self._error,
            self.line_up,
            self.row,
            self._status,
            self.bars,
        ]

    # -- the line-up ----------------------------------------------------------------------------

    @property
    def sessions(self) -> dict[str, ChatSession]:
        """The conversations by name."""
        return {name: lane.session for name, lane in self.lanes.items()}

    def _turns(self) -> list[int]:
        """How many turns each conversation has taken."""
        return [session.turn for session in self.sessions.values()]

    def _lane(self, name: str) -> Lane:
        weights = self.line_up.value
        model, tokenizer = self.models[weights or name]
        session = ChatSession(model, tokenizer, name if weights else None)
        return Lane(name, f"{name}: {weights}'s weights" if weights else name, session, shows_odds=self.odds.value)

    def _change_line_up(self) -> None:
        """Switch the models or masks, and replay to them what has been said so far."""
        longest = max((session.messages for session in self.sessions.values()), key=len)
        self.play([message["content"] for message in longest if message["role"] == "user"])

    # -- talking --------------------------------------------------------------------------------

    def reset(self) -> None:
        """Forget everything that was said."""
        names = self.masks if self.line_up.value else self.models
        self.lanes = {name: self._lane(name) for name in names}
        self.row.children = [lane.box for lane in self.lanes.values()]
        self._complain("")
        put(self.note, "")
        self._say(HELLO)
        self._show()

    def play(self, texts: Sequence[str]) -> None:
        """Start over, and send these messages one after the other."""
        self.reset()
        for text in texts:
            self.send(text)

    def send(self, text: str) -> None:
        """Send a message to every model; the replies appear as they are written. Errors are shown in place."""
        self._complain("")
        if self._attempt(lambda: self._begin(text)):
            put(self.note, note_html(self._note(text)))
            self._attempt(self._listen)
        for lane in self.lanes.values():
            self._attempt(lane.end)
        self._show()
        self._report()

    def _begin(self, text: str) -> None:
        """Pass all models the message. Nothing is computed yet: if one refuses it, no conversation takes it."""
        for name, lane in self.lanes.items():
            try:
                lane.begin(text)
            except ContextFullError:
                room, context = lane.session.room, lane.session.model.config.context
                raise ContextFullError(
                    f"the message does not fit: of {name}'s {context} positions {room} are left; make it shorter, or "
                    f"press “{START_OVER}”"
                ) from None

    def _listen(self) -> None:
        """Let the models write in turn, a token each, until all have ended."""
        writing = list(self.lanes.values())
        while writing:
            writing = [lane for lane in writing if lane.write()]

    def _send_typed(self) -> None:
        text, self.text.value = self.text.value, ""
        self._send_lines(text)

    def _send_lines(self, text: str) -> None:
        """Send what was in the box; a message that no conversation takes goes back into it, to be corrected."""
        before = self._turns()
        self.send(" ".join(text.split("\n")).strip())
        if self._turns() == before:
            self.text.value = text

    # -- showing --------------------------------------------------------------------------------

    def _note(self, text: str) -> str:
        """What makes a message hard for one of the tokenizers; ``""`` if nothing does."""
        notes = (hard_words_note(text, lane.session.tokenizer) for lane in self.lanes.values())
        return next(filter(None, notes), "")

    def _report(self) -> None:
        sentences = [
            f"{name} kept {lane.costs[-1].reused} and read {lane.costs[-1].prefilled} before its first word"
            for name, lane in self.lanes.items()
            if lane.costs
        ]
        if sentences:
            stopped = (f" {name} {lane.why}." for name, lane in self.lanes.items() if lane.why)
            self._say(f"Turn {max(self._turns())}: {'; '.join(sentences)}.{''.join(stopped)}")

    def _show(self) -> None:
        for lane in self.lanes.values():
            lane.show()
        costs = {name: lane.costs for name, lane in self.lanes.items()}
        drawn = turn_bars(costs, scope=f"bars-{self.box.model_id}")
        put(self.bars, legible(drawn) if any(costs.values()) else "")

    def _show_odds(self) -> None:
        for lane in self.lanes.values():
            lane.show_odds(self.odds.value)

    def figure(self) -> Figure:
        """The latest messages and what each turn cost, as a still picture."""
        figure = chat_figure({name: (lane.session.messages, lane.costs) for name, lane in self.lanes.items()})
        whose = f"{self.line_up.value}'s weights under " if self.line_up.value else ""
        figure.alt = f"Chat with {whose}{', '.join(self.lanes)}. {self.status}"
        return figure
