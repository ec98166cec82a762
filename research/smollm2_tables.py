"""Tables and pictures of the SmolLM2 sweep: each arm at its own best learning rate."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from functools import partial

from mini_ism.results import Interval, Row, mean_interval
from mini_ism.results.smollm2 import (
    ARMS,
    CHANCE,
    CONTRASTS,
    LATER,
    LINKS,
    TOLD,
    TURNS,
    best,
    claims,
    contrast_name,
    curves,
    exact,
    seed_shares,
    untrained,
)
from mini_ism.views import Figure, seeds_figure
from mini_ism.views.seed_dots import seed_dots_figure
from research.curves import total_tokens
from research.markdown import claims_table, markdown_table, rates_table

ABOUT = (
    "SmolLM2-135M-Instruct learns by LoRA to read conversations of four turns (`research/smollm2_texts.py`): facts "
    "about what is kept in what, in any order, then a question whose answer takes one to three of them in a row. A "
    "reader who knows which three chains are meant, and guesses, is right one time in three. All arms compute equally "
    "many tokens, so they read fewer conversations where a conversation costs more. Training, validation and test "
    "share no nouns. An answer is right if each of its tokens is the likeliest, behind the true history. The three "
    "differences at the end were written down before the first run; *causal, told twice* needs no mask, only tokens."
)


def tables(rows: list[Row]) -> str:
    """The section: exact match by turn, by links and by where the facts stand, every rate, and the contrasts."""
    chosen, before = best(rows), untrained(rows)
    device = ", ".join(dict.fromkeys(str(row.result["device"]) for row in rows))
    parts = [
        f"{ABOUT} Computed on: {device}.{_missing(rows, chosen)}\n",
        f"Exact answers by turn:\n\n{_by_turn(before, chosen)}",
    ]
    if chosen:
        parts += [
            f"By links, and, of turns 2 to 4, by whether a question needs an earlier turn:\n\n{_by_kind(chosen)}",
            rates_table(
                [row for row in rows if row.config["steps"]],
                ["arm"],
                {(arm,): runs for arm, runs in chosen.items()},
                partial(exact, held_out="validation"),
                what="Exact answers on validation",
                show="{:.1%}".format,
            ),
            claims_table(claims(rows), Interval.percent),
        ]
    return "\n".join(parts)


def _missing(rows: Sequence[Row], chosen: Container[str]) -> str:
    """What is still missing from the rows."""
    shown = {claim.text for claim in claims(rows)}
    arms = [f"training under {arm}" for arm in ARMS if arm not in chosen]
    differences = [f'the difference "{name}"' for name in map(contrast_name, CONTRASTS) if name not in shown]
    missing = ", ".join([*arms, *differences])
    return missing and f" **Not run yet**, and the same command goes on with it: {missing}."


def _by_turn(before: dict[str, Row], chosen: dict[str, list[Row]]) -> str:
    labels = (*TURNS, LATER)
    lines = [(arm, "as it came", "", "", "", *_shares([before[arm]], labels)) for arm in ARMS if arm in before]
    for arm, runs in chosen.items():
        read = mean_interval(row.result["conversations"] for row in runs).mean
        facts = (f"{runs[0].config['lr']:g}", str(len(runs)), f"{total_tokens(runs) / 1e6:.2f}M", f"{read:,.0f}")
        lines.append((arm, *facts, *_shares(runs, labels)))
    return markdown_table(("arm", "best rate", "seeds", "tokens", "conversations", *labels), lines)


def _by_kind(chosen: dict[str, list[Row]]) -> str:
    labels = (*LINKS, *TOLD)
    return markdown_table(("arm", *labels), [(arm, *_shares(runs, labels)) for arm, runs in chosen.items()])


def _shares(runs: Sequence[Row], labels: Iterable[str]) -> list[str]:
    return [mean_interval(exact(row, label) for row in runs).share() for label in labels]


def figures(rows: list[Row]) -> dict[str, Figure]:
    """What each seed reaches, at turn 1 and later; and how the later turns are learned."""
    if not best(rows):
        return {}
    steps = f"steps of {rows[0].config['step_tokens']:,} tokens"
    return {
        "turns": seed_dots_figure(
            seed_shares(rows), y_label="test answers exactly right", reference=(CHANCE, "a guess")
        ),
        "learning": seeds_figure(curves(rows), x_label=steps, y_label=f"{LATER}, exactly right on validation"),
    }
