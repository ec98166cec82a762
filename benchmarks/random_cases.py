"""Random rules, and small random models in which every map does something.

What the tests of the core and :mod:`benchmarks.exactness` draw from, so that both mean the same by "any rule".
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from mini_ism import GPT, GPTConfig, Mask, Segments, get_mask

# -- rules as trees, so that one drawing gives a mask, its text and a reference ---------------------------------------

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


# -- rules that read more than the fields of two positions ------------------------------------------------------------

TABLE = torch.rand(200, 200, generator=torch.Generator().manual_seed(1)) < 0.5
WINDOW = 3


def reads_a_length(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """Causal, and nothing but the last tokens once the dialogue is long."""
    return (kv <= q) & (kv + 6 > len(s) - 6) | (q == kv)


def reads_a_maximum(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """Causal, and both ways inside the newest segment."""
    newest = s.id.max() if len(s) else 0
    return (kv <= q) | (s.id[q] == newest) & (s.id[kv] == newest)


def reads_a_field_whole(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """As many of the first tokens as there are query tokens."""
    return (kv <= q) & (kv < s.is_query.sum()) | (q == kv)


def reads_a_negative_place(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """A token whose predecessor lies in another segment; the first one's is the last."""
    return (kv <= q) & (s.id[kv - 1] != s.id[q]) | (q == kv)


def reads_the_next_token(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """A token that no query token follows."""
    return (kv <= q) & ~s.is_query[(kv + 1).clamp(max=len(s) - 1)] | (q == kv)


def reads_a_table(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """What a matrix from outside says."""
    return TABLE[q, kv] | (q == kv)


def reads_a_slice(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """The last few before the last column that is asked about."""
    return (kv <= q) & (kv >= kv[:, -1:] - 5) | (q == kv)


def sums_up(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """The first few that are allowed."""
    return ((kv <= q).cumsum(-1) < 9) & (kv <= q) | (q == kv)


def asks_once_for_all(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """One rule or another, by all that is asked about together."""
    return kv <= q if bool(s.is_query[kv].any()) else kv == q


def reads_ends(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """A few ahead, up to the end of the segment."""
    return (kv < s.end[q]) & (kv <= q + 3)


def reads_positions(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """A window as wide as a global number says."""
    return (s.position[q] - s.position[kv]).abs() < WINDOW


def looks_ahead_a_little(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """Causal, and two tokens ahead."""
    return kv <= q + 2


def alternates(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """Causal towards a system prompt, every second token elsewhere."""
    return torch.where(s.system[kv], kv <= q, (q - kv) % 2 == 0) | (q == kv)


AWKWARD: list[Callable[[Tensor, Tensor, Segments], Tensor]] = [
    *(reads_a_length, reads_a_maximum, reads_a_field_whole, reads_a_negative_place, reads_the_next_token),
    *(reads_a_table, reads_a_slice, sums_up, asks_once_for_all, reads_ends, reads_positions, looks_ahead_a_little),
    alternates,
]
"""Rules that read what a shortcut may overlook. Each shows every position itself."""


# -- any rule ---------------------------------------------------------------------------------------------------------


def random_tree(random: Random, depth: int = 2) -> Tree:
    """A composition of the presets by & | ~, up to ``depth`` operations deep."""
    operation = random.choice("&|~.") if depth else "."
    if operation == ".":
        return random.choice(PRESETS)
    if operation == "~":
        return "~", random_tree(random, depth - 1)
    return operation, random_tree(random, depth - 1), random_tree(random, depth - 1)


def random_table(random: Random, size: int) -> Mask:
    """An arbitrary rule: a random matrix, in which each position sees itself."""
    generator = torch.Generator().manual_seed(random.randrange(2**16))
    table = torch.rand(size, size, generator=generator) < random.choice([0.1, 0.4, 0.8])
    if random.random() < 0.5:
        table = table.tril()  # so that some of them let a cache keep something
    table |= torch.eye(size, dtype=torch.bool)
    return Mask(lambda q, kv, s: table[q, kv], "table")


def random_mask(random: Random, size: int) -> Mask:
    """A rule in every form that a mask has: preset, composition, parsed expression, or a random matrix.

    For dialogues of up to ``size`` positions.
    """
    match random.randrange(4):
        case 0:
            return build(random.choice(NONEMPTY))
        case 1:
            return build(("|", random_tree(random), SELF))
        case 2:
            return get_mask(build(("|", random_tree(random), SELF)).name)
    return random_table(random, size)


def random_rule(random: Random, size: int) -> Mask:
    """A :func:`random_mask`, or an awkward rule, alone or with a preset; ``size`` is at most 200.

    Awkward rules are for dialogues asked about as a whole: not all of them have a FlexAttention form.
    """
    rule = random.choice(AWKWARD)
    match random.randrange(4):
        case 0:
            return Mask(rule, rule.__name__)
        case 1:
            preset = get_mask(random.choice(["causal", "ism", "prefix", "sliding_window(4)"]))
            return preset | rule if random.random() < 0.5 else preset & rule | build(SELF)
    return random_mask(random, size)


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
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if weight.ndim == 1:
            nn.init.uniform_(weight, 0.5, 1.5, generator=generator)
        else:
            std = 1.0 if "embed" in name else model.config.width**-0.5 if "shift" in name else weight.shape[1] ** -0.5
            nn.init.normal_(weight, std=std, generator=generator) if weight.numel() else None
    return model.eval()


SHAPES: list[dict[str, int]] = [
    {"layers": 2, "heads": 2, "token_shift": 2},
    {"layers": 2, "heads": 1, "token_shift": 0},
    {"layers": 3, "heads": 4, "token_shift": 2},
    {"layers": 1, "heads": 2, "token_shift": 3},
]
"""Configurations the invariants are tested on."""
