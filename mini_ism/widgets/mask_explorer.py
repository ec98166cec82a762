"""The mask explorer: edit a dialogue, pick or write a rule, and see who may look at whom."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import ipywidgets as w
import tiktoken

from mini_ism.cost import as_model
from mini_ism.dialogue import EncodedDialogue, Message, check_messages, encode_dialogue
from mini_ism.masks import Mask, get_mask, reusable
from mini_ism.svg import FAINT, FONT, INK, bool_grid
from mini_ism.tokenizer import load_tokenizer
from mini_ism.views import Figure, describe_row, mask_figure, mask_map, token_labels, token_roles
from mini_ism.widgets.panel import EXAMPLE, Panel, heading, put

MOST_TOKENS = 512
PRESETS = {
    "causal": "causal",
    "prefix": "prefix",
    "ISM": "ism",
    "bidirectional": "bidirectional",
    "causal in a window, with a sink": "causal & (sliding_window(8) | sink(2))",
    "ISM in a window": "ism & (sliding_window(12) | same_query)",
    "own segment only": "causal & same_segment",
}
OWN = "your own rule"
WIDE = "330px"
LABEL = {"description_width": "76px"}
LETTERS = 30  # in a line of a text box
FIRST_ROW = 4


class MaskExplorer(Panel):
    """A mask on a dialogue that you can edit, with every row's reach in words.

    Args:
        messages: the dialogue to begin with.
        tokenizer: default, the package's own.
        mask: the rule to begin with, as text for :func:`~mini_ism.masks.get_mask`.

    Raises:
        TypeError, ValueError: the dialogue or the mask is not valid.
    """

    def __init__(
        self,
        messages: Sequence[Message] | None = None,
        tokenizer: tiktoken.Encoding | None = None,
        mask: str = "ism",
    ) -> None:
        super().__init__("mi-mask")
        start = list(EXAMPLE if messages is None else messages)
        check_messages(start)
        get_mask(mask)
        self.tokenizer = load_tokenizer() if tokenizer is None else tokenizer
        self._shape = as_model(None)
        self._quiet = False
        self._make_controls(mask)
        self._fill(start)
        self._lay_out()
        self._redraw()
        self.row.value = min(FIRST_ROW, self.row.max)

    # -- what is on it --------------------------------------------------------------------------

    def _make_controls(self, mask: str) -> None:
        wide = w.Layout(width=WIDE)
        self.rows = w.VBox()
        self.add_turn = w.Button(description="Add a turn", icon="plus", layout=w.Layout(width="136px"))
        self.remove_turn = w.Button(description="Remove a turn", icon="minus", layout=w.Layout(width="136px"))
        self.system = w.Checkbox(description="begin with a system prompt", indent=False)
        self.preset = w.Dropdown(options=[*PRESETS, OWN], description="Preset", layout=wide, style=LABEL)
        self.rule = w.Text(value=mask, description="Rule", layout=wide, style=LABEL)
        self.sink = w.Checkbox(description="sink: token 0 stays causal", indent=False)
        self.system_as_query = w.Checkbox(value=True, description="system prompt reads both ways", indent=False)
        self.turn = w.IntSlider(min=1, max=1, value=1, description="Up to turn", layout=wide, style=LABEL)
        self.row = w.IntSlider(min=0, max=0, value=0, description="Token", layout=wide, style=LABEL)
        self.staircase = w.Checkbox(value=False, description="show how far each row sees", indent=False)
        self.picture, self.counters, self.small = w.HTML(), w.HTML(), w.HTML()

        self.add_turn.on_click(lambda _: self._edit(self._grown))
        self.remove_turn.on_click(lambda _: self._edit(self._shrunk))
        self.system.observe(lambda _: self._edit(self._with_system), "value")
        self.preset.observe(lambda _: self._pick(), "value")
        for control in (self.sink, self.system_as_query):
            control.observe(lambda _: self._set_options(), "value")
        for control in (self.rule, self.turn):
            control.observe(lambda _: self._redraw(), "value")
        for control in (self.row, self.staircase):
            control.observe(lambda _: self._draw(), "value")

    def _lay_out(self) -> None:
        column = w.Layout(flex="0 0 350px", margin="0 16px 0 0")
        controls = w.VBox(
            [
                self._style,
                heading("Dialogue"),
                self.rows,
                w.HBox([self.add_turn, self.remove_turn]),
                self.system,
                heading("Mask"),
                self.preset,
                self.rule,
                self.sink,
                self.system_as_query,
                heading("Look at"),
                self.turn,
                self.row,
                self.staircase,
                heading("The same dialogue under the three rules"),
                self.small,
            ],
            layout=column,
        )
        view = w.VBox(
            [self._error, self._status, self.picture, self.counters],
            layout=w.Layout(flex="1 1 520px", min_width="0"),
        )
        self.box.children = [w.HBox([controls, view], layout=w.Layout(flex_flow="row wrap"))]

    # -- the dialogue ---------------------------------------------------------------------------

    @property
    def messages(self) -> list[dict[str, str]]:
        """The dialogue as it stands in the text boxes."""
        return [{"role": role, "content": box.value} for role, box in self._lines]

    def _fill(self, messages: Sequence[Message]) -> None:
        """New text boxes for a new dialogue."""
        self._lines: list[tuple[str, Any]] = []
        for message in messages:
            content, role = message["content"], message["role"]
            lines = min(1 + len(content) // LETTERS, 6)
            box = w.Textarea(
                value=content,
                description=role,
                rows=lines,
                layout=w.Layout(width=WIDE),
                style=LABEL,
            )
            box.add_class(f"mi-{role}")
            box.observe(lambda _: self._redraw(), "value")
            self._lines.append((role, box))
        self.rows.children = [box for _, box in self._lines]
        self._quiet = True
        put(self.system, messages[0]["role"] == "system")
        turns = sum(role == "user" for role, _ in self._lines)
        self.turn.max = turns
        put(self.turn, turns)
        self.remove_turn.disabled = turns < 2
        self._quiet = False

    def _edit(self, change: Any) -> None:
        if not self._quiet:
            self._fill(change(self.messages))
            self._redraw()

    @staticmethod
    def _grown(messages: list[dict[str, str]]) -> list[dict[str, str]]:
        if messages[-1]["role"] == "user":
            return [*messages, {"role": "assistant", "content": "Okay."}]
        more = [
            {"role": "user", "content": "Where is it?"},
            {"role": "assistant", "content": "I do not know."},
        ]
        return [*messages, *more]

    @staticmethod
    def _shrunk(messages: list[dict[str, str]]) -> list[dict[str, str]]:
        last = max(n for n, message in enumerate(messages) if message["role"] == "user")
        return messages[:last]

    def _with_system(self, messages: list[dict[str, str]]) -> list[dict[str, str]]:
        bare = [message for message in messages if message["role"] != "system"]
        prompt = {"role": "system", "content": "You are Mira, a helpful guide."}
        return [prompt, *bare] if self.system.value else bare

    # -- the mask -------------------------------------------------------------------------------

    def _pick(self) -> None:
        """A preset was chosen: write its rule."""
        if not self._quiet and self.preset.value != OWN:
            self.rule.value = PRESETS[self.preset.value]

    def _set_options(self) -> None:
        """A box was ticked: write the options into the rule, which stays the one truth."""
        if self._quiet:
            return
        options = []
        if self.sink.value:
            options.append("sink=True")
        if not self.system_as_query.value:
            options.append("system_as_query=False")
        self.rule.value = f"ism({', '.join(options)})" if options else "ism"

    def _mirror(self, mask: Mask) -> None:
        """Let preset and boxes show what the rule says."""
        self._quiet = True
        named = (name for name, rule in PRESETS.items() if get_mask(rule).name == mask.name)
        put(self.preset, next(named, OWN))
        options = mask.options if mask.name.split("(")[0] == "ism" else {}
        for control, name in ((self.sink, "sink"), (self.system_as_query, "system_as_query")):
            control.disabled = name not in options
            if name in options:
                put(control, options[name])
        self._quiet = False

    # -- the picture ----------------------------------------------------------------------------

    def _redraw(self) -> None:
        if self._quiet:
            return
        try:
            mask = get_mask(self.rule.value)
            shown, coming = self._shown()
            encoded = self._encoded(shown)
            dense = mask.dense(encoded.segments)
            kept = reusable(mask, encoded.segments, self._encoded(coming).segments)
        except (TypeError, ValueError) as error:
            self._complain(str(error))
            return
        self._complain("")
        self._mirror(mask)
        self._now = (mask, encoded, dense)
        total, ids = len(encoded), encoded.segments.id.tolist()
        self._quiet = True
        put(self.row, min(self.row.value, total - 1))
        self.row.max = total - 1
        self._quiet = False
        put(self.counters, self._counted(int(dense.sum()), total, kept))
        put(self.small, self._three(encoded.segments, ids))
        self._draw()

    def _shown(self) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
        """The dialogue up to the chosen turn, and the same when the next question has come."""
        messages = self.messages
        for number, message in enumerate(messages, start=1):
            if not message["content"].strip():
                raise ValueError(f"message {number} ({message['role']}) is empty; write something")
        asked = [n for n, message in enumerate(messages) if message["role"] == "user"]
        stop = asked[self.turn.value] if self.turn.value < len(asked) else len(messages)
        shown = messages[:stop]
        coming = messages[: stop + 1] if stop < len(messages) else self._grown(messages)
        return shown, coming if coming[-1]["role"] == "user" else coming[:-1] or coming

    def _encoded(self, messages: Sequence[Message]) -> EncodedDialogue:
        encoded = encode_dialogue(messages, self.tokenizer)
        if len(encoded) > MOST_TOKENS:
            raise ValueError(
                f"the dialogue has {len(encoded)} tokens, and the explorer draws at most {MOST_TOKENS}; "
                "shorten a message or remove a turn"
            )
        return encoded

    def _draw(self) -> None:
        """The map and the status line, after a change of the dialogue, the rule or the row."""
        if self._quiet or not hasattr(self, "_now"):
            return
        mask, encoded, dense = self._now
        labels, roles, ids = self._axes(encoded)
        row, title = self.row.value, f"Mask {mask.name}"
        drawn = mask_map(dense, labels, roles, ids, title=title, row=row, staircase=self.staircase.value)
        put(self.picture, str(drawn))
        self._say(describe_row(labels[row], row, dense[row].tolist()))

    def _axes(self, encoded: EncodedDialogue) -> tuple[list[str], list[str], list[int]]:
        labels = token_labels(encoded, self.tokenizer)
        return labels, token_roles(encoded.segments), encoded.segments.id.tolist()

    def _counted(self, pairs: int, total: int, kept: int) -> str:
        flops = self._shape.flops(total, pairs)
        facts = (
            ("Visible pairs", f"{pairs:,} of {total * total:,} ({pairs / total**2:.0%})"),
            ("To read it once", f"{flops / 1e6:.1f} MFLOP (tiny model, visible pairs only)"),
            ("When the next question comes", f"the cache keeps {kept} of {total} positions"),
        )
        cells = "".join(
            f'<tr><th scope="row" style="{_FACT};color:{FAINT}">{name}</th><td>{escape(value)}</td></tr>'
            for name, value in facts
        )
        return f'<table style="{FONT};font-size:14px;color:{INK};border-spacing:0">{cells}</table>'

    @staticmethod
    def _three(segments: Any, ids: list[int]) -> str:
        cell = round(104 / len(ids), 3)
        maps = (
            bool_grid(get_mask(name).dense(segments).numpy(), name, ids, cell) for name in ("causal", "prefix", "ism")
        )
        return f'<div style="display:flex;gap:14px">{"".join(maps)}</div>'

    def figure(self) -> Figure:
        """What it shows now, as a still picture; its text alternative is the status line and the counts."""
        if not hasattr(self, "_now"):
            raise ValueError(f"nothing to show yet: {self.error}")
        mask, encoded, dense = self._now
        labels, roles, ids = self._axes(encoded)
        figure = mask_figure({mask.name: dense}, labels, roles, ids, row=self.row.value)
        figure.alt = f"Mask explorer. {figure.alt} {self.status}."
        return figure


_FACT = "text-align:left;font-weight:400;padding:2px 18px 2px 0"
