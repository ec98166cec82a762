"""Chat with several models, or with one under several masks, side by side, and see what each turn cost each of them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from html import escape
from typing import Any, cast

import ipywidgets as w
import tiktoken

from mini_ism.chat import ChatSession
from mini_ism.masks import COURSE_MASKS, get_mask
from mini_ism.model import GPT
from mini_ism.trace import TurnCost, turn_costs
from mini_ism.views import Figure, turn_bars, turn_cost_figure
from mini_ism.views.svg import FAINT, FONT, INK, STYLE, colour
from mini_ism.widgets.panel import Panel, put

LONGEST_ANSWER = 40
EXAMPLES: dict[str, tuple[str, ...]] = {
    "A name and a cup": (
        "My name is Ada. The cup is in the oven. Where is the cup?",
        "What is my name?",
    ),
    "A queue": (
        "Nora, Omar and Pia are in the queue in that order. Who is first?",
        "Nora is served.",
        "Who is next?",
    ),
}
OWN = "models, each under its own mask"
HELLO = "Nobody has said anything yet. Type a message and press Enter, or pick an example."


class ChatWidget(Panel):
    """One text box, and a conversation with each model, or with one model's weights under each of several masks.

    Args:
        models: a model and its tokenizer by name.
        examples: users' messages by the name on their button.
        masks: what one model's weights can be read under, side by side, as text for :func:`~mini_ism.masks.get_mask`.
        weights: begin with this model under all ``masks``; default, with all models, each under the mask it was trained
            with. A menu changes it.

    Attributes:
        sessions: the conversations by name, as :class:`~mini_ism.chat.ChatSession`.

    Raises:
        TypeError, ValueError: no model; a mask that cannot be read; ``weights`` names no model.
    """

    def __init__(
        self,
        models: Mapping[str, tuple[GPT, tiktoken.Encoding]],
        examples: Mapping[str, Sequence[str]] | None = None,
        *,
        masks: Sequence[str] = COURSE_MASKS,
        weights: str | None = None,
    ) -> None:
        super().__init__("mi-chat")
        if not models:
            raise ValueError('no model to chat with; give some by name: {"ism": load_model("ism")}')
        if weights is not None and weights not in models:
            raise ValueError(f"weights={weights!r} names no model; models are {', '.join(models)}")
        for mask in masks:
            get_mask(mask)
        self.models, self.masks = dict(models), tuple(masks)
        self._make_controls(EXAMPLES if examples is None else examples, weights)
        self._line_up()
        self.reset()

    def _make_controls(self, examples: Mapping[str, Sequence[str]], weights: str | None) -> None:
        choices = [(OWN, "")] + [(f"{name}'s weights, under {', '.join(self.masks)}", name) for name in self.models]
        self.line_up = w.Dropdown(
            options=choices if self.masks else choices[:1],
            value=weights or "",
            description="Side by side",
            style={"description_width": "90px"},
            layout=w.Layout(width="520px", max_width="100%"),
        )
        self.line_up.observe(lambda _: self._change_line_up(), "value")
        # A text area, because its newline says that Enter was pressed, in order with the letters before it.
        self.text = w.Textarea(
            placeholder="Type a message, and press Enter.",
            rows=2,
            layout=w.Layout(width="100%", max_width="640px"),
        )
        self.button = w.Button(description="Send", icon="paper-plane", button_style="primary")
        self.again = w.Button(description="Start over", icon="undo")
        self.lanes, self.bars = w.HBox(layout=w.Layout(flex_flow="row wrap")), w.HTML()
        self.text.observe(lambda change: self._typed(change["new"]), "value")
        self.button.on_click(lambda _: self._send_typed())
        self.again.on_click(lambda _: self.reset())
        self.examples = {name: w.Button(description=name) for name in examples}
        for name, button in self.examples.items():
            button.on_click(lambda _, texts=tuple(examples[name]): self.play(texts))
        entry = w.VBox([w.HTML(_label("Message to all of them")), self.text])
        buttons = w.HBox(
            [self.button, self.again, *self.examples.values()],
            layout=w.Layout(flex_flow="row wrap"),
        )
        self.box.children = [
            self._style,
            self.line_up,
            self.lanes,
            entry,
            buttons,
            self._error,
            self._status,
            self.bars,
        ]

    # -- who talks ------------------------------------------------------------------------------

    def _line_up(self) -> None:
        """A column for each conversation that the menu asks for."""
        names = self.masks if self.line_up.value else self.models
        self.columns = {
            name: w.HTML(layout=w.Layout(flex="1 1 260px", max_width="340px", margin="0 12px 0 0")) for name in names
        }
        self.lanes.children = list(self.columns.values())

    def _change_line_up(self) -> None:
        """Others take over, and hear what has been said so far."""
        texts = [message["content"] for message in self._longest if message["role"] == "user"]
        self._line_up()
        self.play(texts)

    @property
    def _longest(self) -> list[dict[str, str]]:
        return max((session.messages for session in self.sessions.values()), key=len)

    def _start(self, name: str) -> ChatSession:
        weights = self.line_up.value
        model, tokenizer = self.models[weights or name]
        return ChatSession(model, tokenizer, name if weights else None)

    # -- talking --------------------------------------------------------------------------------

    def reset(self) -> None:
        """Forget everything that was said."""
        self.sessions = {name: self._start(name) for name in self.columns}
        self._complain("")
        self._say(HELLO)
        self._show()

    def play(self, texts: Sequence[str]) -> None:
        """Start over, and say these messages one after the other."""
        self.reset()
        for text in texts:
            self.send(text)

    def send(self, text: str) -> None:
        """Say something to every model; the replies appear as they are written. Errors appear in place."""
        self._complain("")
        try:
            replies = {
                name: session.stream(text, max_new_tokens=LONGEST_ANSWER) for name, session in self.sessions.items()
            }  # nothing is computed yet, so a message that is refused by one model changes none
        except ValueError as error:
            self._complain(str(error))
            return
        self._attempt(lambda: self._listen(replies))
        for reply in replies.values():
            self._attempt(cast(Generator[str, None, None], reply).close)
        self._show()
        self._report()

    def _listen(self, replies: Mapping[str, Any]) -> None:
        """Let the models write in turn, a token each, until all have ended."""
        writing: dict[str, Iterator[str]] = dict(replies)
        so_far = dict.fromkeys(writing, "")
        while writing:
            for name in list(writing):
                piece = next(writing[name], None)
                if piece is None:
                    del writing[name]
                else:
                    so_far[name] += piece
                put(
                    self.columns[name],
                    self._column(name, so_far[name] if piece is not None else None),
                )

    def _typed(self, value: str) -> None:
        if "\n" in value:
            self._send_typed()

    def _send_typed(self) -> None:
        text = " ".join(self.text.value.split("\n")).strip()
        self.text.value = ""
        self.send(text)

    # -- showing --------------------------------------------------------------------------------

    def _report(self) -> None:
        sentences = []
        for name, session in self.sessions.items():
            costs = turn_costs(session.trace)
            if costs:
                cost = costs[-1]
                sentences.append(f"{name} kept {cost.reused} and read {cost.prefilled} before its first word")
        if sentences:
            turn = max(session.turn for session in self.sessions.values())
            self._say(f"Turn {turn}: {'; '.join(sentences)}.")

    def _show(self) -> None:
        for name, column in self.columns.items():
            put(column, self._column(name))
        costs = {name: turn_costs(session.trace) for name, session in self.sessions.items()}
        drawn = turn_bars(costs, scope=f"bars-{self.box.model_id}")
        put(self.bars, str(drawn) if any(costs.values()) else "")

    def _column(self, name: str, writing: str | None = None) -> str:
        """One conversation as HTML; ``writing`` is the answer that is being written."""
        session = self.sessions[name]
        whose = f"{name}: {self.line_up.value}'s weights" if self.line_up.value else name
        costs = {cost.turn: cost for cost in turn_costs(session.trace)}
        messages = [(message["role"], message["content"]) for message in session.messages]
        if writing is not None and messages:
            messages[-1] = ("assistant", writing + "▏")
        parts, turn = [], 0
        for number, (role, content) in enumerate(messages):
            turn += role == "user"
            parts.append(_bubble(role, content))
            if role == "assistant" and turn in costs and not (writing is not None and number == len(messages) - 1):
                parts.append(_bill(costs[turn]))
        empty = f'<div style="color:{FAINT};padding:8px 0">No messages yet.</div>'
        # The newest message stays in view: a reversed column scrolls from its end.
        return (
            f'<div class="mi" style="{FONT};font-size:14px;color:{INK}">{STYLE}'
            f'<div style="font-weight:700;padding-bottom:6px">{escape(whose)}</div>'
            f'<div tabindex="0" role="log" aria-label="Conversation with {escape(name)}" style="{_LOG}">'
            f"<div>{''.join(parts) or empty}</div></div></div>"
        )

    def figure(self) -> Figure:
        """Tokens computed in each turn so far, as a still picture; before the first turn, an empty one."""
        lanes = {name: turn_costs(session.trace) for name, session in self.sessions.items()}
        figure = turn_cost_figure(lanes)
        whose = f"{self.line_up.value}'s weights under " if self.line_up.value else ""
        figure.alt = f"Chat with {whose}{', '.join(lanes)}. {self.status}"
        return figure


_LOG = (
    "display:flex;flex-direction:column-reverse;height:300px;overflow-y:auto;padding:8px 12px;box-sizing:border-box;"
    "border:1px solid var(--jp-border-color1,#bdbdbd);border-radius:8px"
)


def _label(text: str) -> str:
    return f'<div style="{FONT};font-size:13px;font-weight:600;color:{FAINT};margin-top:10px">{escape(text)}</div>'


def _bubble(role: str, content: str) -> str:
    style = f"border-left:3px solid {colour(role)};padding:2px 8px;margin:6px 0 2px;line-height:1.45"
    who = f'<div style="font-size:12px;color:{colour(role)}">{role}</div>'
    return f'<div style="{style};overflow-wrap:anywhere">{who}{escape(content)}</div>'


def _bill(cost: TurnCost) -> str:
    wait = f"first token {cost.first_token * 1e3:.1f} ms"
    parts = (wait, f"kept {cost.reused}", f"read {cost.prefilled}", f"wrote {cost.decoded}")
    bill = " · ".join(f'<span style="white-space:nowrap">{part}</span>' for part in parts)
    return f'<div style="{_BILL};color:{FAINT}">{bill}</div>'


_BILL = "font-size:12px;line-height:1.4;padding-left:11px"
