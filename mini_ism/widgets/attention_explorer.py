"""The attention explorer: what each head does with a dialogue, and what it does when the mask is swapped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Literal, cast

import ipywidgets as w
import tiktoken
import torch
from torch import Tensor

from mini_ism.attention_stats import (
    AttentionReader,
    AttentionRecord,
    GPTAttention,
    entropy,
    look_ahead_share,
    may_look_ahead,
    uniform_attention,
)
from mini_ism.checks import check_kind
from mini_ism.dialogue import EncodedDialogue, Message, check_messages
from mini_ism.mask import Mask
from mini_ism.masks import get_mask
from mini_ism.model import GPT
from mini_ism.views import Figure, difference_figure, tokenized
from mini_ism.views.attention_lines import attention_lines
from mini_ism.views.attention_maps import attention_heads, attention_map, attention_row
from mini_ism.views.descriptions import describe_attention, describe_difference
from mini_ism.views.svg import FAINT, FONT, INK
from mini_ism.widgets.dialogue_editor import DialogueEditor
from mini_ism.widgets.layout import arrange, group, in_line
from mini_ism.widgets.panel import EXAMPLE, Panel, heading_html, put
from mini_ism.widgets.rule_panel import OWN, PRESETS
from mini_ism.widgets.surface import Pick, Surface, picked_index

View = Literal["own", "swapped", "difference"]
WIDE, SLIDER = "330px", "280px"
LABEL = {"description_width": "76px"}


class AttentionExplorer(Panel):
    """The real attention weights of a model's heads, over the outline of the mask, on a dialogue that you can edit.

    Besides the mask a model was trained with, the same weights read the dialogue under a second, *swapped* mask.

    Args:
        models: a model and its tokenizer by name, or an :class:`~mini_ism.attention_stats.AttentionReader` such
            as ``mini_ism.hf.HFAttention``; each reads under the mask it was trained with.
        messages: the dialogue to begin with.
        swapped: the second mask to begin with, as text for :func:`~mini_ism.masks.get_mask`.

    Raises:
        TypeError, ValueError: there is no model, or a model, the dialogue or the mask is not valid.
    """

    def __init__(
        self,
        models: Mapping[str, tuple[GPT, tiktoken.Encoding] | AttentionReader],
        messages: Sequence[Message] | None = None,
        swapped: str = "causal",
    ) -> None:
        super().__init__("mi-attention")
        remedy = 'give some by name: {"ism": load_model("ism")}'
        check_kind("models", models, Mapping, remedy)
        if not models:
            raise ValueError(f"no model to look into; {remedy}")
        start = list(EXAMPLE if messages is None else messages)
        check_messages(start)
        check_kind("swapped", swapped, str, "write the rule as text, which can be edited here")
        get_mask(swapped)
        self.models = dict(models)
        self._readers = {name: _reader_of(name, each, remedy) for name, each in models.items()}
        self._make_controls(swapped)
        self.editor.fill(start)
        self._lay_out()
        self._read()
        if not hasattr(self, "_own"):
            raise ValueError(self.error)
        self._open_where_the_answer_begins()

    # -- layout ---------------------------------------------------------------------------------

    def _make_controls(self, swapped: str) -> None:
        wide, narrow = w.Layout(width=WIDE), w.Layout(width=SLIDER)

        def slider(name: str, least: int) -> Any:
            return w.IntSlider(min=least, max=least, value=least, description=name, layout=narrow, style=LABEL)

        self.editor = DialogueEditor(self._read)
        self.model = w.Dropdown(options=list(self.models), description="Model", layout=wide, style=LABEL)
        self.preset = w.Dropdown(options=[*PRESETS, OWN], description="Swap for", layout=wide, style=LABEL)
        self.rule = w.Text(value=swapped, description="Rule", layout=wide, style=LABEL)
        self.view = w.ToggleButtons(
            options=[("own mask", "own"), ("swapped", "swapped"), ("difference", "difference")],
            style={"button_width": "auto"},  # ipywidgets 7 would add padding to a fixed width, and wrap
        )
        self.form = w.ToggleButtons(options=["map", "lines"], style={"button_width": "auto"})
        self.layer, self.head, self.row = slider("Layer", 1), slider("Head", 1), slider("Token", 0)
        self.picture, self.stages, self.heads, self.facts = Surface(), Surface(), Surface(), w.HTML()
        self.heads_title = w.HTML()
        self.preset.observe(lambda _: self._pick(), "value")
        for control in (self.model, self.rule):
            control.observe(lambda _: self._read(), "value")
        for control in (self.view, self.form, self.layer, self.head, self.row):
            control.observe(lambda _: self._draw(), "value")
        for surface in (self.picture, self.stages, self.heads):
            surface.on_pick(self._choose)

    def _lay_out(self) -> None:
        self.box.children = [
            self._style,
            *arrange(
                self.box,
                controls=[
                    group("Model and mask", self.model, self.preset, self.rule, self.view),
                    w.VBox([self.heads_title, self.heads]),
                ],
                view=[
                    in_line(self.row, self.layer, self.head, self.form),
                    self._error,
                    self._status,
                    self.picture,
                    self.facts,
                    group("This token's row, from scores to attention", self.stages),
                ],
                sources=[group("Dialogue", self.editor.box)],
            ),
        ]

    def _pick(self) -> None:
        """A preset was chosen: write its rule into the text, which stays authoritative."""
        if not self._quiet and self.preset.value != OWN:
            self.rule.value = PRESETS[self.preset.value]

    def _choose(self, pick: Pick) -> None:
        """A head's thumbnail or a token was clicked; in the map, take the row or, without a row, the column."""
        layers, heads, total = self._own.weights.shape[:3]
        layer, head = picked_index(pick, "layer", below=layers), picked_index(pick, "head", below=heads)
        if layer is not None and head is not None:
            self._look_at(layer, head, self.row.value)
            return
        tokens = (picked_index(pick, name, below=total) for name in ("token", "row", "column"))
        self.row.value = next((token for token in tokens if token is not None), self.row.value)

    def _look_at(self, layer: int, head: int, row: int) -> None:
        """Select a head and a row together, all counted from 0."""
        with self._quiet:
            self.layer.value, self.head.value, self.row.value = layer + 1, head + 1, row
        self._draw()

    def _open_where_the_answer_begins(self) -> None:
        """Begin with the last question's end, which predicts the answer's first token, and the most telling head.

        That is the head with the largest weight on a token that occurs in the answer or, failing that, on any token.
        """
        encoded = self._encoded()
        tokens, row = encoded.tokens, int(encoded.segments.is_query.nonzero()[-1])
        weights = self._own.weights[:, :, row, :row]  # (layers, H, row)
        quoted = torch.isin(tokens[:row], tokens[row + 1 :])
        best = (weights * quoted if bool(quoted.any()) else weights).amax(-1)  # (layers, H)
        self._look_at(*divmod(int(best.argmax()), best.shape[1]), row)

    # -- reading --------------------------------------------------------------------------------

    def _read(self) -> None:
        """The dialogue, the model or the rule has changed: run the model under both masks."""
        if not self._quiet:
            self._attempt(self._read_anew, f"the rule {self.rule.value!r}")

    def _read_anew(self) -> None:
        swapped, encoded = get_mask(self.rule.value), self._encoded()
        own, other = self._reader.read(encoded), self._reader.read(encoded, swapped)
        self._complain("")
        self._dialogue = tokenized(encoded, self._reader.tokenizer)
        self._own, self._other, self._swapped = own, other, swapped
        with self._quiet:
            put(self.preset, next((name for name, rule in PRESETS.items() if get_mask(rule).name == swapped.name), OWN))
            layers, heads = own.weights.shape[:2]
            for control, last in ((self.layer, layers), (self.head, heads), (self.row, len(encoded) - 1)):
                put(control, min(control.value, last))
                control.max = last
        self._draw()

    @property
    def _reader(self) -> AttentionReader:
        return self._readers[self.model.value]

    def _encoded(self) -> EncodedDialogue:
        messages = self.editor.messages
        for number, message in enumerate(messages, start=1):
            if not message["content"].strip():
                raise ValueError(f"message {number} ({message['role']}) is empty; write something")
        encoded, longest = self._reader.encode(messages), self._reader.context
        if len(encoded) > longest:
            raise ValueError(
                f"the dialogue has {len(encoded)} tokens, and this model reads at most {longest}; "
                "shorten a message or remove a turn"
            )
        return encoded

    # -- the pictures ---------------------------------------------------------------------------

    @property
    def _mask(self) -> Mask:
        return self._reader.mask

    def _draw(self) -> None:
        """Redraw after a change of the dialogue, model or rule, or of the selection."""
        if self._quiet:
            return
        own, other = self._own, self._other
        view = cast(View, self.view.value)
        at = (self.layer.value - 1, self.head.value - 1)
        here = f"{self.model.value}, layer {at[0] + 1}, head {at[1] + 1}"
        row = self.row.value
        if view == "difference":
            change = other.weights - own.weights
            shown, title = change[at], f"{here}, {self._swapped.name} instead of {self._mask.name}"
            summary = describe_difference(shown[row], self._dialogue, row)
        else:
            reading, mask = (own, self._mask) if view == "own" else (other, self._swapped)
            shown, title = reading.weights[at], f"{here}, under {mask.name}"
            summary = describe_attention(shown[row], self._dialogue, row)
        reading = own if view == "own" else other
        signed = view == "difference"
        if self.form.value == "lines":
            seen = own.allowed | other.allowed if signed else reading.allowed
            drawn = attention_lines(shown[row], seen[row], self._dialogue, row, title=title, signed=signed)
        else:
            drawn = attention_map(
                shown,
                own.allowed if signed else reading.allowed,
                self._dialogue,
                title=title,
                swapped=other.allowed if signed else None,
                row=row,
            )
        stages = attention_row(
            reading.scores[at][row],
            reading.allowed[row],
            reading.weights[at][row],
            self._dialogue,
            row,
        )
        put(self.picture, str(drawn))
        put(self.stages, str(stages))
        put(self.heads, str(self._thumbnails(view, at)))
        put(self.facts, self._table(at, row))
        self._say(f"{title}: {summary}")

    def _thumbnails(self, view: View, at: tuple[int, int]) -> str:
        own, other = self._own, self._other
        if view == "difference":
            change = other.weights - own.weights
            numbers, what = change.abs().sum(-1).mean(-1) / 2, "share of attention that the swap moves"
            weights, allowed = change, own.allowed | other.allowed
        else:
            reading = own if view == "own" else other
            numbers, what = look_ahead_share(reading.weights, reading.allowed), "share of attention that looks ahead"
            weights, allowed = reading.weights, reading.allowed
        put(self.heads_title, heading_html(f"All heads: layer.head, {what}"))
        captions = [
            [f"{n + 1}.{h + 1}  {share:.0%}" for h, share in enumerate(line)] for n, line in enumerate(numbers.tolist())
        ]
        title = f"All heads, {what}"
        return attention_heads(weights, allowed, captions, title=title, chosen=at, signed=view == "difference")

    def _table(self, at: tuple[int, int], row: int) -> str:
        """The head and the row in numbers, under both masks."""
        readings = (self._own, self._other)
        label = self._dialogue.name(row)
        lines = {
            "": [self._mask.name, self._swapped.name],
            "The head looks ahead": [_ahead(reading, at) for reading in readings],
            "Its entropy, mean of all rows": [f"{float(entropy(r.weights[at]).mean()):.2f} bits" for r in readings],
            f"Entropy of {label}": [f"{float(entropy(r.weights[at][row])):.2f} bits" for r in readings],
            f"The model's guess after {label}": [self._guess(reading.logits[row]) for reading in readings],
        }
        body = "".join(
            f'<tr><th scope="row" style="{_CELL};color:{FAINT}">{escape(name)}</th>'
            + "".join(f'<td style="{_CELL};{"" if name else "font-weight:600"}">{escape(text)}</td>' for text in texts)
            + "</tr>"
            for name, texts in lines.items()
        )
        return f'<table style="{FONT};font-size:14px;line-height:1.4;color:{INK};border-spacing:0">{body}</table>'

    def _guess(self, logits: Tensor) -> str:
        probabilities = logits.softmax(-1)
        token = int(probabilities.argmax())
        text = self._reader.tokenizer.decode([token]).strip(" ") or "␣"
        return f"{text} {float(probabilities[token]):.0%}"

    def figure(self) -> Figure:
        """The current head under both masks, and the difference, as a still picture."""
        layer, head = self.layer.value, self.head.value
        figure = difference_figure(
            (self._own.weights[layer - 1, head - 1], self._own.allowed),
            (self._other.weights[layer - 1, head - 1], self._other.allowed),
            self._dialogue,
            titles=(f"{self.model.value} {layer}.{head}, {self._mask.name}", f"swapped: {self._swapped.name}"),
            row=self.row.value,
        )
        figure.alt = f"Attention explorer. {self.status}. {figure.alt}"
        return figure


def _reader_of(name: str, given: tuple[GPT, tiktoken.Encoding] | AttentionReader, remedy: str) -> AttentionReader:
    """What reads for a model that was given with its tokenizer, or itself, if it is a reader."""
    if isinstance(given, tuple) and len(given) == 2:
        return GPTAttention(*given)
    if isinstance(given, tuple) or not isinstance(given, AttentionReader):
        raise TypeError(f"the model {name!r} must come with its tokenizer, got {given!r:.60}; {remedy}")
    return given


def _ahead(reading: AttentionRecord, at: tuple[int, int]) -> str:
    if not bool(may_look_ahead(reading.allowed).any()):
        return "never (the mask forbids it)"
    share = float(look_ahead_share(reading.weights[at], reading.allowed))
    spread = float(look_ahead_share(uniform_attention(reading.allowed), reading.allowed))
    return f"{share:.0%} (spread evenly: {spread:.0%})"


_CELL = "text-align:left;font-weight:400;padding:2px 18px 2px 0"
