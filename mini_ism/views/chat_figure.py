"""A chat under several masks, for print: what was said in each lane, and what each turn cost."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from mini_ism.dialogue import Message
from mini_ism.trace import TurnCost
from mini_ism.views.figures import Figure, draw_turn_costs, own_style
from mini_ism.views.styles import LIGHT

COLUMN = 30  # characters per line
LATEST = 6  # messages that are shown: the last ones of a long chat
LINE, GAP = 0.2, 0.1  # height of a line of text, and of the room above a message, in inches


@own_style
def chat_figure(lanes: Mapping[str, tuple[Sequence[Message], Sequence[TurnCost]]]) -> Figure:
    """The latest messages of a few conversations side by side, and below them the tokens computed in each turn.

    Args:
        lanes: for each name, its messages and its turns, from ``ChatSession.messages`` and
            :func:`~mini_ism.trace.turn_costs`.
    """
    said = {name: _lines(messages[-LATEST:]) for name, (messages, _) in lanes.items()}
    tall = max((height for *_, height in said.values()), default=0) + 2 * LINE
    figure = Figure(figsize=(max(2.9 * len(said), 6.6), tall + 3.0), layout="constrained")
    grid = figure.add_gridspec(2, max(len(said), 1), height_ratios=[tall, 3.0])
    for column, (name, (lines, _)) in enumerate(said.items()):
        _write(figure.add_subplot(grid[0, column]), name, lines, tall)
    costs = {name: turns for name, (_, turns) in lanes.items()}
    figure.alt = draw_turn_costs(figure.add_subplot(grid[1, :]), costs)
    return figure


Placed = tuple[float, str, str]
"""A message's distance from the top, in inches; its role; its text, line by line."""


def _lines(messages: Sequence[Message]) -> tuple[list[Placed], float]:
    """The messages, each wrapped and placed below the one before it, and their total height."""
    placed, y = [], GAP
    for message in messages:
        lines = textwrap.wrap(message["content"], COLUMN) or [""]
        placed.append((y, message["role"], "\n".join(lines)))
        y += LINE * len(lines) + GAP
    return placed, y


def _write(axes: Axes, name: str, messages: Sequence[Placed], tall: float) -> None:
    """Write a lane's messages below its name, each with a bar in its role's colour."""
    axes.set(xlim=(0, 1), ylim=(tall, 0))
    axes.set_axis_off()
    axes.set_title(name, loc="left", fontsize=11, fontweight="bold")
    for y, role, text in messages:
        axes.vlines(0.01, y, y + LINE * (text.count("\n") + 1), colors=LIGHT[role], linewidth=3)
        axes.text(0.045, y, text, va="top", fontsize=9.5, linespacing=1.3, color="black")
    if not messages:
        axes.text(0.045, GAP, "No messages yet.", va="top", fontsize=9.5, color="#666666")
