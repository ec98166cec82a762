"""The SmolLM2 sweep: what is run and what follows, and its rows are read rightly."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from mini_ism.results import Row
from mini_ism.results.smollm2 import (
    ALL,
    ARMS,
    CHANCE,
    CONTRASTS,
    FIRST,
    LATER,
    LINKS,
    TOLD,
    TURNS,
    best,
    claims,
    curves,
    exact,
    seed_shares,
    untrained,
)
from research.smollm2 import CONFIGS, RATES, SEEDS, STEP_TOKENS, STEPS, TRIED, config, further
from research.smollm2_tables import figures, tables
from research.smollm2_texts import CHAINS
from research.sweep import key

SHARES = {"causal": 0.5, "causal, told twice": 0.7, "ism": 0.6, "prefix": 0.65}


def row(arm: str, seed: int, lr: float, share: float, chosen: float | None = None) -> Row:
    """A made-up row; later turns are a tenth better than the first."""
    labels = (ALL, *TURNS, LATER, *LINKS, *TOLD)
    test = {label: share + 0.1 * (label == LATER) for label in labels}
    result: dict[str, Any] = {
        "test": test,
        "validation": dict.fromkeys(labels, share if chosen is None else chosen),
        "curve": [{"step": step, "tokens": step * STEP_TOKENS + seed, LATER: share} for step in (0, 100, STEPS)],
        "tokens": STEPS * STEP_TOKENS + seed,
        "conversations": 4000,
        "device": "a card",
    }
    made = config(arm, lr, seed) if lr else config(arm, lr, seed, steps=0)
    return Row(made, result, 10.0, {})


def tried() -> list[Row]:
    """The rows of the first configs: each arm is best on validation at its own rate, and on test at another."""
    rows = []
    for made in CONFIGS:
        arm, lr, seed = made["arm"], made["lr"], made["seed"]
        mine = RATES[ARMS.index(arm) % len(RATES)]
        rows.append(row(arm, seed, lr, SHARES[arm] if lr == mine else 0.9 if lr else 0.05, 0.8 if lr == mine else 0.2))
    return rows


def everything() -> list[Row]:
    rows = tried()
    more = [row(c["arm"], c["seed"], c["lr"], SHARES[c["arm"]] + c["seed"] / 100, 0.8) for c in further(rows)]
    return rows + more


def test_the_contrasts_are_those_that_were_planned() -> None:
    assert CONTRASTS == (
        ("ism", "causal", "turn 1"),
        ("ism", "causal", "turns 2 to 4"),
        ("prefix", "ism", "turns 2 to 4"),
    )
    assert CHANCE == 1 / CHAINS


def test_all_arms_are_run_alike() -> None:
    runs = [made for made in CONFIGS if made["steps"]]
    for arm in ARMS:
        assert {made["lr"] for made in runs if made["arm"] == arm} == set(RATES)
        assert {made["seed"] for made in runs if made["arm"] == arm} == set(TRIED)
        assert [made["steps"] for made in CONFIGS if made["arm"] == arm].count(0) == 1
    same = {key({k: v for k, v in made.items() if k not in ("arm", "lr", "seed")}) for made in runs}
    assert len(same) == 1


def test_more_seeds_go_on_at_the_rate_that_was_best_on_validation() -> None:
    rows = tried()
    more = further(rows)
    assert len(more) == len(ARMS) * (len(SEEDS) - len(TRIED))
    for arm in ARMS:
        mine = [made for made in more if made["arm"] == arm]
        assert {made["lr"] for made in mine} == {RATES[ARMS.index(arm) % len(RATES)]}
        assert {made["seed"] for made in mine} == set(SEEDS) - set(TRIED)
    assert not {key(made) for made in more} & {key(made) for made in CONFIGS}
    assert further([]) == []
    short = [each for each in rows if (each.config["arm"], each.config["lr"]) != ("ism", RATES[-1])]
    assert {made["arm"] for made in further(short)} == set(ARMS) - {"ism"}


def test_arms_are_compared_seed_by_seed_at_their_best_rates() -> None:
    rows = everything()
    assert list(best(rows)) == list(untrained(rows)) == list(ARMS)
    assert all(len(runs) == len(SEEDS) for runs in best(rows).values())
    found = claims(rows)
    assert [claim.text for claim in found] == [
        "turn 1: ism - causal",
        "turns 2 to 4: ism - causal",
        "turns 2 to 4: prefix - ism",
    ]
    assert [claim.difference.mean for claim in found] == pytest.approx([0.1, 0.1, 0.05])
    assert [claim.difference.count for claim in found] == [len(SEEDS)] * 3
    assert claims(tried()) == []  # of one seed nothing is said
    assert exact(best(rows)["ism"][0], LATER) == pytest.approx(0.7)
    assert seed_shares(rows)[FIRST]["causal"] == pytest.approx([0.5 + seed / 100 for seed in SEEDS])


def test_tables_say_what_the_rows_say() -> None:
    page = tables(everything())
    assert "| causal | as it came |  |  |  | 5.0% |" in page
    assert f"| {len(SEEDS)} | {STEPS * STEP_TOKENS / 1e6:.2f}M | 4,000 | 52.0% (" in page
    assert "| 80.0% (5)\\* |" in page
    assert "| turns 2 to 4: prefix - ism | 5 | 5.0% (5.0% to 5.0%) | more |" in page
    assert "Computed on: a card." in page


def test_tables_and_pictures_of_a_sweep_that_has_just_begun() -> None:
    rows = tried()
    assert "difference" not in tables(rows).split("Exact answers on validation")[1]
    assert list(figures(rows)) == ["turns", "learning"]
    begun = [each for each in rows if not each.config["steps"]]
    assert "as it came" in tables(begun)
    assert figures(begun) == {}


def test_pictures_show_each_seed_and_how_it_learns() -> None:
    rows = everything()
    drawn = figures(rows)
    assert "turn 1: causal 52.0%, causal, told twice 72.0%, ism 62.0%, prefix 67.0%" in drawn["turns"].alt
    assert "ism, 5 runs" in drawn["learning"].alt
    assert f"against steps of {STEP_TOKENS:,} tokens" in drawn["learning"].alt
    assert {run[-1][0] for runs in curves(rows).values() for run in runs} == {STEPS}


@pytest.mark.slow
def test_listing_the_sweeps_needs_neither_transformers_nor_peft() -> None:
    code = "import sys, research.smollm2; print([name for name in ('transformers', 'peft') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
