"""The mask explorer: edit a dialogue, pick or write a rule, and see who may attend to whom."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import ipywidgets as w
import tiktoken
from torch import Tensor

from mini_ism.cost import as_model
from mini_ism.dialogue import EncodedDialogue, Message, check_messages, encode_dialogue
from mini_ism.mask import Mask
from mini_ism.masks import COURSE_MASKS, get_mask
from mini_ism.reuse import unchanged_prefix
from mini_ism.segments import Segments
from mini_ism.tokenizer import load_tokenizer
from mini_ism.views import (
    Figure,
    Picture,
    TokenizedDialogue,
    describe_row,
    mask_figure,
    mask_map,
    png_bytes,
    row_strip,
    standalone,
    tokenized,
)
from mini_ism.views.svg import FAINT, FONT, INK, bool_grid, captioned
from mini_ism.widgets.dialogue_editor import DialogueEditor
from mini_ism.widgets.edits import grown
from mini_ism.widgets.layout import arrange, group, in_line
from mini_ism.widgets.panel import EXAMPLE, Panel, put
from mini_ism.widgets.rule_panel import PRESETS, RulePanel
from mini_ism.widgets.rule_text import directions, turned
from mini_ism.widgets.surface import Pick, Surface, picked_index

MOST_TOKENS = 512
FIRST_ROW = 4


@dataclass(frozen=True, eq=False)
class _Shown:
    """A dialogue as it is drawn: its tokens, and the matrices of the presets."""

    encoded: EncodedDialogue
    dialogue: TokenizedDialogue
    coming: Segments
    """The same dialogue after the next question has arrived."""
    presets: dict[str, Tensor]
    """The matrix ``[T, T]`` of each preset."""


class MaskExplorer(Panel):
    """A mask on a dialogue that you can edit, with every row's reach in words.

    Args:
        messages: the dialogue to begin with.
        tokenizer: default, the package's own.
        mask: the rule to begin with, a registered mask or text for :func:`~mini_ism.masks.get_mask`.

    Raises:
        TypeError, ValueError: the dialogue or the mask is not valid, or the mask is not registered.
    """

    def __init__(
        self,
        messages: Sequence[Message] | None = None,
        tokenizer: tiktoken.Encoding | None = None,
        mask: str | Mask = "ism",
    ) -> None:
        super().__init__("mi-mask")
        start = list(EXAMPLE if messages is None else messages)
        check_messages(start)
        rule = get_mask(mask).name if isinstance(mask, Mask) else mask
        try:
            get_mask(rule)
        except ValueError as error:
            remedy = "; the explorer knows registered masks only: put @register_mask above your rule"
            raise ValueError(f"{error}{remedy if isinstance(mask, Mask) else ''}") from None
        self.tokenizer = load_tokenizer() if tokenizer is None else tokenizer
        self._shape = as_model(None)
        self._made: tuple[tuple[list[dict[str, str]], int], _Shown] | None = None  # cached by messages and turn
        self.editor = DialogueEditor(self._edited, self._turn_segment)
        self.rules = RulePanel(rule, self._redraw)
        self.rule, self.preset = self.rules.rule, self.rules.preset
        self._make_controls()
        self.editor.fill(start)
        self._lay_out()
        self._edited()
        if self.error:
            raise ValueError(self.error)
        self.row.value = min(FIRST_ROW, self.row.max)

    # -- layout ---------------------------------------------------------------------------------

    def _make_controls(self) -> None:
        wide, label = w.Layout(width="280px"), {"description_width": "76px"}
        self.turn = w.IntSlider(min=1, max=1, value=1, description="Up to turn", layout=wide, style=label)
        self.row = w.IntSlider(min=0, max=0, value=0, description="Token", layout=wide, style=label)
        self.staircase = w.Checkbox(value=False, description="show how far each row sees, f(j)", indent=False)
        self.save = w.Button(description="Save the picture", icon="download", layout=w.Layout(width="160px"))
        self.picture, self.strip, self.counters = Surface(), Surface(), w.HTML()
        self.small, self.files = w.HTML(), w.HTML()
        self.turn.observe(lambda _: self._redraw(), "value")
        for control in (self.row, self.staircase):
            control.observe(lambda _: self._draw(), "value")
        self.save.on_click(lambda _: self._offer_files())
        for surface in (self.picture, self.strip):
            surface.on_pick(self._choose)

    def _lay_out(self) -> None:
        self.box.children = [
            self._style,
            *arrange(
                self.box,
                controls=[group("Mask", self.rules.box)],
                view=[
                    in_line(self.turn, self.row),
                    self._error,
                    self._status,
                    self.strip,
                    self.picture,
                    in_line(self.staircase, self.save, self.files),
                    self.counters,
                ],
                sources=[
                    group("The same dialogue under the three rules", self.small),
                    group("Dialogue", self.editor.box),
                ],
            ),
        ]

    # -- events ---------------------------------------------------------------------------------

    @property
    def messages(self) -> list[dict[str, str]]:
        """The dialogue as it stands in the text boxes."""
        return self.editor.messages

    def _edited(self) -> None:
        """The dialogue has changed: if it has more or fewer turns, show them all."""
        turns = sum(message["role"] == "user" for message in self.messages)
        if turns != self.turn.max:
            with self._quiet:
                self.turn.max = turns
                put(self.turn, turns)
        self._redraw()

    def _turn_segment(self, segment: int, both_ways: bool) -> None:
        """A message's direction was switched: write that into the rule."""
        shown = self._now[1]

        def turn() -> None:
            later = self._encoded(grown(grown(self.messages))).segments  # tells a rule from its look-alikes
            rule = turned(self.rule.value, segment, both_ways, [shown.encoded.segments, shown.coming, later])
            if rule == self.rule.value:
                self._redraw()
            self.rule.value = rule

        if not self._attempt(turn, self._whose):
            self.editor.show_directions(directions(self._now[2], shown.encoded.segments))

    @property
    def _whose(self) -> str:
        return f"the rule {self.rule.value!r}"

    def _choose(self, pick: Pick) -> None:
        """A token was clicked; in the map, take the row or, without a row, the column."""
        for name in ("token", "row", "column"):
            token = picked_index(pick, name, below=len(self._now[1].dialogue))
            if token is not None:
                self.row.value = token
                return

    def _redraw(self) -> None:
        if not self._quiet:
            self._attempt(self._read, self._whose)

    def _read(self) -> None:
        """Evaluate the rule on the dialogue, and draw."""
        mask = get_mask(self.rule.value)
        shown = self._shown()
        dense = mask.dense(shown.encoded.segments)
        kept = unchanged_prefix(dense, mask.dense(shown.coming))
        self._complain("")
        self._now = (mask, shown, dense)
        self.rules.mirror()
        self.editor.show_directions(directions(dense, shown.encoded.segments))
        total = len(shown.encoded)
        alike = [rule for rule, other in shown.presets.items() if rule != self.rule.value and other.equal(dense)]
        with self._quiet:
            put(self.row, min(self.row.value, total - 1))
            self.row.max = total - 1
        put(self.counters, self._counted(int(dense.sum()), total, kept, len(shown.coming), alike))
        self._draw()

    def _shown(self) -> _Shown:
        """The dialogue up to the chosen turn; rebuilt only when it has changed."""
        messages, turn = self.messages, int(self.turn.value)
        if self._made is not None and self._made[0] == (messages, turn):
            return self._made[1]
        for number, message in enumerate(messages, start=1):
            if not message["content"].strip():
                raise ValueError(f"message {number} ({message['role']}) is empty; write something")
        asked = [n for n, message in enumerate(messages) if message["role"] == "user"]
        stop = asked[turn] if turn < len(asked) else len(messages)
        longer = messages[: stop + 1] if stop < len(messages) else grown(messages)
        coming = longer if longer[-1]["role"] == "user" else longer[:-1] or longer
        encoded = self._encoded(messages[:stop])
        shown = _Shown(
            encoded,
            tokenized(encoded, self.tokenizer),
            self._encoded(coming).segments,
            {rule: get_mask(rule).dense(encoded.segments) for rule in PRESETS.values()},
        )
        put(self.small, self._three(shown))
        self._made = ((messages, turn), shown)
        return shown

    def _encoded(self, messages: Sequence[Message]) -> EncodedDialogue:
        encoded = encode_dialogue(messages, self.tokenizer)
        if len(encoded) > MOST_TOKENS:
            raise ValueError(
                f"the dialogue has {len(encoded)} tokens, and the explorer draws at most {MOST_TOKENS}; "
                "shorten a message or remove a turn"
            )
        return encoded

    # -- the picture ----------------------------------------------------------------------------

    def _map(self) -> Picture:
        mask, shown, dense = self._now
        return mask_map(
            dense,
            shown.dialogue,
            title=f"Mask {mask.name}",
            row=self.row.value,
            staircase=self.staircase.value,
        )

    def _draw(self) -> None:
        """Draw the map and the row's description, after a change of the dialogue, the rule or the row."""
        if self._quiet:
            return
        _, shown, dense = self._now
        row = int(self.row.value)
        seen = dense[row].tolist()
        put(self.picture, str(self._map()))
        put(self.strip, str(row_strip(seen, shown.dialogue, row)))
        put(self.files, "")
        summary = describe_row(seen, shown.dialogue, row)
        self._say(f"{summary}; {_reach(row, seen)}" if self.staircase.value else summary)

    def _counted(self, pairs: int, total: int, kept: int, coming: int, alike: Sequence[str]) -> str:
        flops = self._shape.flops(total, pairs)
        facts = {
            "Visible pairs": f"{pairs:,} of {total * total:,} ({pairs / total**2:.0%})",
            "To read it once": f"{flops / 1e6:.1f} MFLOP (a shipped model, visible pairs only)",
            "When the next question comes": f"the cache keeps {kept} of {total} positions; {coming - kept} to be read",
            "Same matrix here as": " · ".join(alike) or "none of the other presets",
        }
        cells = "".join(
            f'<tr><th scope="row" style="{_FACT};color:{FAINT}">{name}</th><td>{escape(value)}</td></tr>'
            for name, value in facts.items()
        )
        return f'<table style="{FONT};font-size:14px;line-height:1.5;color:{INK};border-spacing:0">{cells}</table>'

    @staticmethod
    def _three(shown: _Shown) -> str:
        cell = round(104 / len(shown.dialogue), 3)
        maps = (
            captioned(bool_grid(shown.presets[name].numpy(), name, shown.dialogue.ids, cell), name)
            for name in COURSE_MASKS
        )
        return f'<div style="display:flex;gap:14px">{"".join(maps)}</div>'

    # -- downloads ------------------------------------------------------------------------------

    def _offer_files(self) -> None:
        """Links to download what is shown: the map as SVG, its still picture as PNG."""
        vector = standalone(self._map()).encode("utf-8")
        files = {"mask.svg": ("image/svg+xml", vector), "mask.png": ("image/png", png_bytes(self.figure()))}
        links = (
            f'<a download="{name}" href="data:{kind};base64,{b64encode(data).decode("ascii")}" '
            f'style="color:var(--jp-content-link-color,#0645ad);text-decoration:underline">{name}</a>'
            for name, (kind, data) in files.items()
        )
        put(self.files, f'<span style="{FONT};font-size:14px">{" &nbsp; ".join(links)}</span>')

    def figure(self) -> Figure:
        """What it shows now, as a still picture; its text alternative is the status line and the counts."""
        mask, shown, dense = self._now
        figure = mask_figure(
            {mask.name: dense},
            shown.dialogue,
            row=self.row.value,
            staircase=self.staircase.value,
        )
        figure.alt = f"Mask explorer. {figure.alt} {self.status}."
        return figure


def _reach(row: int, seen: Sequence[bool]) -> str:
    """The row's f(j), if it has one: in the paper, a row sees everything from 0 to f(j)."""
    last = max(position for position, sees in enumerate(seen) if sees)
    return f"f({row}) = {last}" if all(seen[: last + 1]) else f"no f({row}): there are holes before {last}"


_FACT = "text-align:left;font-weight:400;padding:2px 18px 2px 0;min-width:9em;vertical-align:top"
