"""What each way of :mod:`mini_ism.results.price` costs until the first word of its answer, counted from its rule."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from mini_ism.config import GPTConfig
from mini_ism.corpus.chains import first_question, held_out
from mini_ism.cost import as_model, plan
from mini_ism.dialogue import encode_dialogue
from mini_ism.results import Row, mean_interval, words
from mini_ism.results.price import ARMS, HEADS, Arm, runs_of
from mini_ism.tokenizer import load_tokenizer
from research.markdown import markdown_table
from research.word_tasks import TASKS

WIDTH = 64
COUNTED = 200  # test dialogues whose cost is counted


@cache
def cost(arm: Arm) -> tuple[float, float]:
    """What it takes to reach the first word of the answer, by the rule alone.

    Returns:
        Means over test dialogues: the FLOPs of everything read up to there, and the bytes of the cache at that point.
    """
    tokenizer = load_tokenizer()
    shape = as_model(GPTConfig(tokenizer.n_vocab, layers=arm.layers, heads=HEADS, width=WIDTH, mask=arm.mask))
    flops = kv_bytes = 0.0
    for dialogue in held_out("test", COUNTED, TASKS[arm.task]):
        segments = encode_dialogue(first_question(dialogue).messages, tokenizer).segments
        events = [event for event in plan(arm.mask, segments, shape) if event.phase == "prefill"]
        flops += sum(event.flops for event in events) / COUNTED
        kv_bytes += events[-1].kv_bytes / COUNTED
    return flops, kv_bytes


def price_table(best: Mapping[words.Group, list[Row]]) -> str:
    """What each way answers, and what it costs in multiples of causal's cost; empty before anything has been run."""
    lines = []
    for place, arms in ARMS.items():
        flops, kv_bytes = cost(arms[0])
        for arm in arms:
            runs = runs_of(best, arm)
            if not runs:
                continue
            mine = cost(arm)
            lines.append(
                (
                    place,
                    arm.name,
                    f"{runs[0].config['lr']:g}",
                    str(len(runs)),
                    mean_interval(map(words.exact, runs)).share(),
                    f"{mine[0] / flops:.2f}",
                    f"{mine[1] / kv_bytes:.2f}",
                )
            )
    header = ("links", "reader", "best rate", "seeds", "first questions right", "prefill FLOPs", "KV bytes")
    return markdown_table(header, lines) if lines else ""


def cost_notes() -> dict[str, dict[str, str]]:
    """What each way costs in multiples of causal's, by where the links stand and by reader, as a line for a picture."""
    notes = {}
    for place, arms in ARMS.items():
        flops, kv_bytes = cost(arms[0])
        shares = {arm.name: (cost(arm)[0] / flops, cost(arm)[1] / kv_bytes) for arm in arms}
        notes[place] = {name: f"FLOPs {mine:.2f}, KV {kept:.2f}" for name, (mine, kept) in shares.items()}
    return notes
