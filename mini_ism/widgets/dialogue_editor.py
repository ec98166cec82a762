"""An editable dialogue: a text box for each message, and buttons that switch its direction, move it and remove it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import ipywidgets as w

from mini_ism.dialogue import Message
from mini_ism.widgets.edits import (
    Edit,
    Messages,
    copied,
    grown,
    movable,
    moved,
    removable,
    removed,
    shrunk,
    with_system,
)
from mini_ism.widgets.icons import icon_button, rename
from mini_ism.widgets.panel import Quiet, put
from mini_ism.widgets.rule_text import Direction

WIDE = "330px"
LABEL = {"description_width": "76px"}
LETTERS = 28  # characters per line of a text box
SIGNS: dict[Direction, str] = {"both ways": "⇄ both ways", "backwards": "← backwards", "partly": "⇄ partly"}


class MessageRow:
    """One message: its text, its direction, and buttons that move and remove it."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.text = w.Textarea(description=role, layout=w.Layout(width=WIDE), style=LABEL)
        self.text.add_class(f"mi-{role}")
        self.direction = w.ToggleButton(layout=w.Layout(width="116px"))
        self.up, self.down, self.remove = map(icon_button, ("arrow-up", "arrow-down", "times"))
        if role == "system":  # its place is fixed
            self.up.layout.visibility = self.down.layout.visibility = "hidden"
        buttons = w.HBox([self.direction, self.up, self.down, self.remove], layout=w.Layout(margin="0 0 4px 78px"))
        self.box = w.VBox([self.text, buttons], layout=w.Layout(overflow="visible", flex="0 0 auto"))

    def show(self, messages: Messages, number: int) -> None:
        """Show message ``number`` of a dialogue."""
        content = messages[number]["content"]
        put(self.text, content)
        lines = min(1 + len(content) // LETTERS, 6)
        if self.text.rows != lines:
            self.text.rows = lines
        turn = sum(message["role"] == "user" for message in messages[: number + 1])
        what = {"user": f"turn {turn}", "assistant": f"answer {turn}", "system": "the system prompt"}[self.role]
        rename(self.up, f"Move {what} up")
        rename(self.down, f"Move {what} down")
        rename(self.remove, f"Remove {what}")
        self.up.disabled, self.down.disabled = not movable(messages, number, -1), not movable(messages, number, 1)
        self.remove.disabled = not removable(messages, number)


class DialogueEditor:
    """The messages of a dialogue, to be edited in place.

    Text boxes stay where they are when messages move between them, so that keyboard focus stays, too.

    Args:
        changed: called after each change of the dialogue.
        turned: called with a message's number and whether it should read both ways, when its direction is switched;
            ``None`` = messages have no such switch.

    Attributes:
        box: the ipywidgets box that holds it all.
        rows: of the messages, from the first.
    """

    def __init__(self, changed: Callable[[], None], turned: Callable[[int, bool], None] | None = None) -> None:
        self._changed, self._turned, self._quiet = changed, turned, Quiet()
        self._made: dict[tuple[str, int], MessageRow] = {}
        self.rows: list[MessageRow] = []
        self._list = w.VBox(layout=w.Layout(overflow="visible"))
        self.add_turn = w.Button(description="Add a turn", icon="plus", layout=w.Layout(width="136px"))
        self.remove_turn = w.Button(description="Remove a turn", icon="minus", layout=w.Layout(width="136px"))
        self.system = w.Checkbox(description="begin with a system prompt", indent=False)
        self.add_turn.on_click(lambda _: self.edit(grown))
        self.remove_turn.on_click(lambda _: self.edit(shrunk))
        self.system.observe(
            lambda change: self.edit(lambda messages: with_system(messages, change["new"])),
            "value",
        )
        self.box = w.VBox([self._list, w.HBox([self.add_turn, self.remove_turn]), self.system])

    @property
    def messages(self) -> Messages:
        """The dialogue as it stands in the text boxes."""
        return [{"role": row.role, "content": row.text.value} for row in self.rows]

    def fill(self, messages: Sequence[Message]) -> None:
        """Show another dialogue, in valid order. ``changed`` is not called."""
        shown = copied(messages)
        with self._quiet:
            first = int(shown[0]["role"] == "system")
            rows = [
                self._row(message["role"], 0 if number < first else 1 + (number - first) // 2)
                for number, message in enumerate(shown)
            ]
            for number, row in enumerate(rows):
                row.show(shown, number)
            if rows != self.rows:
                self.rows = rows
                self._list.children = [row.box for row in rows]
            turns = sum(message["role"] == "user" for message in shown)
            put(self.system, bool(first))
            self.remove_turn.disabled = turns < 2

    def _row(self, role: str, turn: int) -> MessageRow:
        """The row at this place, created on first use."""
        if (role, turn) not in self._made:
            row = self._made[role, turn] = MessageRow(role)
            if self._turned is None:
                row.direction.layout.display = "none"
            row.text.observe(lambda _: self._typed(), "value")
            row.direction.observe(partial(self._switch, row), "value")
            row.up.on_click(lambda _: self._edit_row(row, lambda messages, n: moved(messages, n, -1)))
            row.down.on_click(lambda _: self._edit_row(row, lambda messages, n: moved(messages, n, 1)))
            row.remove.on_click(lambda _: self._edit_row(row, removed))
        return self._made[role, turn]

    def edit(self, change: Edit) -> None:
        """Change the dialogue, and call ``changed``."""
        if not self._quiet:
            self.fill(change(self.messages))
            self._changed()

    def _edit_row(self, row: MessageRow, change: Callable[[Messages, int], Messages]) -> None:
        number = self.rows.index(row)
        self.edit(lambda messages: change(messages, number))

    def _typed(self) -> None:
        if not self._quiet:
            self._changed()

    def _switch(self, row: MessageRow, change: Any) -> None:
        if not self._quiet and self._turned is not None:
            self._turned(self.rows.index(row), change["new"])

    def show_directions(self, found: Sequence[Direction]) -> None:
        """Set the switches of the first messages to their directions; messages that are not shown have none."""
        with self._quiet:
            for number, row in enumerate(self.rows):
                known = number < len(found)
                row.direction.disabled = not known
                direction = found[number] if known else "backwards"
                put(row.direction, direction == "both ways")
                row.direction.description = SIGNS[direction] if known else "later turn"
                row.direction.tooltip = f"Message {number} reads {direction} inside itself" if known else ""
