"""What the tests of masks, model and chat draw their examples from, and the slow references they hold them against.

The references are plain Python over lists, written from the definitions, and call no rule of the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from mini_ism import GPT, GPTConfig, Mask, Segments, get_mask

# -- dialogues --------------------------------------------------------------------------------------------------------

Layout = list[tuple[str, int]]
"""A dialogue as (role, number of tokens) of each message."""


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


# -- rules as trees, so that one drawing gives a mask, its text and its reference -------------------------------------

Tree = tuple[Any, ...]
"""``(name, options)``, ``("&", a, b)``, ``("|", a, b)`` or ``("~", a)``."""

PRESETS: list[Tree] = [
    ("causal", {}),
    ("prefix", {}),
    ("ism", {}),
    ("ism", {"sink": True}),
    ("ism", {"system_as_query": False}),
    ("ism", {"sink": True, "system_as_query": False}),
    ("mas", {}),
    ("bidirectional", {}),
    ("same_query", {}),
    ("same_segment", {}),
    ("same_document", {}),
    ("sliding_window", {"n": 1}),
    ("sliding_window", {"n": 3}),
    ("sink", {"n": 2}),
]
SELF: Tree = ("sliding_window", {"n": 1})
NONEMPTY = [tree for tree in PRESETS if tree[0] != "same_query"] + [("|", ("same_query", {}), SELF)]
"""The presets that leave no position of any dialogue with nothing to attend to."""

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
    leaf: st.SearchStrategy[Tree] = st.sampled_from(PRESETS)
    return st.recursive(
        leaf,
        lambda inner: st.one_of(st.tuples(st.sampled_from("&|"), inner, inner), st.tuples(st.just("~"), inner)),
        max_leaves=4,
    )


def safe_trees() -> st.SearchStrategy[Tree]:
    """Random compositions in which each position sees itself at least."""
    return trees().map(lambda tree: ("|", tree, SELF))


def build(tree: Tree) -> Mask:
    """The tree as a mask, through the package's algebra."""
    match tree:
        case ("&", a, b):
            return build(a) & build(b)
        case ("|", a, b):
            return build(a) | build(b)
        case ("~", a):
            return ~build(a)
    name, options = tree
    return get_mask(name, **options)


@st.composite
def tables(draw: st.DrawFn, size: int) -> Mask:
    """A rule without rhyme or reason: a random matrix, each position seeing itself."""
    seed = draw(st.integers(0, 2**16))
    share = draw(st.sampled_from([0.1, 0.4, 0.8]))
    table = torch.rand(size, size, generator=torch.Generator().manual_seed(seed)) < share
    if draw(st.booleans()):
        table = table.tril()  # so that some of them let a cache keep something
    table |= torch.eye(size, dtype=torch.bool)
    return Mask(lambda q, kv, s: table[q, kv], "table")


def any_mask(size: int) -> st.SearchStrategy[Mask]:
    """A preset, a composition, or a random matrix for dialogues of up to ``size`` positions."""
    return st.one_of(st.sampled_from(NONEMPTY).map(build), safe_trees().map(build), tables(size=size))


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


def random_model(seed: int = 0, **changes: Any) -> GPT:
    """A small GPT in which every map does something: no zeros, no ties, norms included."""
    shape = {
        "vocab_size": 40,
        "context": 96,
        "layers": 2,
        "heads": 2,
        "width": 16,
        "token_shift": 2,
    }
    model = GPT(GPTConfig(**(shape | changes)))
    chance = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if weight.ndim == 1:
            nn.init.uniform_(weight, 0.5, 1.5, generator=chance)
        else:
            std = 1.0 if "embed" in name else model.config.width**-0.5 if "shift" in name else weight.shape[1] ** -0.5
            nn.init.normal_(weight, std=std, generator=chance) if weight.numel() else None
    return model.eval()


def random_tokens(count: int, seed: int = 0, vocab_size: int = 40) -> Tensor:
    """``[1, count]``."""
    return torch.randint(vocab_size, (1, count), generator=torch.Generator().manual_seed(seed))


SHAPES: list[dict[str, int]] = [
    {"layers": 2, "heads": 2, "token_shift": 2},
    {"layers": 2, "heads": 1, "token_shift": 0},
    {"layers": 3, "heads": 4, "token_shift": 2},
    {"layers": 1, "heads": 2, "token_shift": 3},
]
"""Configurations the invariants are tested on."""
