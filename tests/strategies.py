"""What the tests of the core draw their examples from, and the slow references they hold them against.

The references are plain Python over lists, written from the definitions, and call no rule of the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.random_cases import NONEMPTY as NONEMPTY
from benchmarks.random_cases import PRESETS as PRESETS
from benchmarks.random_cases import SELF as SELF
from benchmarks.random_cases import SHAPES as SHAPES
from benchmarks.random_cases import Tree as Tree
from benchmarks.random_cases import build as build
from benchmarks.random_cases import random_mask, random_rule, random_table, random_tree
from benchmarks.random_cases import random_model as random_model
from mini_ism import Mask, Segments, load_tokenizer

# -- dialogues --------------------------------------------------------------------------------------------------------

Layout = list[tuple[str, int]]
"""A dialogue as (role, number of tokens) of each message."""

EXAMPLE: Layout = [("system", 2), ("user", 3), ("assistant", 2), ("user", 3), ("assistant", 2)]


@st.composite
def layouts(draw: st.DrawFn, max_messages: int = 6, max_length: int = 4) -> Layout:
    """An optional system message, then user and assistant in turn."""
    length = st.integers(1, max_length)
    layout: Layout = [("system", draw(length))] if draw(st.booleans()) else []
    for number in range(draw(st.integers(1, max_messages))):
        layout.append((("user", "assistant")[number % 2], draw(length)))
    return layout


def segments_of(layout: Layout) -> Segments:
    """The segments ``[T]`` of one dialogue."""
    ids = [number for number, (_, length) in enumerate(layout) for _ in range(length)]
    roles = [role for role, length in layout for _ in range(length)]
    return Segments(
        id=torch.tensor(ids, dtype=torch.long),
        is_query=torch.tensor([role != "assistant" for role in roles], dtype=torch.bool),
        is_system=torch.tensor([role == "system" for role in roles], dtype=torch.bool),
    )


def segments_of_turns(*lengths: int) -> Segments:
    """The segments of query, answer, query, ... of these lengths."""
    return segments_of([(("user", "assistant")[number % 2], length) for number, length in enumerate(lengths)])


Row = list[Layout]
"""Dialogues laid end to end."""


@st.composite
def packed(draw: st.DrawFn) -> tuple[list[Row], int]:
    """Rows of dialogues, and a length of row that leaves padding in some."""
    small = layouts(max_messages=3, max_length=3)
    rows = draw(st.lists(st.lists(small, min_size=1, max_size=3), min_size=1, max_size=3))
    longest = max(sum(length for layout in row for _, length in layout) for row in rows)
    return rows, longest + draw(st.integers(0, 3))


def segments_of_rows(rows: list[Row], length: int) -> Segments:
    """The segments ``[B, length]`` of packed rows, padded on the right."""
    fields: dict[str, list[list[Any]]] = {"id": [], "is_query": [], "is_system": [], "document": []}
    for row in rows:
        line: list[tuple[int, bool, bool, int]] = []
        for document, layout in enumerate(row):
            for number, (role, size) in enumerate(layout):
                line += [(number, role != "assistant", role == "system", document)] * size
        line += [(-1, False, False, -1)] * (length - len(line))
        for name, column in zip(fields, zip(*line, strict=True), strict=True):
            fields[name].append(list(column))
    return Segments(**{name: torch.tensor(value) for name, value in fields.items()})


# -- messages ---------------------------------------------------------------------------------------------------------

TOKENIZER = load_tokenizer()
MARKERS = sorted(TOKENIZER.special_tokens_set)

texts = st.one_of(
    st.text(max_size=12),
    st.text(alphabet="aeiou .?'\n", max_size=20),
    st.lists(st.sampled_from([*MARKERS, " ", "key", "\u00e9\u20ac\U0001f511"]), max_size=4).map("".join),
)  # fmt: skip

Messages = list[dict[str, str]]


@st.composite
def conversations(draw: st.DrawFn, content: st.SearchStrategy[str] = texts) -> Messages:
    """An optional system message, then user and assistant in turn, each with some text."""
    roles = ["system"] * draw(st.booleans())
    roles += [("user", "assistant")[n % 2] for n in range(draw(st.integers(1, 6)))]
    return [{"role": role, "content": draw(content)} for role in roles]


# -- rules ------------------------------------------------------------------------------------------------------------

WHOLE: list[Tree] = [
    ("causal", {}),
    ("prefix", {}),
    ("ism", {}),
    ("mas", {}),
    ("bidirectional", {}),
]
"""The presets that are used on their own."""


def trees() -> st.SearchStrategy[Tree]:
    """Random compositions of the presets by & | ~."""
    return st.randoms(use_true_random=False).map(random_tree)


def safe_trees() -> st.SearchStrategy[Tree]:
    """Random compositions in which each position sees itself at least."""
    return trees().map(lambda tree: ("|", tree, SELF))


def tables(size: int) -> st.SearchStrategy[Mask]:
    """Random matrices for dialogues of up to ``size`` positions."""
    return st.randoms(use_true_random=False).map(lambda random: random_table(random, size))


def any_mask(size: int) -> st.SearchStrategy[Mask]:
    """Any rule that has all forms of a mask, for dialogues of up to ``size`` positions."""
    return st.randoms(use_true_random=False).map(lambda random: random_mask(random, size))


def any_rule(size: int) -> st.SearchStrategy[Mask]:
    """Any rule, awkward ones too, for dialogues of up to ``size`` positions."""
    return st.randoms(use_true_random=False).map(lambda random: random_rule(random, size))


# -- slow references --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """All that a rule may ask about one position of one dialogue."""

    at: int
    segment: int
    role: str


def places(layout: Layout) -> list[Place]:
    """One entry a token."""
    roles = [(number, role) for number, (role, size) in enumerate(layout) for _ in range(size)]
    return [Place(at, number, role) for at, (number, role) in enumerate(roles)]


def sees(tree: Tree, dialogue: Sequence[Place], i: int, j: int) -> bool:
    """Whether position i may attend to position j, by the definitions in words."""
    a, b = dialogue[i], dialogue[j]
    match tree:
        case ("&", left, right):
            return sees(left, dialogue, i, j) and sees(right, dialogue, i, j)
        case ("|", left, right):
            return sees(left, dialogue, i, j) or sees(right, dialogue, i, j)
        case ("~", inner):
            return not sees(inner, dialogue, i, j)
        case ("causal", _):
            return b.at <= a.at
        case ("prefix", _):
            end = max((p.at + 1 for p in dialogue if p.role in ("system", "user")), default=0)
            return b.at < end or b.at <= a.at
        case ("ism" | "mas", options):
            if b.at <= a.at:
                return True
            if options.get("sink") and a.at == 0:
                return False
            asks = ("user",) if options.get("system_as_query") is False else ("user", "system")
            return a.segment == b.segment and a.role in asks
        case ("bidirectional" | "same_document", _):
            return True
        case ("same_query", _):
            return a.segment == b.segment and a.role in ("user", "system")
        case ("same_segment", _):
            return a.segment == b.segment
        case ("sliding_window", options):
            return -options["n"] < b.at - a.at < options["n"]
        case ("sink", options):
            return b.at < options["n"]
    raise AssertionError(f"no reference for {tree}")


def slow_dense(tree: Tree, layout: Layout) -> list[list[bool]]:
    """The mask of one dialogue, by two loops."""
    dialogue = places(layout)
    steps = range(len(dialogue))
    return [[sees(tree, dialogue, i, j) for j in steps] for i in steps]


def slow_dense_row(tree: Tree, row: Row, length: int) -> list[list[bool]]:
    """The mask of a packed row: each dialogue on its own, and then the padding, which hears no dialogue.

    What padding sees of other padding is nobody's business; the reference has it None there.
    """
    dense: list[list[Any]] = [[False] * length for _ in range(length)]
    start = 0
    for layout in row:
        block = slow_dense(tree, layout)
        for i, line in enumerate(block):
            dense[start + i][start : start + len(block)] = line
        start += len(block)
    for i in range(start, length):
        for j in range(start, length):
            dense[i][j] = True if i == j else None
    return dense


def slow_reusable(before: list[list[bool]], after: list[list[bool]]) -> int:
    """The longest prefix in which each position sees the same in both dialogues, and sees only the prefix."""

    def seen(matrix: list[list[bool]], i: int) -> set[int]:
        return {j for j, allowed in enumerate(matrix[i]) if allowed}

    for n in range(min(len(before), len(after)), -1, -1):
        inside = set(range(n))
        if all(seen(before, i) == seen(after, i) and seen(after, i) <= inside for i in range(n)):
            return n
    raise AssertionError("the empty prefix always does")


def slow_borders(matrix: list[list[bool]]) -> list[bool]:
    """Where no position before the cut sees one after it."""
    size = len(matrix)
    return [not any(matrix[i][j] for i in range(cut) for j in range(cut, size)) for cut in range(size + 1)]


# -- models -----------------------------------------------------------------------------------------------------------


def close(got: Tensor, wanted: Tensor) -> None:
    """As near as rounding allows."""
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)


def random_tokens(count: int, seed: int = 0, vocab_size: int = 40) -> Tensor:
    """``[1, count]``."""
    return torch.randint(vocab_size, (1, count), generator=torch.Generator().manual_seed(seed))
