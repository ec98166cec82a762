"""One conversation of a chat as a column: what was said, what each turn cost, and the odds of the next word."""

from __future__ import annotations

from collections.abc import Generator
from html import escape
from typing import cast

import ipywidgets as w

from mini_ism.chat import ChatSession
from mini_ism.trace import TurnCost, turn_costs
from mini_ism.views.descriptions import WHY_IT_STOPPED
from mini_ism.views.svg import FAINT, FONT, INK, STYLE, colour
from mini_ism.widgets.next_words import NextWords
from mini_ism.widgets.panel import put

LONGEST_ANSWER = 40


class Lane:
    """A conversation, and the column that shows it.

    Args:
        name: the conversation's.
        title: the heading above it.
        session: the conversation.

    Attributes:
        box: the column.
        log: what was said, as HTML.
        words: the odds of the next word; shown where ``shows_odds``.
    """

    def __init__(self, name: str, title: str, session: ChatSession, *, shows_odds: bool) -> None:
        self.name, self.title, self.session = name, title, session
        self.log, self.words = w.HTML(), NextWords(session.tokenizer)
        self.box = w.VBox(
            [self.log, self.words.surface],
            layout=w.Layout(flex="1 1 260px", max_width="340px", min_width="0", margin="0 12px 0 0"),
        )
        self._why: dict[int, str] = {}  # by turn
        self._writing: Generator[str] | None = None
        self._so_far = ""
        self.show_odds(shows_odds)

    @property
    def costs(self) -> list[TurnCost]:
        """What each turn cost."""
        return turn_costs(self.session.trace)

    @property
    def why(self) -> str:
        """Why the latest answer ended; ``""`` if the model ended it."""
        return self._why.get(self.session.turn, "")

    # -- talking --------------------------------------------------------------------------------

    def begin(self, text: str) -> None:
        """Send a message. Nothing is computed yet.

        Raises:
            TypeError, ValueError: the message is empty, or does not fit.
        """
        reply = self.session.stream(
            text, max_new_tokens=LONGEST_ANSWER, stop_loops=True, on_token=self.words.add if self.shows_odds else None
        )
        self._writing, self._so_far = cast(Generator[str], reply), ""
        self.words.clear()

    def write(self) -> bool:
        """Write the next piece of the answer; returns whether there may be more."""
        assert self._writing is not None
        piece = next(self._writing, None)
        if piece is not None:
            self._so_far += piece
            put(self.log, self._html(self._so_far))
        return piece is not None

    def end(self) -> None:
        """Finish the answer, or stop it early."""
        if self._writing is not None:
            try:
                self._writing.close()
            finally:
                self._writing = None
        reply = self.session.reply
        if reply is not None and self.session.turn:
            self._why[self.session.turn] = WHY_IT_STOPPED.get(reply.stopped, "")

    # -- showing --------------------------------------------------------------------------------

    def show(self) -> None:
        """The conversation as it stands."""
        put(self.log, self._html())
        self.show_odds(self.shows_odds)

    def show_odds(self, shown: bool) -> None:
        """Show the odds of the latest answer's words, or hide them; when hidden, they are not computed."""
        self.shows_odds = shown
        self.words.surface.layout.display = "" if shown else "none"
        if shown and self.session.reply is not None:
            self.words.show(self.session.reply)
        else:
            self.words.clear()

    def _html(self, writing: str | None = None) -> str:
        """The conversation as HTML; ``writing`` is the answer that is being written."""
        costs = {cost.turn: cost for cost in self.costs}
        messages = [(message["role"], message["content"]) for message in self.session.messages]
        if writing is not None:
            messages[-1] = ("assistant", writing + "▏")
        parts, turn = [], 0
        for number, (role, content) in enumerate(messages):
            turn += role == "user"
            parts.append(_bubble(role, content))
            if role == "assistant" and not (writing is not None and number == len(messages) - 1):
                parts.append(_why(self._why.get(turn, "")))
                parts.append(_bill(costs[turn]) if turn in costs else "")
        empty = f'<div style="color:{FAINT};padding:8px 0">No messages yet.</div>'
        # The newest message stays in view: a reversed column scrolls from its end.
        return (
            f'<div class="mi" style="{FONT};font-size:14px;color:{INK}">{STYLE}'
            f'<div style="font-weight:700;padding-bottom:6px">{escape(self.title)}</div>'
            f'<div tabindex="0" role="log" aria-label="Conversation with {escape(self.name)}" style="{_LOG}">'
            f"<div>{''.join(parts) or empty}</div></div></div>"
        )


def _bubble(role: str, content: str) -> str:
    style = f"border-left:3px solid {colour(role)};padding:2px 8px;margin:6px 0 2px;line-height:1.45"
    who = f'<div style="font-size:12px;color:{colour(role)}">{role}</div>'
    return f'<div style="{style};overflow-wrap:anywhere">{who}{escape(content)}</div>'


def _why(reason: str) -> str:
    """Why an answer ended, if the model did not end it."""
    return f'<div style="{_SMALL};color:{colour("discarded")}">{escape(reason)}</div>' if reason else ""


def _bill(cost: TurnCost) -> str:
    wait = f"first token {cost.first_token * 1e3:.1f} ms"
    parts = (wait, f"kept {cost.reused}", f"read {cost.prefilled}", f"wrote {cost.decoded}")
    bill = " · ".join(f'<span style="white-space:nowrap">{part}</span>' for part in parts)
    return f'<div style="{_SMALL};color:{FAINT}">{bill}</div>'


_SMALL = "font-size:12px;line-height:1.4;padding-left:11px"
_LOG = (
    "display:flex;flex-direction:column-reverse;height:300px;overflow-y:auto;padding:8px 12px;box-sizing:border-box;"
    "border:1px solid var(--jp-border-color1,#bdbdbd);border-radius:8px"
)
