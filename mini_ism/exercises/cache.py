"""Exercises of the sixth notebook: what a cache keeps, where a dialogue may be cut, and what a turn costs."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from mini_ism.config import GPTConfig
from mini_ism.cost import as_model, plan
from mini_ism.dialogue import EncodedDialogue
from mini_ism.exercises.core import Verdict, exercise, right, wrong
from mini_ism.exercises.dialogues import compare_flags
from mini_ism.exercises.judging import Place, as_number, difference, places, sample_dialogues
from mini_ism.mask import Mask
from mini_ism.masks import COURSE_MASKS, get_mask
from mini_ism.model import GPT
from mini_ism.segments import Segments
from mini_ism.tokenizer import load_tokenizer
from mini_ism.trace import turn_costs
from mini_ism.views.picture import Picture
from mini_ism.views.svg import bool_grid

CURIOUS = Mask(lambda q, kv, s: (kv <= q) | ((q == 0) & (kv < 4)), "causal, but token 0 looks three ahead")
NAMED = ("causal", "prefix", "ism", "bidirectional", "causal & sliding_window(3)", "prefix & sliding_window(2)")
RULES = (*map(get_mask, NAMED), CURIOUS)
Rows = list[list[bool]]


def _grid(rows: Rows, title: str) -> Picture:
    return Picture(bool_grid(rows, title, list(range(len(rows))), cell=14), title, title)


# -- a dialogue read in chunks ---------------------------------------------------------------------


@exercise("token-by-token", difficulty=2)
def token_by_token(answer: Callable[[Tensor, list[int]], Any]) -> Verdict:
    """From a dense mask and the cuts between chunks, say which positions come out wrong when it is read so."""
    for encoded in sample_dialogues(5):
        tokens = places(encoded)
        for rule in RULES:
            rows: Rows = rule.dense(encoded.segments).tolist()
            for way, cuts in _ways(encoded).items():
                reasons = _broken(rows, cuts, tokens)

                def why(position: int, reasons: Reasons = reasons, where: str = f"{rule.name}, cut {way}") -> str:
                    return f"under {where}, {reasons.get(position, 'it misses nothing, and all it sees is right')}"

                target = [position in reasons for position in range(len(rows))]
                found = answer(torch.tensor(rows), list(cuts))
                verdict = compare_flags(found, target, encoded, why)
                if verdict.state != "right":
                    return verdict
    return right(f"and a model agrees. {_seen_broken(sample_dialogues(5)[-1])}")


Reasons = dict[int, str]


def _ways(encoded: EncodedDialogue) -> dict[str, list[int]]:
    """Several ways to cut a dialogue into chunks."""
    total, ids = len(encoded), encoded.segments.id
    messages = [int((ids < n).sum()) for n in range(int(ids[-1]) + 1)] + [total]
    return {
        "between messages": messages,
        "in one more place": sorted({*messages, (messages[-2] + total) // 2}),
        "into threes": [*range(0, total, 3), total],
        "between all tokens": list(range(total + 1)),
    }


def _broken(rows: Rows, cuts: Sequence[int], tokens: Sequence[Place]) -> Reasons:
    """Why each wrong position is wrong: it missed something, or it attended to a position that is wrong."""
    reasons: Reasons = {}
    ends = {i: stop for start, stop in pairwise(cuts) for i in range(start, stop)}
    for i, stop in ends.items():
        missed = [j for j in _sees(rows, i) if j >= stop]
        if missed:
            reasons[i] = f"it should see {tokens[missed[0]]}, which is read in a later chunk"
    grown = True
    while grown:
        grown = False
        for i in range(len(rows)):
            bad = [j for j in _sees(rows, i) if j < ends[i] and j in reasons]
            if i not in reasons and bad:
                reasons[i] = f"it misses nothing itself, but it sees {tokens[bad[0]]}, which is wrong"
                grown = True
    return reasons


@torch.inference_mode()
def _seen_broken(encoded: EncodedDialogue) -> str:
    """How a small model's logits change when an ISM dialogue is read token by token."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GPT(GPTConfig(load_tokenizer().n_vocab, layers=2, heads=2, width=16, mask="ism")).eval()
    dense, tokens, cache = get_mask("ism").dense(encoded.segments), encoded.tokens[None], model.new_cache()
    fed = [model(tokens[:, i : i + 1], dense[i : i + 1, : i + 1], cache)[0] for i in range(len(encoded))]
    off = (torch.cat(fed) - model(tokens, dense)[0]).abs().amax(-1)  # (T)
    return (
        f"Fed an ISM dialogue token by token, it gives other scores at {int((off > 1e-5).sum())} of {len(off)} "
        f"positions, off by up to {float(off.max()):.2f}, and says nothing."
    )


# -- where a dialogue may be cut -------------------------------------------------------------------


@exercise("safe-cuts", difficulty=1)
def safe_cuts(answer: Callable[[Tensor], Any]) -> Verdict:
    """From a dense mask, list all n from 0 to T at which a dialogue may be cut into chunks."""
    for encoded in sample_dialogues(5):
        tokens = places(encoded)
        for rule in RULES:
            dense = rule.dense(encoded.segments)
            given = answer(dense.clone())
            if isinstance(given, Tensor) and given.dtype == torch.bool:
                return wrong("return the positions of the cuts, not True or False for each: .nonzero() finds them.")
            found = given.tolist() if isinstance(given, Tensor) else list(given)
            if not all(type(n) is int for n in found):
                return wrong(f"list the positions of the cuts, whole numbers; yours is {given!r:.60}.")
            rows: Rows = dense.tolist()
            target = [n for n in range(len(rows) + 1) if reader_across(rows, n) is None]
            for n in sorted(set(found) ^ set(target)):
                if not 0 <= n <= len(rows):
                    return wrong(f"{n} is not a cut of {len(rows)} positions: cuts run from 0 to {len(rows)}.")
                across = reader_across(rows, n)
                if across is None:
                    where = "at an end" if n in (0, len(rows)) else "nobody before it looks at or past it"
                    return wrong(
                        f"under {rule.name}, a cut before position {n} is safe ({where}), but your list lacks it."
                    )
                i, j = across
                return wrong(
                    f"under {rule.name}, a cut before position {n} is not safe, but you list it: {tokens[i]} reads "
                    f"on to {tokens[j]}, which would not have been read yet."
                )
            if found != target:
                return wrong(f"the cuts should rise, each listed once; under {rule.name} they are {found}.")
    return right("under ISM the safe cuts are those outside queries, and a chunk is safe between any two of them.")


def reader_across(rows: Rows, n: int) -> tuple[int, int] | None:
    """A position before n that attends to n or beyond, and the one it attends to; ``None`` if there is none."""
    return next(((i, j) for i in range(n) for j in range(n, len(rows)) if rows[i][j]), None)


# -- what may be reused ----------------------------------------------------------------------------


@exercise("reusable", difficulty=2)
def reusable(answer: Callable[[Tensor, Tensor], Any]) -> Verdict:
    """From two dense masks, before and after, say how many cached positions are still right."""
    for name, before, after in _pairs():
        found = answer(torch.tensor(before), torch.tensor(after))
        target = _reusable(before, after)
        message = difference(found, target, "the number of positions")
        if message is None:
            continue
        number = as_number(found)
        n = int(number) if number.is_integer() else -1
        return Verdict(
            "wrong",
            f"{name}: {message} {_why(before, after, n, target)}",
            _grid(before, f"{len(before)} positions were read"),
            _grid(after, f"{target} of them are still right"),
            ("the mask before", "the mask after"),
        )
    return right("rows that did not change are not enough: what they look at must be kept, too.")


def _reusable(before: Rows, after: Rows) -> int:
    """Length of the longest prefix whose rows did not change and see nothing outside it, by trying them all."""
    return next(n for n in range(min(len(before), len(after)), -1, -1) if _objection(before, after, n) is None)


def _sees(rows: Rows, i: int) -> list[int]:
    return [j for j, may in enumerate(rows[i]) if may]


def _objection(before: Rows, after: Rows, n: int) -> str | None:
    """Why the first n positions may not be kept; ``None`` if they may."""
    for i in range(n):
        if _sees(before, i) != _sees(after, i):
            return f"position {i} saw {_sees(before, i)} and now sees {_sees(after, i)}"
        beyond = [j for j in _sees(after, i) if j >= n]
        if beyond:
            return f"position {i} sees {beyond[0]}, which is not kept"
    return None


def _why(before: Rows, after: Rows, n: int, target: int) -> str:
    if not 0 <= n <= min(len(before), len(after)):
        return f"It lies between 0 and {min(len(before), len(after))}."
    return f"You keep {n}, but {_objection(before, after, n)}." if n > target else f"The first {target} are all right."


def _pairs() -> list[tuple[str, Rows, Rows]]:
    """Masks before and after: a turn is added, a turn is taken back, small tricky cases, and random ones."""
    pairs: list[tuple[str, Rows, Rows]] = []
    for encoded in sample_dialogues(4):
        ids = encoded.segments.id
        half = encoded.segments[: int((ids < (int(ids[-1]) + 1) // 2).sum()) or 1]
        for rule in RULES:
            short, long = rule.dense(half).tolist(), rule.dense(encoded.segments).tolist()
            pairs.append((f"{rule.name}, a longer dialogue", short, long))
            pairs.append((f"{rule.name}, a shorter dialogue", long, short))
    chain = [[True, True, False], [False, True, True], [False, False, True]]
    other = [[True, True, False], [False, True, True], [True, False, True]]
    pairs.append(("a chain of readers whose last link changed", chain, other))
    islands = [[True, False, False], [False, True, True], [False, False, True]]
    pairs.append(("one row in the middle changed", islands, [islands[0], [True, True, False], islands[2]]))
    rng = random.Random(0)
    for number in range(40):
        size = rng.randint(2, 6)
        before = [[i == j or rng.random() < 0.3 for j in range(size)] for i in range(size)]
        after = [[*row] for row in before]
        row = rng.randrange(size)
        after[row] = [i == row or rng.random() < 0.5 for i in range(size)]
        pairs.append((f"random mask {number}", before, after))
    return pairs


@exercise("window-reuse", difficulty=3)
def window_reuse(answer: Callable[[int, int, int], Any]) -> Verdict:
    """Predict what a turn leaves of a cache under a prefix in a window: unchanged rows, and positions kept."""
    for query, reply in ((4, 3), (9, 5), (6, 1), (12, 8)):
        old, new = _two_turns(query, reply)
        for n in (1, 2, 3, 5, 8, 40):
            mask = get_mask(f"prefix & sliding_window({n})")
            before, after = mask.dense(old).tolist(), mask.dense(new).tolist()
            same = sum(_sees(before, i) == _sees(after, i) for i in range(len(before)))
            kept = _reusable(before, after)
            where = f"n={n}, asked={query}, total={query + reply}"
            found = answer(n, query, query + reply)
            if not (isinstance(found, Sequence) and len(found) == 2):
                return wrong(f"return two numbers, (unchanged rows, positions kept), not {found!r}.")
            for value, target, what in ((found[0], same, "unchanged rows"), (found[1], kept, "positions kept")):
                message = difference(value, target, f"{where}: the number of {what}")
                if message:
                    return wrong(f"{message} {_hint(what, n)}")
    return right("a row that does not change is worth nothing if it looks, through others, at one that does.")


def _hint(what: str, n: int) -> str:
    if n == 1:
        return "With n=1 everybody sees only itself, and the next question changes nothing."
    if what == "unchanged rows":
        return "A row changes if its window reaches past the end of the first question, where it was cut off so far."
    return "Each position of the question looks at the next, and so on to the one whose row did change."


def _two_turns(query: int, reply: int) -> tuple[Segments, Segments]:
    """A question and its answer, and the same followed by a long question."""
    ids = torch.tensor([0] * query + [1] * reply + [2] * 60)
    whole = Segments(ids, ids != 1)
    return whole[: query + reply], whole


# -- what a turn costs -----------------------------------------------------------------------------


@exercise("cache-bytes", difficulty=1)
def cache_bytes(answer: Callable[[GPTConfig, int, int], Any]) -> Verdict:
    """Say how many bytes the keys and values of so many positions take, from the model's shape."""
    for config in (GPTConfig(), GPTConfig.preset("mini"), GPTConfig(layers=2, heads=1, width=6, vocab_size=7)):
        for positions, size in ((0, 4), (1, 4), (37, 4), (512, 2)):
            numbers = sum(
                2  # a key and a value
                for _ in range(config.layers)
                for _ in range(config.heads)
                for _ in range(config.width // config.heads)
            )
            target = positions * numbers * size
            where = f"{config.layers} layers, {config.heads} heads, width {config.width}, {positions} positions"
            found = answer(config, positions, size)
            message = difference(found, target, f"{where}, {size} bytes a number: the cache")
            if message:
                return wrong(f"{message} {_bytes_hint(float(found) / target if target else 1, config)}".strip())
    return right("bytes grow with positions, layers and width; how many heads share the width makes no difference.")


def _bytes_hint(ratio: float, config: GPTConfig) -> str:
    hints = {
        0.5: "A position has keys and values.",
        1 / config.layers: "Every layer has keys and values of its own.",
        float(config.heads): "The heads share the width: together they are as wide as the model.",
        1 / config.heads: "The width is that of all heads together.",
    }
    return next((hint for value, hint in hints.items() if abs(ratio - value) < 1e-9), "")


@exercise("turn-flops", difficulty=2)
def turn_flops(answer: Callable[[Any, int, int, int], Any]) -> Verdict:
    """Count the FLOPs of one turn, prefill and decode, with the help of model.flops."""
    model = as_model(None)
    for encoded in sample_dialogues(6):
        for rule in COURSE_MASKS:
            for cost in turn_costs(plan(rule, encoded.segments)):
                kept, read, written = cost.reused, cost.prefilled, cost.decoded
                found = answer(model, kept, read, written)
                target = cost.flops
                where = f"{kept} kept, {read} read, {written} written: the turn's FLOPs"
                message = difference(found, target, where)
                if message:
                    return wrong(
                        f"{message} {_flops_hint(as_number(found), target, model, kept, read, written)}".strip()
                    )
    return right("a kept position costs no computing of its own, but each new one still looks at it.")


def _flops_hint(found: float, target: int, model: Any, kept: int, read: int, written: int) -> str:
    one_by_one = range(1, written + 1)
    alone = model.flops(read, read * read) + sum(model.flops(1, read + n) for n in one_by_one)
    shifted = model.flops(read, read * (kept + read)) + sum(model.flops(1, kept + read + n - 1) for n in one_by_one)
    at_once = model.flops(read + written, (read + written) * (kept + read + written))
    if kept and found == alone:
        return "The new positions look at the kept ones, too: those are pairs."
    if found == shifted:
        return "A token that is written also sees itself: the first of them has kept + read + 1 positions to look at."
    if found == at_once:
        return "Answers are written one token at a time, each with a forward (and logits) of its own."
    if found == model.flops(read, read * (kept + read)):
        return "That is the prefill; the written tokens are read as well."
    return "That is too much." if found > target else "That is too little." if found < target else ""
