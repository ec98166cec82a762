"""What a model thought could come next: an answer's tokens, and for one of them the likeliest words as bars."""

from __future__ import annotations

from collections.abc import Sequence

from mini_ism.views import svg
from mini_ism.views.picture import Picture
from mini_ism.views.svg import FAINT, FONT, INK, colour, escape

Odds = Sequence[tuple[str, float]]
"""Labels of tokens, and their probabilities."""

WIDTH, LABEL, NUMBER = 300, 96, 46
ROW, BAR = 20, 12
LONGEST_LABEL = 12
CONTEXT = 24
"""How many characters of the text before a token the heading of its bars quotes."""


def next_word_bars(answer: Odds, chosen: int, odds: Odds, picked: int) -> Picture:
    """An answer's tokens in a line, one of them chosen, and under it what could have stood in its place.

    On a :class:`~mini_ism.widgets.surface.Surface`, a token can be picked: ``{"pick": "token", "token": 2}``.

    Args:
        answer: the answer's tokens so far, including its end marker if it has ended. A label that continues a word
            begins with a hyphen.
        chosen: the token that the bars are about.
        odds: the likeliest tokens there, likeliest first; the remaining probability is summed up in a last bar.
        picked: which of ``odds`` was written.
    """
    before = " ".join(label for label, _ in answer[:chosen]).replace(" -", "")
    told = ", ".join(f"{label} {_percent(share)}" for label, share in odds)
    where = f"after “{before}”" if before else "at the beginning"
    alt = f"Next word {where}: {told}; {odds[picked][0]} was written"
    rest = max(1.0 - sum(share for _, share in odds), 0.0)
    rows = [*odds, ("all others", rest)]
    bars = "".join(_bar(number, label, share, number == picked) for number, (label, share) in enumerate(rows))
    picture = svg.document(bars, alt, WIDTH, ROW * len(rows) + 4, "mi-next")
    tokens = "".join(_token(number, *token, number == chosen) for number, token in enumerate(answer))
    quoted = where.replace(before, f"…{before[-CONTEXT:]}") if len(before) > CONTEXT else where
    html = (
        f'<div class="mi" style="{FONT};font-size:13px;color:{INK};padding:4px 2px 8px">'
        f'<div data-drag="answer" style="line-height:1.9;overflow-wrap:anywhere">{tokens}</div>'
        f'<div style="font-size:12px;line-height:1.7;color:{FAINT}">Next word {escape(quoted)}</div>{picture}</div>'
    )
    return Picture(html, alt)


def _token(number: int, label: str, share: float, chosen: bool) -> str:
    look = f"background:{INK};color:{svg.PAPER}" if chosen else f"color:{INK}"
    tip = escape(f"{label}: {_percent(share, 2)}")
    return (
        f'<span data-pick="token" data-token="{number}" aria-current="{str(chosen).lower()}" title="{tip}" '
        f'style="{look};border:1px solid {FAINT};border-radius:3px;padding:1px 4px;margin-right:3px">'
        f"{escape(label)}</span>"
    )


def _bar(number: int, label: str, share: float, picked: bool) -> str:
    top, tip = number * ROW + 4, f"{label}: {_percent(share, 2)}"
    short = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
    bold = ' font-weight="700"' if picked else ""
    mark = f'<path class="mi-picked" d="M1 {top + 1}v10l7 -5z" fill="{INK}"/>' if picked else ""
    room = WIDTH - LABEL - NUMBER
    fill = colour("decoded") if picked else colour("reused")
    return (
        f"<g><title>{escape(tip)}</title>{mark}"
        + svg.text(short, LABEL - 6, top + 10, more=f' text-anchor="end"{bold}')
        + f'<rect x="{LABEL}" y="{top}" width="{room}" height="{BAR}" fill="{colour("hidden")}"/>'
        f'<rect class="mi-odds" x="{LABEL}" y="{top}" width="{share * room:.1f}" height="{BAR}" fill="{fill}"/>'
        + svg.text(_percent(share), WIDTH, top + 10, more=f' text-anchor="end"{bold}')
        + "</g>"
    )


def _percent(share: float, digits: int = 0) -> str:
    """A share in per cent, never rounded to 0% or 100% unless it is exactly that."""
    least = 10 ** -(digits + 2)
    if 0 < share < least / 2:
        return f"< {least:.{digits}%}"
    if 1 - least / 2 <= share < 1:
        return f"> {1 - least:.{digits}%}"
    return f"{share:.{digits}%}"
