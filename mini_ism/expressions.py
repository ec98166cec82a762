"""Masks written as text: registered names, and the rule itself, written as in code.

``causal & (sliding_window(32) | sink(4))`` and ``(kv <= q) | (s.is_query[q] & (s.id[q] == s.id[kv]))`` share one
grammar. A mask is

* a registered name, with options where it has some: ``ism``, ``sliding_window(32)``, ``ism(sink=True)``;
* two numbers compared: ``kv <= q``, ``s.id[q] == s.id[kv]``, ``(q - kv) % 2 == 0``;
* a field that is true or false: ``s.is_query[q]``, ``s.system[kv]``, or two of these compared by ``==`` and ``!=``;
* masks joined by ``& | ~``.

Numbers are ``q``, ``kv``, whole numbers and ``s.id``, ``s.position``, ``s.end`` and ``s.last_query_end`` at ``q`` or
``kv``; with ``+ - *``, ``//`` and ``%`` by a literal number, and ``abs()``. The mask is built from the text's syntax
tree by this list alone: nothing in the text is executed.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias

from torch import Tensor

from mini_ism.imports import UnknownNameError
from mini_ism.mask import Mask, Option
from mini_ism.segments import Segments

Number: TypeAlias = Callable[[Tensor, Tensor, Segments], Any]
"""A rule's number: whole numbers as a tensor that broadcasts with ``q`` and ``kv``, or a literal one."""

# Plain functions throughout, no operator module and no getattr(): the planner inspects a rule to see what it reads.
FLAGS: dict[str, Callable[[Segments], Tensor]] = {"is_query": lambda s: s.is_query, "system": lambda s: s.system}
COUNTS: dict[str, Callable[[Segments], Tensor]] = {
    "id": lambda s: s.id,
    "position": lambda s: s.position,
    "end": lambda s: s.end,
    "last_query_end": lambda s: s.last_query_end,
}
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: lambda x, y: x < y,
    ast.LtE: lambda x, y: x <= y,
    ast.Gt: lambda x, y: x > y,
    ast.GtE: lambda x, y: x >= y,
    ast.Eq: lambda x, y: x == y,
    ast.NotEq: lambda x, y: x != y,
}
ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda x, y: x + y,
    ast.Sub: lambda x, y: x - y,
    ast.Mult: lambda x, y: x * y,
    ast.FloorDiv: lambda x, y: x // y,
    ast.Mod: lambda x, y: x % y,
}
LONGEST = 10_000
"""The most characters that a rule may have."""
DEEPEST = 100
"""The most levels of brackets and operators that a rule may have."""
LARGEST = 10**6
"""The largest number that may be written in a rule."""


def read_mask(text: str, masks: Mapping[str, Mask]) -> Mask:
    """The mask that a text describes.

    Args:
        text: see the module's docstring.
        masks: those that it may name.

    Raises:
        ValueError: the text cannot be read, or names an unknown mask; it says what to write instead.
        TypeError: an option does not fit, or is given twice.
    """
    return _Reader(text, masks).mask()


class _Reader:
    def __init__(self, text: str, masks: Mapping[str, Mask]) -> None:
        self.text, self.masks = text, masks

    def mask(self) -> Mask:
        self._check_length(self.text)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)  # "3if": unreadable text is reported below
                body = ast.parse(self.text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two from very deep brackets
            raise self._unreadable(f"mask {self.text!r}") from None
        if _depth(body) > DEEPEST:
            raise ValueError(f"a mask's text may be {DEEPEST} levels deep, this one is deeper; register its parts")
        mask = self._mask(body)
        self._check_length(mask.name)  # written out in full it is longer, and a model keeps its mask's name
        return mask

    def _check_length(self, text: str) -> None:
        if len(text) > LONGEST:
            raise ValueError(f"a mask's text may have {LONGEST} letters, this one has {len(text)}; register its parts")

    # -- what is true or false ---------------------------------------------------------------------

    def _mask(self, node: ast.expr) -> Mask:
        match node:
            case ast.Name(id=name) if name in self.masks:
                return self.masks[name]
            case ast.Call(func=ast.Name(id="abs")) if "abs" not in self.masks:
                raise self._number_found(node)
            case ast.Call(func=ast.Name() as function, args=values, keywords=keywords) if all(k.arg for k in keywords):
                named = [(str(k.arg), self._literal(k.value)) for k in keywords]
                return _with_values(self._mask(function), [self._literal(value) for value in values], named)
            case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
                return self._mask(left) & self._mask(right)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._mask(left) | self._mask(right)
            case ast.UnaryOp(op=ast.Invert(), operand=operand):
                return ~self._mask(operand)
            case ast.Compare():
                return self._compared(node)
            case ast.Subscript(value=ast.Attribute(value=ast.Name(id="s"), attr=name)) if name in FLAGS:
                return Mask(self._field(node), ast.unparse(node))
            case ast.Name(id=name) if name not in ("q", "kv", "s"):
                spelled = {known.lower(): known for known in self.masks}
                close = [spelled[match] for match in get_close_matches(name.lower(), spelled, n=1)]
                raise UnknownNameError(
                    f"unknown mask {name!r}; " + (f"did you mean {close[0]!r}? " if close else "") + self._known
                )
            case ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                raise self._unreadable(self._quoted(node), "write & | ~ where Python says and, or, not")
        if self._is_number(node):
            raise self._number_found(node)
        raise self._unreadable(self._quoted(node))

    def _compared(self, node: ast.Compare) -> Mask:
        left, (right, *more) = node.left, node.comparators
        compare = COMPARE.get(type(node.ops[0]))
        if any(isinstance(side, ast.BinOp) and isinstance(side.op, ast.BitAnd | ast.BitOr) for side in (left, right)):
            raise self._unreadable(
                self._quoted(node),
                "beside & and | a comparison needs brackets of its own, as in `(kv <= q) | same_query`",
            )
        if more:
            raise self._unreadable(self._quoted(node), "compare two at a time, as in `(0 <= kv) & (kv <= q)`")
        if compare is None:
            raise self._unreadable(self._quoted(node), "compare with < <= > >= == !=")
        if not {"q", "kv"} & {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}:
            raise self._unreadable(self._quoted(node), "it says nothing of q or kv")
        flags = [not self._is_number(side) for side in (left, right)]
        if all(flags) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            a, b = self._mask(left), self._mask(right)
            return Mask(lambda q, kv, s: compare(a(q, kv, s), b(q, kv, s)), ast.unparse(node))
        x, y = self._number(left), self._number(right)
        if max(_bound(left), _bound(right)) >= 2**63:
            raise self._unreadable(self._quoted(node), "its numbers may grow past what a tensor holds")
        return Mask(lambda q, kv, s: compare(x(q, kv, s), y(q, kv, s)), ast.unparse(node))

    # -- numbers -----------------------------------------------------------------------------------

    def _is_number(self, node: ast.expr) -> bool:
        try:
            self._number(node)
        except ValueError:
            return False
        return True

    def _number(self, node: ast.expr) -> Number:
        match node:
            case ast.Name(id="q"):
                return lambda q, kv, s: q
            case ast.Name(id="kv"):
                return lambda q, kv, s: kv
            case ast.Constant(value=int() as value) if not isinstance(value, bool):
                if value > LARGEST:
                    raise self._unreadable(self._quoted(node), f"numbers go up to {LARGEST:,}")
                return lambda q, kv, s: value
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                x = self._number(operand)
                return lambda q, kv, s: -x(q, kv, s)
            case ast.Call(func=ast.Name(id="abs"), args=[inner], keywords=[]):
                x = self._number(inner)
                return lambda q, kv, s: abs(x(q, kv, s))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
                combine, x, y = ARITHMETIC[type(op)], self._number(left), self._number(right)
                divides = isinstance(op, ast.FloorDiv | ast.Mod)
                if divides and not (isinstance(right, ast.Constant) and right.value):
                    raise self._unreadable(self._quoted(node), "divide by a number that is written there, and not 0")
                return lambda q, kv, s: combine(x(q, kv, s), y(q, kv, s))
            case ast.Subscript(value=ast.Attribute(value=ast.Name(id="s"), attr=name)) if name in COUNTS:
                return self._field(node)
            case ast.Subscript(value=ast.Attribute(value=ast.Name(id="s"), attr=name)) if name not in FLAGS:
                raise self._unreadable(self._quoted(node), f"the fields of s are {', '.join((*FLAGS, *COUNTS))}")
            case ast.Attribute(value=ast.Name(id="s"), attr=name):
                raise self._unreadable(self._quoted(node), f"say whose: s.{name}[q] or s.{name}[kv]")
        raise self._unreadable(self._quoted(node), "a number is needed there: q, kv, a whole number or s.id[q]")

    def _field(self, node: ast.Subscript) -> Number:
        """A field of the segments at one of the two positions; nothing else may be looked up."""
        assert isinstance(node.value, ast.Attribute)
        name = node.value.attr
        field = {**FLAGS, **COUNTS}[name]
        match node.slice:
            case ast.Name(id="q"):
                return lambda q, kv, s: field(s)[q]
            case ast.Name(id="kv"):
                return lambda q, kv, s: field(s)[kv]
        raise self._unreadable(self._quoted(node), f"say whose: s.{name}[q] or s.{name}[kv]")

    # -- options and errors ------------------------------------------------------------------------

    def _literal(self, node: ast.expr) -> Option:
        try:
            value: Option = ast.literal_eval(node)  # with_options() checks its type
        except (ValueError, TypeError):
            raise self._unreadable(self._quoted(node)) from None
        return value

    @property
    def _known(self) -> str:
        return f"known masks: {', '.join(sorted(self.masks))}"

    def _quoted(self, node: ast.expr) -> str:
        return f"{ast.unparse(node)!r} in mask {self.text!r}"

    def _number_found(self, node: ast.expr) -> ValueError:
        return self._unreadable(
            self._quoted(node), "that is a number, and a mask says yes or no: compare it, as in `kv <= q`"
        )

    def _unreadable(self, part: str, hint: str = "") -> ValueError:
        hint = hint or f"write names or comparisons such as `(kv <= q)`, joined by & | ~ ( ); {self._known}"
        return ValueError(f"cannot read {part}; {hint}")


def _with_values(mask: Mask, values: list[Option], named: list[tuple[str, Option]]) -> Mask:
    """Options by name or by position: ``sliding_window(32)``."""
    known = mask.options
    if len(values) > len(known):
        surplus = values[len(known) :]
        raise TypeError(f"mask {mask.name!r} has no such option: {surplus}; its options are {known or 'none'}")
    options = dict(zip(known, values, strict=False))
    for name, value in named:
        if name in options:
            raise TypeError(f"option {name!r} of mask {mask.name!r} is given twice: {options[name]!r} and {value!r}")
        options[name] = value
    return mask.with_options(**options)


def _bound(node: ast.AST) -> int:
    """How large a number may become, whatever its sign, in a dialogue of at most 2 ** 15 tokens."""
    match node:
        case ast.Constant(value=int() as value):
            return value
        case ast.Name() | ast.Subscript():
            return 2**15
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _bound(left) * _bound(right)
    return sum(map(_bound, ast.iter_child_nodes(node)))


def _depth(tree: ast.expr) -> int:
    """Levels of a syntax tree, counted without recursion, since a tree may be too deep for that."""
    level: list[ast.AST] = [tree]
    depth = 0
    while level:
        depth += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return depth
