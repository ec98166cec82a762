"""A question answered twice, over the right cache and over a stale one, token by token."""

from __future__ import annotations

from mini_ism.blind_cache import StaleTurn
from mini_ism.views.picture import Picture
from mini_ism.views.svg import FAINT, FONT, INK, STYLE, colour, escape


def stale_proof(turn: StaleTurn, name: str) -> Picture:
    """What a stale cache did to an answer: both answers side by side, and how far apart their logits were.

    Args:
        turn: from :func:`~mini_ism.blind_cache.answer_blindly`.
        name: the model's.
    """
    head = "".join(f'<th scope="col" style="{_CELL};color:{FAINT};font-weight:400">{n}</th>' for n in _numbers(turn))
    rows = (
        _row("read anew", [right for right, _, _ in turn.pieces], turn),
        _row("stale cache", [blind for _, blind, _ in turn.pieces], turn),
        _row("logits off by", [_apart(apart) for _, _, apart in turn.pieces], None),
    )
    html = (
        f'<div class="mi mi-stale" style="{FONT};font-size:14px;color:{INK};line-height:1.5">{STYLE}'
        f"<div>{escape(name)}'s answer in turn {turn.turn}, token by token</div>"
        f'<div style="overflow-x:auto"><table style="{_TABLE};color:{INK}">'
        f'<thead><tr><th scope="col" style="{_CELL};color:{FAINT};font-weight:400">token</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></div>"
    )
    return Picture(html, describe_stale(turn, name))


def describe_stale(turn: StaleTurn, name: str) -> str:
    """The same in words, for a status line."""
    if not turn.stale:
        return f"Turn {turn.turn}: nothing in {name}'s cache is stale; both answers are “{turn.right_text}”."
    used = f"Turn {turn.turn}: {name} uses {len(turn.stale)} stale positions."
    off = f"The logits of the answer's first token are off by up to {turn.difference:.2f}."
    if turn.same_answer:
        return f"{used} {off} The likeliest tokens stay the same this time: “{turn.right_text}”."
    return f"{used} {off} It answers “{turn.blind_text}”; with everything read anew it answers “{turn.right_text}”."


def _numbers(turn: StaleTurn) -> range:
    return range(1, len(turn.pieces) + 1)


def _apart(apart: float | None) -> str:
    return "–" if apart is None else f"{apart:.2f}"


def _row(title: str, cells: list[str], turn: StaleTurn | None) -> str:
    """One line of the table; where the two answers differ, a token is outlined and bold."""
    shown = []
    for n, cell in enumerate(cells):
        differs = turn is not None and turn.pieces[n][0] != turn.pieces[n][1]
        mark = f";outline:2px solid {colour('discarded')};outline-offset:-2px;font-weight:700" if differs else ""
        kind = ' class="mi-differs"' if differs else ""
        shown.append(f'<td{kind} style="{_CELL}{mark}">{escape(cell.strip() or "∅")}</td>')
    head = f'<th scope="row" style="{_CELL};text-align:left;font-weight:600">{title}</th>'
    return f"<tr>{head}{''.join(shown)}</tr>"


_TABLE = "border-collapse:collapse;font-size:13px;margin:4px 0 10px"
_CELL = "padding:2px 9px;text-align:center;white-space:pre"
