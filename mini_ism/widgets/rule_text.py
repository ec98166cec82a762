"""Rules as text, read and rewritten: what the mask explorer's boxes and switches do to the rule."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from mini_ism.mask import Option
from mini_ism.masks import get_mask
from mini_ism.segments import Segments

Direction = Literal["both ways", "backwards", "partly"]

# -- the direction of each segment -----------------------------------------------------------------


def directions(dense: Tensor, segments: Segments) -> list[Direction]:
    """How each segment reads *inside itself* under a mask.

    Args:
        dense: BoolTensor ``[T, T]``.
        segments: of one dialogue ``[T]``, numbered from 0.
    """
    return [_direction(dense, segments.id == number) for number in range(int(segments.id.max()) + 1)]


def _direction(dense: Tensor, inside: Tensor) -> Direction:
    square = dense[inside][:, inside]
    if bool(square.all()):
        return "both ways"
    return "partly" if bool(square.triu(1).any()) else "backwards"


def turned(rule: str, segment: int, both_ways: bool, dialogues: Sequence[Segments]) -> str:
    """The rule with one segment read in another direction, written as plainly as possible.

    Of several ways to write it, the one with the fewest exceptions is taken, then the shortest. All agree outside the
    segment's own square, on each of the dialogues; give the current dialogue and a longer one, so that a rule is not
    mistaken for another that differs only in later turns.

    Args:
        rule: as text for :func:`~mini_ism.masks.get_mask`.
        segment: its number, from 0.
        both_ways: read it both ways inside itself, or backwards.
        dialogues: segments ``[T]`` of at least one dialogue, the displayed one first.

    Raises:
        ValueError: the rule cannot be parsed, or leaves a position with nothing to attend to.
    """
    wanted: Direction = "both ways" if both_ways else "backwards"
    targets = [_with_square(get_mask(rule).dense(s), s.id == segment, both_ways) for s in dialogues]
    for target in targets:
        if not bool(target.any(-1).all()):
            position = int((~target.any(-1)).nonzero()[0])
            raise ValueError(
                f"segment {segment} cannot read backwards under {rule!r}: position {position} would be left with "
                "nothing to attend to; pick a rule under which each position sees itself"
            )

    def fits(text: str) -> bool:
        found = [get_mask(text).dense(s) for s in dialogues]
        return _direction(found[0], dialogues[0].id == segment) == wanted and all(
            _same_outside(one, target, s.id == segment)
            for one, target, s in zip(found, targets, dialogues, strict=True)
        )

    corrected = (_corrected(base, segment, wanted, dialogues[0], targets[0]) for base in _bases(rule))
    fitting = filter(fits, filter(None, corrected))
    return min(fitting, key=lambda text: (text.count("inside("), len(text)), default=rule)


def _with_square(dense: Tensor, inside: Tensor, both_ways: bool) -> Tensor:
    square = inside[:, None] & inside[None, :]
    return dense | square if both_ways else dense & ~square.triu(1)


def _same_outside(one: Tensor, other: Tensor, inside: Tensor) -> bool:
    square = inside[:, None] & inside[None, :]
    return torch.equal(one | square, other | square)


def _bases(rule: str) -> Iterator[str]:
    """What the new rule may be based on: the old rule, the old rule without exceptions, or a preset."""
    tree = _tree(rule)
    yield ast.unparse(tree)
    yield ast.unparse(_bare(tree))
    yield "causal"
    for sink in (False, True):
        for system_as_query in (True, False):
            yield ism_text(sink=sink, system_as_query=system_as_query)


def _bare(node: ast.expr) -> ast.expr:
    """A rule without the exceptions that :func:`turned` writes at its end."""
    match node:
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Call(func=ast.Name(id="inside"))):
            return _bare(left)
        case ast.BinOp(
            left=left,
            op=ast.BitAnd(),
            right=ast.BinOp(
                left=ast.Name(id="causal"), op=ast.BitOr(), right=ast.UnaryOp(op=ast.Invert(), operand=exceptions)
            ),
        ) if {name.id for name in ast.walk(exceptions) if isinstance(name, ast.Name)} == {"inside"}:
            return _bare(left)
    return node


def _corrected(base: str, segment: int, wanted: Direction, segments: Segments, target: Tensor) -> str:
    """``base`` with an exception for each square in which it is not the target; ``""`` if that is not possible."""
    try:
        dense = get_mask(base).dense(segments)
    except ValueError:  # without its exceptions, it leaves a position with nothing to see
        return ""
    both_ways: list[int] = []
    backwards: list[int] = []
    for number in range(int(segments.id.max()) + 1):
        inside = segments.id == number
        right = torch.equal(dense[inside][:, inside], target[inside][:, inside])
        if right or (number == segment and _direction(dense, inside) == wanted):
            continue
        (both_ways if _direction(target, inside) == "both ways" else backwards).append(number)
    return _written(base, backwards, both_ways)


def _written(base: str, backwards: Sequence[int], both_ways: Sequence[int]) -> str:
    tree = _tree(base)
    if backwards:
        named = " | ".join(f"inside({number})" for number in backwards)
        named = f"({named})" if len(backwards) > 1 else named
        loose = isinstance(tree, ast.Compare) or (isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.BitOr))
        base = f"{f'({base})' if loose else base} & (causal | ~{named})"
    elif both_ways and isinstance(tree, ast.Compare):
        base = f"({base})"
    return " | ".join([base, *(f"inside({number})" for number in both_ways)])


# -- the options of ISM ----------------------------------------------------------------------------


def ism_text(*, sink: bool, system_as_query: bool) -> str:
    """ISM with these options, as text; those at their defaults are left out."""
    options = ["sink=True"] * sink + ["system_as_query=False"] * (not system_as_query)
    return f"ism({', '.join(options)})" if options else "ism"


def ism_options(rule: str) -> dict[str, Option]:
    """The options of ``ism`` within a rule; empty if the rule does not contain it.

    Raises:
        ValueError: the rule cannot be parsed.
    """
    found = _Isms()
    found.visit(_tree(rule))
    return get_mask(found.first).options if found.first else {}


def with_ism_options(rule: str, *, sink: bool, system_as_query: bool) -> str:
    """The rule with other options wherever it says ``ism``.

    Raises:
        ValueError: the rule cannot be parsed.
    """
    return ast.unparse(_Isms(ism_text(sink=sink, system_as_query=system_as_query)).visit(_tree(rule)))


class _Isms(ast.NodeTransformer):
    """Finds the first ``ism`` or ``ism(...)`` in a rule, and replaces each with ``text``."""

    def __init__(self, text: str = "") -> None:
        self.first, self._text = "", text

    def visit_Call(self, node: ast.Call) -> ast.expr:
        return self._found(node, node.func)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._found(node, node)

    def _found(self, node: ast.expr, name: ast.expr) -> ast.expr:
        if not (isinstance(name, ast.Name) and name.id == "ism"):
            return node
        self.first = self.first or ast.unparse(node)
        return _tree(self._text) if self._text else node


def _tree(rule: str) -> ast.expr:
    get_mask(rule)  # its errors are clearer than the parser's
    return ast.parse(rule.strip(), mode="eval").body
