"""Costs: what is counted matches sums written out by hand, what is timed has the right shape, the tables hold it."""

import math
from typing import Any

import pytest
import torch

from mini_ism import encode_dialogue, load_tokenizer
from mini_ism.config import PRESETS, GPTConfig
from mini_ism.cost import plan
from mini_ism.dialogue import encode_message
from mini_ism.results import SWEPT, Row
from mini_ism.results.costs import claims, first_tokens, medians, ratios
from mini_ism.results.rows import Config
from mini_ism.segments import Segments
from mini_ism.trace import turn_costs
from research.costs import WINDOW, break_even, epochs, figures, query, rotated, run, tables, with_turns
from research.registry import get_sweep

pytestmark = pytest.mark.slow

Q, A, TURNS = 9, 5, 3
CHAT: Config = {"part": "chat", "preset": "tiny", "turns": TURNS, "query": Q, "answer": A, "repeats": 2}
EPOCH: Config = {"part": "epoch", "turns": 3, "dialogues": 18, "repeats": 2}


def measured(shared: Config, *masks: str) -> list[Row]:
    configs = [{**shared, "mask": mask} for mask in masks]
    return [Row(config, result, 1.0, {}) for config, result in zip(configs, run(configs), strict=True)]


def by_hand(turn: int, again: bool) -> dict[str, int]:
    """A turn's costs, from its lengths alone. ``again``: the whole conversation is read again for each turn."""
    shape, vocab = PRESETS["tiny"], load_tokenizer().n_vocab
    layers, width, shift = shape["layers"], shape["width"], GPTConfig().token_shift
    before = (turn - 1) * (Q + A)
    operations = computed = 0
    reads = [(0 if again else before, before + Q)] + [(before + Q + n, before + Q + n + 1) for n in range(A)]
    for start, stop in reads:
        new = stop - start
        matrices = layers * (4 * width * width + 2 * 4 * width * width) + shift * width * width
        scores_and_sums = layers * 2 * new * stop * width
        operations += 2 * (new * matrices + scores_and_sums + vocab * width)
        computed += new
    return {
        "reused": 0 if again else before,
        "computed": computed,
        "flops": operations,
        "kv_bytes": 4 * 2 * layers * width * turn * (Q + A),  # float32 keys and values
    }


def test_a_chat_costs_what_its_lengths_say() -> None:
    rows = measured(CHAT, *SWEPT, WINDOW)
    for row in rows:
        again = row.config["mask"] == "prefix"
        wanted = [by_hand(turn, again) for turn in range(1, TURNS + 1)]
        for name in wanted[0]:
            assert row.result[name] == [turn[name] for turn in wanted], (row.config["mask"], name)
        for name in ("first_token", "seconds"):
            assert [len(repeat) for repeat in row.result[name]] == [TURNS] * 2
        for waits, wholes in zip(row.result["first_token"], row.result["seconds"], strict=True):
            assert all(0 < wait < whole for wait, whole in zip(waits, wholes, strict=True))
    page = tables(rows)
    assert f"| `prefix` | 2 | 0 | {2 * Q + 2 * A} |" in page
    assert f"| `ism` | 2 | {Q + A} | {Q + A} |" in page
    assert "| ism / causal, FLOPs of whole turns | never | never |" in page


def test_a_query_has_the_length_asked_for() -> None:
    tokenizer = load_tokenizer()
    for length in (4, 48):
        assert len(encode_message({"role": "user", "content": query(length, tokenizer)}, tokenizer)) == length


def test_an_epoch_computes_what_the_messages_hold() -> None:
    rows = measured(EPOCH, *SWEPT)
    tokenizer = load_tokenizer()
    once = triplets = 0
    dialogues = with_turns(3, 18)
    assert all(sum(m["role"] == "user" for m in dialogue.messages) == 3 for dialogue in dialogues)
    for dialogue in dialogues:
        lengths = [len(encode_message(message, tokenizer)) for message in dialogue.messages]
        once += sum(lengths)
        for place, message in enumerate(dialogue.messages):
            if message["role"] == "assistant":  # a sample of all up to here
                triplets += sum(lengths[: place + 1])
        assert sum(lengths) == len(encode_dialogue(dialogue.messages, tokenizer))
    assert [row.result["tokens"] for row in rows] == [once, once, triplets]
    assert [row.result["one_pass"] for row in rows] == [True, True, False]
    assert all(len(row.result["seconds"]) == 2 and min(row.result["seconds"]) > 0 for row in rows)
    assert f"| prefix | 3 | {triplets:,} |" in tables(rows)
    assert f" | {triplets / once:.2f} | " in tables(rows)


def test_masks_are_trained_alike() -> None:
    """The same dialogues under the same mask cost the same tokens, whoever is beside them."""
    alone = epochs([{**EPOCH, "mask": "prefix", "repeats": 1}])
    assert alone[0]["tokens"] == measured(EPOCH, "ism", "prefix")[1].result["tokens"]


def test_plain_formulas_of_a_long_chat() -> None:
    """Of all turns together, prefix computes a quadratic number of positions, ISM a linear one."""
    turns, q, a = 8, 48, 64
    lengths = [q, a] * turns
    ids = [number for number, length in enumerate(lengths) for _ in range(length)]
    segments = Segments(torch.tensor(ids), torch.tensor([number % 2 == 0 for number in ids]))
    total = {mask: sum(cost.computed for cost in turn_costs(plan(mask, segments))) for mask in ("ism", "prefix")}
    assert total == {"ism": turns * (q + a), "prefix": turns * (turns + 1) // 2 * (q + a)}


def test_break_even() -> None:
    assert break_even([1, 2, 3, 4], [1, 1, 1, 1], 1) == 1
    assert break_even([1, 2, 3, 4], [1, 1, 1, 1], 1.5) == 2  # 3 / 2
    assert break_even([1, 2, 3, 4], [1, 1, 1, 1], 2.5) == 4  # 10 / 4
    assert break_even([1, 2, 3, 4], [1, 1, 1, 1], 3) is None
    assert break_even([2, 1, 1, 9], [1, 1, 1, 1], 1.5) == 4  # it was so in turn 1, but did not stay so


def test_small_helpers() -> None:
    assert [rotated("abc", by) for by in (0, 1, 5)] == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]]
    assert medians([[1, 9], [2, 7], [9, 8]]) == [2, 8]
    slow, fast = (Row({}, {"s": s}, 1.0, {}) for s in ([2.0, 4.0], [1.0, 2.0]))
    ratio = ratios(slow, fast, lambda row: list(row.result["s"]))
    assert (ratio.mean, ratio.high) == (2, 2)


def timed(mask: str, part: str, seconds: Any, **more: Any) -> Row:
    counted = {"reused": [0, 14], "computed": [14, 14], "flops": [1, 1], "kv_bytes": [1, 2]}
    result = {"first_token": seconds, "tokens": 1, **counted, "seconds": seconds, "load": None}
    return Row({**CHAT, "part": part, "mask": mask, **more}, result, 1.0, {})


def test_claims_are_ratios_less_one() -> None:
    rows = [
        timed("causal", "chat", [[1.0, 2.0], [1.0, 2.0]]),
        timed("ism", "chat", [[1.0, 2.0], [1.0, 2.0]]),
        timed("prefix", "chat", [[2.0, 8.0], [2.0, 8.2]]),
    ]
    found = {claim.text: claim.difference for claim in claims(rows)}
    assert found["time to first token, turn 1, prefix / ism - 1"].mean == 1
    assert found["time to first token, turn 2, prefix / ism - 1"].mean == pytest.approx(3.05)
    assert found["time to first token, sum of 2 turns, ism / causal - 1"].verdict == "tie"
    assert not math.isnan(found["seconds of 2 turns, prefix / ism - 1"].low)
    waits = first_tokens([*rows, timed("prefix", "epoch", [7.0, 7.0])])
    assert waits == {"causal": [1, 2], "ism": [1, 2], "prefix": [2, pytest.approx(8.1)]}


def test_pictures_show_medians_of_repeats_and_ratios_to_ism() -> None:
    talk = [
        timed("ism", "chat", [[0.01, 0.02], [0.01, 0.02], [0.04, 0.02]]),
        timed("prefix", "chat", [[0.01, 0.04], [0.01, 0.06], [0.01, 0.05]]),
    ]
    training = [
        timed(mask, "epoch", seconds, turns=turns)
        for turns, times in ((2, 2), (4, 3))
        for mask, seconds in (("ism", [1.0, 2.0]), ("prefix", [times * 1.0, times * 2.0]))
    ]
    drawn = figures(talk + training)
    assert list(drawn) == ["first-token", "epoch"]
    assert "ism, 3 runs: 10 (10 to 40) at 1, 20 (20 to 20) at 2" in drawn["first-token"].alt
    assert "prefix, 3 runs: 10 (10 to 10) at 1, 50 (40 to 60) at 2" in drawn["first-token"].alt
    assert "ism, 2 runs: 1 (1 to 1) at 2, 1 (1 to 1) at 4" in drawn["epoch"].alt
    assert "prefix, 2 runs: 2 (2 to 2) at 2, 3 (3 to 3) at 4" in drawn["epoch"].alt
    assert list(figures(talk)) == ["first-token"]
    assert list(figures(training[:1])) == ["epoch"]
    assert figures(training[1:2]) == {}  # nothing to compare with yet


def test_the_cut_down_sweep_makes_claims_of_the_full_one() -> None:
    sweep = get_sweep("costs")
    assert all(len(call) >= 3 for call in sweep.calls(sweep.configs))
    full, cut = ({(c["part"], c["mask"], c["turns"]) for c in configs} for configs in (sweep.configs, sweep.cut))
    assert cut < full
