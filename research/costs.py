"""What each mask costs: an epoch of training by the number of turns, and a chat turn by turn.

Masks are timed in turn, one right after the other in one process, so that other load on the machine cancels in their
ratios. Tokens, operations and bytes are counted, not measured: they follow from the mask's rule.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, chain, islice
from typing import Any

import tiktoken
import torch

from mini_ism.batching import make_batch, turns_independent
from mini_ism.chat import ChatSession
from mini_ism.config import GPTConfig
from mini_ism.corpus import Dialogue, generate
from mini_ism.cost import plan
from mini_ism.dialogue import END, encode_message
from mini_ism.masks import get_mask
from mini_ism.model import GPT
from mini_ism.results import SWEPT, Interval, Row
from mini_ism.results.costs import (
    CHAT,
    EPOCH,
    claims,
    epoch_seconds,
    epoch_turns,
    medians,
    of_all_turns,
    of_turn,
    part,
    ratios,
)
from mini_ism.results.rows import Config, Result
from mini_ism.tokenizer import load_tokenizer
from mini_ism.trace import turn_costs
from mini_ism.training import TrainingConfig, make_optimizer
from mini_ism.views import Figure, seeds_figure
from research.learning import batch_step
from research.markdown import claims_table, markdown_table
from research.registry import register_sweep
from research.sweep import Sweep

WINDOW = "ism & sliding_window(128)"
FACTORS = (1.1, 1.5, 2.0, 3.0, 4.0)
TURNS, QUERY, ANSWER = 8, 48, 64  # of the chat: turns, and the tokens of each
SHOWN = (1, 2, 4, 8)
"""Turns that the report lists; the rows hold all."""


def run(configs: list[Config]) -> list[Result]:
    """Measure configs that differ only in their mask: an ``epoch`` or a ``chat``, as their ``part`` says."""
    return {EPOCH: epochs, CHAT: chats}[configs[0]["part"]](configs)


def rotated(things: Sequence[Any], by: int) -> list[Any]:
    """The same things, starting at another one: no mask always runs after the one that fills the processor's caches."""
    return [*things[by % len(things) :], *things[: by % len(things)]]


def load() -> float | None:
    """The system's load average over the last minute, this process included; ``None`` if it does not report one."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


# -- an epoch of training --------------------------------------------------------------------------


def epochs(configs: list[Config]) -> list[Result]:
    """Train on the same dialogues under each mask, taking turns batch by batch.

    Args:
        configs: ``mask``; and the same for all: the number of ``dialogues``, their ``turns``, and the ``repeats``.
    """
    shared, tokenizer = configs[0], load_tokenizer()
    dialogues = with_turns(shared["turns"], shared["dialogues"])
    size = TrainingConfig().dialogues
    batches = [dialogues[start : start + size] for start in range(0, len(dialogues), size)]
    lanes = [_Lane(config["mask"], tokenizer, dialogues) for config in configs]
    for lane in lanes:
        lane.step(batches[0])  # warms up
    before = load()
    for lane in lanes:
        lane.tokens, lane.seconds = 0, [0.0] * shared["repeats"]
    for repeat in range(shared["repeats"]):
        for number, batch in enumerate(batches):
            for lane in rotated(lanes, repeat + number):
                lane.seconds[repeat] += lane.step(batch)
    return [
        {
            "one_pass": not lane.expand,
            "tokens": lane.tokens // shared["repeats"],
            "seconds": [round(value, 4) for value in lane.seconds],
            "load": before,
        }
        for lane in lanes
    ]


class _Lane:
    """A model in training under one mask; a step is :meth:`mini_ism.training.Run.train`'s."""

    def __init__(self, mask: str, tokenizer: tiktoken.Encoding, dialogues: Sequence[Dialogue]) -> None:
        torch.manual_seed(0)
        self.mask, self.tokenizer, self.recipe = get_mask(mask), tokenizer, TrainingConfig(mask=mask)
        self.model = GPT(GPTConfig.preset(self.recipe.preset, vocab_size=tokenizer.n_vocab, mask=mask))
        self.optimizer = make_optimizer(self.model, self.recipe)
        self.expand = not turns_independent(self.mask, dialogues, tokenizer)
        self.tokens = 0
        self.seconds: list[float] = []

    def step(self, dialogues: list[Dialogue]) -> float:
        """Train on a batch; the seconds it took."""
        clock = time.perf_counter()
        batch = make_batch(dialogues, self.tokenizer, expand=self.expand)
        batch_step(self.model, self.optimizer, batch, self.mask, lr=self.recipe.lr, clip=self.recipe.clip)
        self.tokens += batch.token_count
        return time.perf_counter() - clock


def with_turns(turns: int, count: int) -> list[Dialogue]:
    """The first dialogues of the corpus that have this many user turns."""
    return list(islice((d for d in generate(0, version=1) if len(d.skills) == turns), count))


# -- a chat ----------------------------------------------------------------------------------------


def chats(configs: list[Config]) -> list[Result]:
    """Hold the same conversation under each mask, alternating after every turn.

    Args:
        configs: ``mask``; and the same for all: the number of ``turns``, the tokens of each ``query`` and ``answer``,
            markers included, the model's ``preset``, and the ``repeats`` of the conversation.
    """
    shared, tokenizer = configs[0], load_tokenizer()
    turns = shared["turns"]
    model = endless_model(shared["preset"], turns * (shared["query"] + shared["answer"]), tokenizer)
    text = query(shared["query"], tokenizer)
    before = load()
    first: list[list[list[float]]] = [[] for _ in configs]  # of each mask and repeat, by turn
    whole: list[list[list[float]]] = [[] for _ in configs]
    for repeat in range(1 + shared["repeats"]):
        talks = [ChatSession(model, tokenizer, config["mask"]) for config in configs]
        for turn in range(turns):
            for talk in rotated(talks, repeat + turn):
                talk.send(text, max_new_tokens=shared["answer"] - 1)  # and the end
        for number, talk in enumerate(talks if repeat else ()):  # the first conversation warms up
            measured = turn_costs(talk.trace)
            first[number].append([round(cost.first_token, 6) for cost in measured])
            whole[number].append([round(cost.seconds, 6) for cost in measured])
    results = []
    for number, (config, talk) in enumerate(zip(configs, talks, strict=True)):
        planned = turn_costs(plan(config["mask"], talk.segments, model))
        results.append(
            {
                "reused": [cost.reused for cost in planned],
                "computed": [cost.computed for cost in planned],
                "flops": [cost.flops for cost in planned],
                "kv_bytes": [cost.kv_bytes for cost in planned],
                "first_token": first[number],
                "seconds": whole[number],
                "load": before,
            }
        )
    return results


def endless_model(preset: str, context: int, tokenizer: tiktoken.Encoding) -> GPT:
    """A model that never ends an answer by itself, so that it writes as many tokens as it is allowed.

    The weights are random, since no cost depends on them, except those of the end marker, which are 0.
    """
    torch.manual_seed(0)
    model = GPT(GPTConfig.preset(preset, vocab_size=tokenizer.n_vocab, context=context)).eval()
    model.embed.weight.data[tokenizer.encode_single_token(END)] = 0.0
    return model


def query(length: int, tokenizer: tiktoken.Encoding) -> str:
    """A user message of exactly this many tokens, its markers included."""
    words: list[str] = []
    while len(encode_message({"role": "user", "content": " ".join(words)}, tokenizer)) < length:
        words.append("the")
    return " ".join(words)


# -- what the rows say -----------------------------------------------------------------------------


def break_even(a: Sequence[float], b: Sequence[float], factor: float) -> int | None:
    """The turn, counted from 1, from which on ``a`` has cost at least ``factor`` times as much as ``b`` in total.

    Returns:
        ``None`` if there is no such turn.
    """
    dearer = [x >= factor * y for x, y in zip(accumulate(a), accumulate(b), strict=True)]
    last = max((turn for turn, so in enumerate(dearer, start=1) if not so), default=0)
    return last + 1 if last < len(dearer) else None


# -- the report ------------------------------------------------------------------------------------


def tables(rows: list[Row]) -> str:
    """The section: training, the chat by turn, its ratios, the break-even turns."""
    talk = part(rows, CHAT)
    parts = []
    if epoch_turns(rows):
        c = next(row for row in rows if row.config["part"] == EPOCH).config
        parts.append(
            f"Training on the same {c['dialogues']} dialogues under each mask, preset `tiny`, one thread; "
            "prefix learns one sample a turn, the others a dialogue in one pass. Seconds are the median of "
            f"{c['repeats']} epochs, ratios and their intervals those of epochs made side by side. Were all "
            "turns equally long, prefix would take (turns + 1) / 2 times the tokens.\n\n"
            f"{_training(rows)}"
        )
    if talk:
        c = next(iter(talk.values())).config
        parts.append(
            f"A chat of {c['turns']} turns, a query of {c['query']} and an answer of {c['answer']} tokens each, preset "
            f"`{c['preset']}` with random weights, one thread. Time to first token is the median of {c['repeats']} "
            f"repeats after a warm-up.\n\n{_by_turn(talk)}\n"
            f"How many times as long, repeat by repeat:\n\n{_ratios(talk)}\n"
            "From which turn on all that one mask has cost so far is at least so many times what the other has, if "
            "it comes to that in these turns:\n\n"
            f"{_break_even(talk)}"
        )
    loads = [row.result["load"] for row in rows if row.result["load"] is not None]
    if loads:
        parts.append(
            f"When each measurement began, the machine's load was {min(loads):.1f} to {max(loads):.1f} processes "
            "(1 is this one alone).\n"
        )
    parts.append(f"Seconds as ratios less 1, 0 where they are equal:\n\n{claims_table(claims(rows), Interval.text)}")
    return "\n".join(parts)


def _training(rows: list[Row]) -> str:
    lines = []
    for turns in epoch_turns(rows):
        found = part(rows, EPOCH, turns=turns)
        for mask, row in found.items():
            tokens, seconds = f"{row.result['tokens']:,}", f"{statistics.median(row.result['seconds']):.2f}"
            cells = [mask, str(turns), tokens, seconds]
            if "ism" in found and mask != "ism":
                times = row.result["tokens"] / found["ism"].result["tokens"]
                cells += [f"{times:.2f}", ratios(row, found["ism"], epoch_seconds).text()]
            lines.append([*cells, *["1"] * (6 - len(cells))])
    return markdown_table(["mask", "turns", "tokens", "seconds", "tokens / ISM's", "seconds / ISM's"], lines)


def _by_turn(talk: dict[str, Row]) -> str:
    lines = []
    for mask, row in talk.items():
        r = row.result
        waits = medians(r["first_token"])
        for at in (turn - 1 for turn in SHOWN if turn <= len(waits)):
            lines.append(
                [
                    f"`{mask}`",
                    str(at + 1),
                    str(r["reused"][at]),
                    str(r["computed"][at]),
                    f"{r['flops'][at] / 1e9:.2f}",
                    f"{r['kv_bytes'][at] / 1e6:.2f}",
                    f"{1e3 * waits[at]:.1f}",
                ]
            )
    return markdown_table(["mask", "turn", "reused", "computed", "GFLOP", "KV, MB", "first token, ms"], lines)


def _ratios(talk: dict[str, Row]) -> str:
    turns = len(next(iter(talk.values())).result["flops"])
    pairs = [(a, "ism") for a in talk if a not in ("ism", "causal")] + [("ism", "causal")]
    pairs = [(a, b) for a, b in pairs if a in talk and b in talk]
    values = [(f"first token, turn {turn}", of_turn("first_token", turn)) for turn in range(1, turns + 1)]
    values += [("first token, sum", of_all_turns("first_token")), ("whole turns, sum", of_all_turns("seconds"))]
    lines = [[text, *(ratios(talk[a], talk[b], value).text() for a, b in pairs)] for text, value in values]
    return markdown_table(["seconds", *(f"`{a}` / `{b}`" for a, b in pairs)], lines)


def _break_even(talk: dict[str, Row]) -> str:
    measures: dict[str, Callable[[Result], list[float]]] = {
        "FLOPs of whole turns": lambda r: [float(value) for value in r["flops"]],
        "seconds until the first token": lambda r: medians(r["first_token"]),
        "seconds of whole turns": lambda r: medians(r["seconds"]),
    }
    lines = []
    for a, b in (("prefix", "ism"), ("ism", "causal")):
        if a in talk and b in talk:
            for text, value in measures.items():
                mine, other = value(talk[a].result), value(talk[b].result)
                turns = [break_even(mine, other, factor) for factor in FACTORS]
                lines.append([f"{a} / {b}, {text}", *("never" if turn is None else str(turn) for turn in turns)])
    return markdown_table(["cost so far", *(f"{factor:g} times" for factor in FACTORS)], lines)


def figures(rows: list[Row]) -> dict[str, Figure]:
    """The chat by turn, and training by the number of turns."""
    drawn = {}
    if talk := part(rows, CHAT):
        waits = {mask: [_milliseconds(repeat) for repeat in row.result["first_token"]] for mask, row in talk.items()}
        x_label, y_label = "turn of the chat", "time to first token, ms"
        drawn["first-token"] = seeds_figure(waits, x_label=x_label, y_label=y_label, share=False, middle="median")
    parts = {turns: found for turns in epoch_turns(rows) if "ism" in (found := part(rows, EPOCH, turns=turns))}
    if parts:
        times = {mask: _beside_ism(parts, mask) for mask in dict.fromkeys(chain.from_iterable(parts.values()))}
        x_label, y_label = "turns of each dialogue", "seconds of an epoch / ISM's"
        drawn["epoch"] = seeds_figure(times, x_label=x_label, y_label=y_label, share=False)
    return drawn


def _milliseconds(seconds: Sequence[float]) -> list[tuple[float, float]]:
    """(turn, milliseconds), turns counted from 1."""
    return [(turn, 1e3 * value) for turn, value in enumerate(seconds, start=1)]


def _beside_ism(parts: dict[int, dict[str, Row]], mask: str) -> list[tuple[tuple[float, float], ...]]:
    """For each repeat, (number of turns, the seconds of the mask / those of ISM)."""
    columns = [
        [(turns, mine / ism) for mine, ism in zip(epoch_seconds(found[mask]), epoch_seconds(found["ism"]), strict=True)]
        for turns, found in parts.items()
        if mask in found
    ]
    return list(zip(*columns, strict=True))


def _epochs(turns: Iterable[int], **sizes: int) -> list[Config]:
    return [{"part": EPOCH, "mask": mask, "turns": count, **sizes} for count in turns for mask in SWEPT]


def _chats(masks: Iterable[str], **sizes: Any) -> list[Config]:
    return [{"part": CHAT, "mask": mask, "turns": TURNS, "query": QUERY, "answer": ANSWER, **sizes} for mask in masks]


register_sweep(
    Sweep(
        "costs",
        run,
        [*_chats((*SWEPT, WINDOW), preset="small", repeats=9), *_epochs((2, 3, 4, 6, 8), dialogues=200, repeats=7)],
        [*_chats(SWEPT, preset="small", repeats=2), *_epochs((2, 4, 8), dialogues=32, repeats=5)],
        title="What each mask costs",
        tables=tables,
        claims=claims,
        together=("mask",),
        place=70,
        figures=figures,
        alone=True,
    )
)
