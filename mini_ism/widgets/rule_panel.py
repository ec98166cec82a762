"""Where the mask explorer's rule is written: presets, a text box (the source of truth), options, and composition."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from html import escape

import ipywidgets as w

from mini_ism.masks import MASKS, get_mask
from mini_ism.views.svg import FAINT, FONT
from mini_ism.widgets.icons import icon_button
from mini_ism.widgets.panel import Quiet, put
from mini_ism.widgets.rule_text import ism_options, with_ism_options

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
HINT = (
    f'<div style="{FONT};font-size:12px;line-height:1.4;color:{FAINT};margin:0 0 4px 84px;max-width:240px">'
    f"Write it as in Python: {escape('(kv <= q) | (s.id[q] == s.id[kv])')}, joined by &amp; | ~. "
    "Names work, too: causal | same_query</div>"
)
"""What the Rule box accepts, in two sentences below it."""
JOINS = {"| either": "({}) | {}", "& both": "({}) & {}", "& ~ not": "({}) & ~{}"}


class RulePanel:
    """A rule as text, with boxes and menus that write it.

    Args:
        rule: the rule to begin with.
        changed: called after each change of the text.

    Attributes:
        box: the ipywidgets box that holds it all.
    """

    def __init__(self, rule: str, changed: Callable[[], None]) -> None:
        wide, label = w.Layout(width="330px"), {"description_width": "76px"}
        self._quiet = Quiet()
        self._names = {get_mask(text).name: preset for preset, text in PRESETS.items()}
        self.preset = w.Dropdown(options=[*PRESETS, OWN], description="Preset", layout=wide, style=label)
        self.rule = w.Text(value=rule, description="Rule", placeholder="kv <= q", layout=wide, style=label)
        self.hint = w.HTML(HINT)
        self.join = w.Dropdown(options=list(JOINS), description="Compose", layout=w.Layout(width="168px"), style=label)
        self.part = w.Dropdown(options=sorted(MASKS), value="same_segment", layout=w.Layout(width="122px"))
        self.apply = icon_button("plus", "Join this mask to the rule", width="36px")
        self.sink = w.Checkbox(description="sink: token 0 stays causal", indent=False)
        self.system_as_query = w.Checkbox(value=True, description="system prompt reads both ways", indent=False)
        self.preset.observe(lambda _: self._pick(), "value")
        self.rule.observe(lambda _: changed(), "value")
        self.apply.on_click(lambda _: self._compose())
        for control in (self.sink, self.system_as_query):
            control.observe(lambda _: self._set_options(), "value")
        composed = w.HBox([self.join, self.part, self.apply])
        self.box = w.VBox([self.preset, self.rule, self.hint, composed, self.sink, self.system_as_query])

    def _pick(self) -> None:
        """A preset was chosen: write its rule."""
        if not self._quiet and self.preset.value != OWN:
            self.rule.value = PRESETS[self.preset.value]

    def _compose(self) -> None:
        """Combine the rule with another mask: append it to the text, in parentheses where they are needed."""
        rule = self.rule.value.strip() or "bidirectional"
        joined = JOINS[self.join.value].format(rule, self.part.value)
        self.rule.value = joined.replace(f"({rule})", rule, 1) if " " not in rule else joined

    def _set_options(self) -> None:
        """A box was ticked: write the options into the rule."""
        if self._quiet:
            return
        with suppress(ValueError):  # a rule that cannot be parsed has been reported already
            self.rule.value = with_ism_options(
                self.rule.value, sink=self.sink.value, system_as_query=self.system_as_query.value
            )

    def mirror(self) -> None:
        """Set preset and boxes to match the rule, which must be valid."""
        options = ism_options(self.rule.value)
        with self._quiet:
            put(self.preset, self._names.get(get_mask(self.rule.value).name, OWN))
            for control, option in ((self.sink, "sink"), (self.system_as_query, "system_as_query")):
                control.disabled = option not in options
                if option in options:
                    put(control, options[option])
