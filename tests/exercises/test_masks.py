"""Exercises of notebook 01: right answers pass, and plausible wrong ones are told what is wrong with them."""

from typing import Any

import pytest
from torch import Tensor

from mini_ism import Mask, Segments, get_mask
from tests.exercises.verdicts import assert_right, assert_todo, assert_wrong


def f_right(ids: list[int], is_query: list[bool]) -> list[int]:
    last = {number: position for position, number in enumerate(ids)}
    return [last[ids[j]] if is_query[j] else j for j in range(len(ids))]


def f_exclusive(ids: list[int], is_query: list[bool]) -> list[int]:
    return [f + query for f, query in zip(f_right(ids, is_query), is_query, strict=True)]


def f_of_every_segment(ids: list[int], is_query: list[bool]) -> list[int]:
    return f_right(ids, [True] * len(ids))


def segments(tokens: list[str], *, marker_opens: bool = False, end_opens: bool = False) -> list[int]:
    number, found, before = -1, [], "<|assistant|>"
    for token in tokens:
        opens = token in ("<|user|>", "<|system|>") or before == "<|assistant|>"
        if marker_opens:
            opens = token in ("<|user|>", "<|system|>", "<|assistant|>")
        if end_opens:
            opens = token in ("<|user|>", "<|system|>", "<|end|>") or before == "<|assistant|>"
        number += opens
        found.append(number)
        before = token
    return found


def late(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    return (kv <= q) | ((kv < s.last_query_end[q]) & (s.id[q] > 1))


causal, prefix, ism, same_segment, sink = map(get_mask, ("causal", "prefix", "ism", "same_segment", "sink"))
itself = Mask(lambda q, kv, s: q == kv, "itself")

RIGHT = [
    ("causal-rule", lambda q, kv, s: kv <= q),
    ("prefix-rule", lambda q, kv, s: (kv <= q) | (kv < s.last_query_end[q])),
    ("ism-rule", lambda q, kv, s: (kv <= q) | (s.is_query[q] & (s.id[q] == s.id[kv]))),
    ("f-of-j", f_right),
    ("marker-segment", segments),
    ("causal-rule", "kv <= q"),
    ("prefix-rule", "(kv <= q) | (kv < s.last_query_end[q])"),
    ("ism-rule", "causal | same_query"),
    ("strangers", (causal & ~same_segment) | itself),
    ("strangers", "(causal & ~same_segment) | (q == kv)"),
    ("half-cache", "(kv <= q) | ((kv < s.last_query_end[q]) & (s.id[q] > 1))"),
    ("half-cache", late),
    ("half-cache", causal | (prefix & ~get_mask("inside(0)") & Mask(lambda q, kv, s: s.id[q] > 1))),
]

WRONG = [
    ("causal-rule", "kv <= q and kv >= 0", r"write & \| ~ where Python says and, or, not"),
    ("causal-rule", lambda q, kv, s: kv <= q and q >= 0, r"combine tensors with & \| ~, not with and, or, not, if"),
    ("causal-rule", lambda b, h, q, kv: kv <= q, r"four arguments are FlexAttention's \(b, h, q, kv\): drop b and h"),
    ("causal-rule", lambda q, kv: kv <= q, r"takes three arguments \(q, kv, s\), but this one takes \(q, kv\)"),
    ("causal-rule", 7, r"function \(q, kv, s\) -> bool tensor, got 7"),
    ("prefix-rule", lambda q, kv, s: (kv <= q) | (kv <= s.last_query_end[q]), r"must not see"),
    ("prefix-rule", lambda q, kv, s: (kv <= q) | (kv < 12), r"the end of the last query"),
    ("ism-rule", lambda q, kv, s: (kv <= q) | (s.id[q] == s.id[kv]), r"an answer, but your rule lets it"),
    ("half-cache", "kv <= p", r"unknown mask 'p'|cannot read"),
    ("f-of-j", lambda ids, asks: [float(f) for f in f_right(ids, asks)], r"whole numbers, but one of yours is \d+\.0"),
    ("marker-segment", lambda tokens: [float(n) for n in segments(tokens)], r"whole numbers, but one of yours is 0\.0"),
    ("marker-segment", lambda tokens: [n + 1 for n in segments(tokens)], r"Count segments from 0"),
    ("causal-rule", lambda q, kv, s: kv < q, r"position 0 with nothing to attend to"),
    ("causal-rule", lambda q, kv, s: kv >= q, r"‹user› \(0\) must not see .* \(1\), which lies ahead"),
    ("causal-rule", lambda q, kv, s: [[True]], "not a bool tensor"),
    ("prefix-rule", lambda q, kv, s: (kv <= q) | (kv <= s.last_query_end[q]), "not before the end of the last query"),
    ("prefix-rule", lambda q, kv, s: (kv <= q) | (q < s.last_query_end[q]), "which lies ahead, not before the end"),
    ("prefix-rule", lambda q, kv, s: kv < s.last_query_end[q], r"which is itself, .*, but your rule hides it"),
    ("ism-rule", lambda q, kv, s: (kv <= q) | (s.id[q] == s.id[kv]), "both in segment 1, an answer"),
    ("ism-rule", lambda q, kv, s: (kv <= q) | s.is_query[q], "which lies ahead: in another segment than 0, a query"),
    ("ism-rule", lambda q, kv, s: s.is_query[q] & (s.id[q] == s.id[kv]), "nothing to attend to"),
    ("f-of-j", f_exclusive, "not one past it"),
    ("f-of-j", f_of_every_segment, "answers see no further than themselves"),
    ("f-of-j", lambda ids, is_query: ids[:-1], "a value for each of"),
    ("f-of-j", lambda ids, is_query: list(range(len(ids))), r"f\(0\) should be .* it stands in query 0"),
    ("marker-segment", lambda tokens: segments(tokens, marker_opens=True), "The assistant marker closes the query"),
    ("marker-segment", lambda tokens: segments(tokens, end_opens=True), r"<\|end\|>.*belongs to segment 1, but .* 2"),
    ("marker-segment", lambda tokens: [0] * len(tokens), "It is the answer's first word"),
    ("strangers", causal & ~same_segment, "position 0 with nothing to attend to"),
    ("strangers", (causal & ~same_segment) | sink.with_options(n=1), "in its own segment, but your rule lets it"),
    ("strangers", causal & (~same_segment | itself) | same_segment, "in its own segment, but your rule lets it"),
    ("half-cache", ism, r"keeps 37 of 37 .*more than about half"),
    ("half-cache", prefix, r"keeps 0 of 37 .*‹user› \(0\) already looks at the new question"),
    ("half-cache", prefix & ~get_mask("inside(1)"), "which lies behind it"),
    ("half-cache", get_mask("same_query"), "nothing to attend to"),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_right_answers_pass(name: str, answer: Any) -> None:
    assert_right(name, answer)


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_wrong_answers_are_told_why(name: str, answer: Any, message: str) -> None:
    assert_wrong(name, answer, message)


@pytest.mark.parametrize("name", sorted({name for name, _ in RIGHT}))
def test_stubs_are_not_done_yet(name: str) -> None:
    assert_todo(name, ...)
    assert_todo(name, lambda *values: ...)
