"""Who may look at whom: attention masks as one-line rules over a dialogue's segments.

A rule is a function ``rule(q, kv, s)``: ``q`` and ``kv`` are integer position tensors that
broadcast against each other, ``s`` is the dialogue's :class:`~mini_ism.segments.Segments`, and the
result is bool, **True = q may attend to kv**. It is the same shape of thought as FlexAttention's
``mask_mod``. Rules compose with ``&``, ``|`` and ``~``, and answer one more question no hard-coded
triangle can: what of a KV cache survives when the dialogue grows (:func:`reusable`).
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from mini_ism.segments import PADDING, Segments

Rule = Callable[..., Tensor]


class Mask:
    """A rule that says who may attend to whom, with the forms that attention code wants.

    Args:
        rule: ``rule(q, kv, s) -> bool tensor``, True = may attend; see the module's docstring. Its
            keyword-only parameters, if any, are the mask's options: ``ism(sink=True)``.
        name: how the mask introduces itself. For everything built from registered masks,
            ``get_mask(mask.name)`` gives it back.
    """

    def __init__(self, rule: Rule, name: str = "custom") -> None:
        if not callable(rule):
            raise TypeError(f"a mask's rule must be a function (q, kv, s) -> bool tensor, got {rule!r}")
        self.rule = rule
        self.name = name

    # -- composing ---------------------------------------------------------------------------------

    def __and__(self, other: Mask) -> Mask:
        """Both rules must allow it."""
        if not isinstance(other, Mask):
            return NotImplemented
        return Mask(
            lambda q, kv, s: self.rule(q, kv, s) & other.rule(q, kv, s),
            f"{self._term} & {other._term}",
        )

    def __or__(self, other: Mask) -> Mask:
        """Either rule may allow it."""
        if not isinstance(other, Mask):
            return NotImplemented
        return Mask(
            lambda q, kv, s: self.rule(q, kv, s) | other.rule(q, kv, s),
            f"{self._term} | {other._term}",
        )

    def __invert__(self) -> Mask:
        """What the rule forbids."""
        return Mask(lambda q, kv, s: ~self.rule(q, kv, s), f"~{self._term}")

    @property
    def _term(self) -> str:
        bare = re.sub(r"\([^()]*\)", "", self.name)  # options aside
        return f"({self.name})" if " " in bare else self.name

    @property
    def options(self) -> dict[str, Any]:
        """The rule's options with their present values."""
        parameters = inspect.signature(self.rule).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def __call__(self, *values: Any, **options: Any) -> Mask:
        """The same rule with other options, by name or in their order: ``sliding_window(32)``,
        ``ism(sink=True)``.

        Raises:
            TypeError: the rule has no such option, or the value has another type than the option's
            default.
        """
        known = self.options
        if len(values) > len(known) or not options.keys() <= known.keys():
            raise TypeError(
                f"mask {self.name!r} has no such option: {[*values[len(known) :], *(options.keys() - known.keys())]}; "
                f"its options are {known or 'none'}"
            )
        given = dict(zip(known, values, strict=False)) | options
        for option, value in given.items():
            if type(value) is not type(known[option]):
                raise TypeError(
                    f"option {option!r} of mask {self.name!r} must be {type(known[option]).__name__}, got {value!r}"
                )
        told = ", ".join(f"{option}={value!r}" for option, value in (self._told | given).items())
        mask = Mask(partial(self.rule, **given), f"{self.name.split('(')[0]}({told})" if told else self.name)
        return mask

    @property
    def _told(self) -> dict[str, Any]:
        """The options that were set by a call, not left at their defaults."""
        return dict(self.rule.keywords) if isinstance(self.rule, partial) else {}

    # -- forms -------------------------------------------------------------------------------------

    def dense(self, segments: Segments, rows: slice | None = None) -> Tensor:
        """The mask as a matrix.

        Dialogues packed into one row never see each other, whatever the rule says; a padding
        position sees its fellows and always itself, so that no softmax runs over nothing.

        Args:
            segments: of shape ``[..., T]``.
            rows: which query positions, default all T.

        Returns:
            BoolTensor ``[..., rows, T]``, True = may attend.

        Raises:
            TypeError, ValueError: the rule does not return a bool tensor that broadcasts to
                ``[rows, T]``, or leaves a position with nothing to attend to.
        """
        if segments.id.ndim > 1:
            return torch.stack([self.dense(row, rows) for row in segments.rows()])
        total = len(segments)
        here = torch.arange(total, device=segments.id.device)
        q, kv = here[rows if rows is not None else slice(None)][:, None], here[None, :]
        allowed = _confined(self._checked(self.rule(q, kv, segments), (q.shape[0], total)), q, kv, segments)
        if bool(allowed.gather(1, q).all()):  # the usual rule shows each position itself, and is spared a whole pass
            return allowed
        empty = ~allowed.any(-1)
        if bool(empty.any()):
            raise ValueError(
                f"mask {self.name!r} leaves position {int(q[empty][0])} with nothing to attend to; "
                "let each position see itself at least, for example by `| Mask(lambda q, kv, s: q == kv)`"
            )
        return allowed

    def _checked(self, allowed: Any, shape: tuple[int, int]) -> Tensor:
        if not isinstance(allowed, Tensor) or allowed.dtype != torch.bool:
            got = str(allowed.dtype) if isinstance(allowed, Tensor) else type(allowed).__name__
            raise TypeError(
                f"the rule of mask {self.name!r} returned {got}, not a bool tensor; "
                "compare positions (kv <= q) and combine with & | ~, not with and, or, not"
            )
        try:
            return allowed.broadcast_to(shape)
        except RuntimeError:
            raise ValueError(
                f"the rule of mask {self.name!r} returned shape {tuple(allowed.shape)}, which does not broadcast to "
                f"{shape} (query positions, key positions); build it from q and kv"
            ) from None

    def mask_mod(self, segments: Segments) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
        """The mask as FlexAttention's ``mask_mod(b, h, q, kv)``, for segments ``[T]`` (any batch) or ``[B, T]``."""

        def mod(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
            s: Any = segments if segments.id.ndim == 1 else _Row(segments, b)
            return _confined(self.rule(q, kv, s), q, kv, s)

        return mod

    def block_mask(self, segments: Segments, block_size: int = 128) -> BlockMask:
        """The mask as FlexAttention's ``BlockMask``, one for all heads and for each row of a batch.

        Raises:
            TypeError, ValueError: as :meth:`dense`.
        """
        self.dense(segments)  # FlexAttention's own errors name neither the rule nor the position
        batch = segments.id.shape[0] if segments.id.ndim > 1 else None
        total, device = len(segments), str(segments.id.device)
        return create_block_mask(
            self.mask_mod(segments), batch, None, total, total, device=device, BLOCK_SIZE=block_size
        )

    # -- pictures ----------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"Mask({self.name})"

    def _repr_html_(self) -> str:
        """The mask on a small dialogue: system prompt, query, answer, query, answer."""
        from mini_ism.views import svg  # here, because the core draws nothing

        lengths = (3, 5, 4, 5, 4)
        ids = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
        segments = Segments(id=ids, is_query=(ids == 0) | (ids % 2 == 1), is_system=ids == 0)
        title = f"{self.name}: row = reader, column = what it may read (system, query, answer, query, answer)"
        return svg.bool_grid(self.dense(segments).tolist(), title=title, ids=ids.tolist())


def _confined(allowed: Tensor, q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """What a rule allows, inside each dialogue of a packed row; padding always sees itself."""
    if s.document is None:
        return allowed
    return (allowed & (s.document[q] == s.document[kv])) | ((q == kv) & (s.document[q] == PADDING))


class _Row:
    """One batch row of segments, where the row's number may be one of FlexAttention's symbolic indices."""

    def __init__(self, segments: Segments, b: Tensor) -> None:
        self._segments, self._b = segments, b

    def __getattr__(self, name: str) -> Tensor | None:
        field: Tensor | None = getattr(self._segments, name)
        return None if field is None else field[self._b]


# -- the registry ----------------------------------------------------------------------------------

MASKS: dict[str, Mask] = {}
"""All registered masks by name."""


def register_mask(rule: Rule) -> Mask:
    """Make a rule known by its function's name, so that ``get_mask(name)``, training, chat and the widgets find it."""
    mask = Mask(rule, rule.__name__)
    mask.__doc__ = rule.__doc__
    MASKS[rule.__name__] = mask
    return mask


@register_mask
def causal(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """Everybody reads backwards: token i sees j <= i."""
    return kv <= q


@register_mask
def prefix(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """All up to the end of the last query is read both ways.

    The answer after it, backwards (T5's prefix-LM, 1910.10683).
    """
    return (kv <= q) | (kv < s.last_query_end[q])


@register_mask
def ism(q: Tensor, kv: Tensor, s: Segments, *, sink: bool = False, system_as_query: bool = True) -> Tensor:
    """Queries read both ways inside themselves; answers read backwards (2408.00539).

    Options: ``sink`` keeps token 0 causal, as the attention sink of a pretrained causal model needs
    it; ``system_as_query=False`` reads the system prompt backwards.
    """
    both_ways = s.is_query[q] & (s.id[q] == s.id[kv])
    if sink:
        both_ways = both_ways & (s.position[q] > 0)
    if not system_as_query:
        both_ways = both_ways & ~s.system[q]
    return (kv <= q) | both_ways


@register_mask
def bidirectional(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """Everybody reads everything, as an encoder does."""
    return (kv >= 0) & (q >= 0)


@register_mask
def same_query(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """Inside one query. ``causal | same_query`` is ISM."""
    return s.is_query[q] & (s.id[q] == s.id[kv])


@register_mask
def mas(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """Masked attention by segment (2412.18487): causal, or in the same prompt segment, system
    prompt and markers included.

    On this package's segments, where a query already holds its markers, it is the same matrix as
    ``ism`` with its defaults.
    """
    return (kv <= q) | same_query.rule(q, kv, s)


@register_mask
def same_segment(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """Inside one segment, query or answer."""
    return s.id[q] == s.id[kv]


@register_mask
def inside(q: Tensor, kv: Tensor, s: Segments, *, n: int = 0) -> Tensor:
    """Inside segment number ``n`` of the dialogue, whoever speaks in it.

    ``causal | inside(0)`` reads the first message both ways, ``ism & (causal | ~inside(2))`` the third one backwards.
    """
    return (s.id[q] == n) & (s.id[kv] == n)


@register_mask
def same_document(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """Inside one dialogue of a packed row.

    Every mask is confined to this already; the rule is here to be looked at.
    """
    return (q >= 0) & (kv >= 0) if s.document is None else s.document[q] == s.document[kv]


@register_mask
def sliding_window(q: Tensor, kv: Tensor, s: Segments, *, n: int = 32) -> Tensor:
    """Less than ``n`` positions away, on either side.

    ``causal & sliding_window(32)`` is the usual window.
    """
    return (q - kv).abs() < n


@register_mask
def sink(q: Tensor, kv: Tensor, s: Segments, *, n: int = 4) -> Tensor:
    """The dialogue's first ``n`` tokens.

    ``causal & (sliding_window(32) | sink(4))`` is StreamingLLM's (2309.17453).
    """
    return (s.position[kv] < n) & (q >= 0)


def get_mask(spec: str | Mask, **options: Any) -> Mask:
    """A mask by name or by expression.

    Args:
        spec: a registered name (``"ism"``), an expression over them (``"causal &
            (sliding_window(32) | sink(4))"``), or a :class:`Mask`, which is passed through.
        options: options of a mask given by name, as in ``get_mask("ism", sink=True)``.

    Raises:
        ValueError: the expression cannot be read, or names an unknown mask.
        TypeError: ``spec`` is neither text nor a mask, or an option does not fit.
    """
    if not isinstance(spec, str | Mask):
        raise TypeError(f"a mask is given by its name, an expression or a Mask object, got {spec!r}")
    mask = spec if isinstance(spec, Mask) else _parse(spec)
    return mask(**options) if options else mask


def _parse(text: str) -> Mask:
    known = f"known masks: {', '.join(sorted(MASKS))}"

    def build(node: ast.expr) -> Mask:
        match node:
            case ast.Name(id=name) if name in MASKS:
                return MASKS[name]
            case ast.Name(id=name):
                raise ValueError(f"unknown mask {name!r}; {known}")
            case ast.Call(func=ast.Name() as function, args=args, keywords=keywords) if all(k.arg for k in keywords):
                named = {str(k.arg): literal(k.value) for k in keywords}
                return build(function)(*map(literal, args), **named)
            case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
                return build(left) & build(right)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return build(left) | build(right)
            case ast.UnaryOp(op=ast.Invert(), operand=operand):
                return ~build(operand)
        raise unreadable(node)

    def literal(node: ast.expr) -> Any:
        try:
            return ast.literal_eval(node)
        except ValueError:
            raise unreadable(node) from None

    def unreadable(node: ast.expr) -> ValueError:
        return ValueError(
            f"cannot read {ast.unparse(node)!r} in mask {text!r}; write names joined by & | ~ ( ); {known}"
        )

    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError:
        raise ValueError(f"cannot read mask {text!r}; write names joined by & | ~ ( ); {known}") from None
    return build(tree.body)


# -- what a mask lets a cache keep -----------------------------------------------------------------


def reusable(mask: str | Mask, old: Segments, new: Segments) -> int:
    """How many of the keys and values computed for dialogue ``old`` are still right in dialogue
    ``new``.

    Position i's keys and values are still right iff what i may see is unchanged, and each of those
    it sees is kept and still right, too. So the answer is the longest prefix whose rows are the
    same in both dialogues and see nothing outside the prefix. Derived from the rule alone: all of
    ``old`` for causal and ISM when a turn is added, 0 for prefix.

    Args:
        mask: the rule both dialogues are read under, or its name.
        old: segments ``[T_old]`` of the dialogue whose keys and values were computed.
        new: segments ``[T_new]`` of the dialogue they shall serve, longer or shorter. The tokens in their common
            stretch are taken to be the same.

    Returns:
        A number of positions, 0 to ``min(T_old, T_new)``.

    Raises:
        ValueError: the segments are those of a batch.
        TypeError, ValueError: see :func:`get_mask` and :meth:`Mask.dense`.
    """
    if old.id.ndim != 1 or new.id.ndim != 1:
        raise ValueError(
            f"reusable() compares two states of one dialogue [T], got segments of shapes {tuple(old.id.shape)} and "
            f"{tuple(new.id.shape)}; take one row of a batch with segments.row(0)"
        )
    rule = get_mask(mask)
    return unchanged_prefix(rule.dense(old), rule.dense(new))


def unchanged_prefix(before: Tensor, after: Tensor) -> int:
    """:func:`reusable` on dense masks ``[T_old, T_old]`` and ``[T_new, T_new]``."""
    common = min(len(before), len(after))
    differs = before[:common, :common] ^ after[:common, :common]
    beyond = before[:common, common:], after[:common, common:]
    if not any(int(part.count_nonzero()) for part in (differs, *beyond)):
        return common  # nearly always, as a token more is asked about for each that is written
    same = ~(differs.any(-1) | beyond[0].any(-1) | beyond[1].any(-1))
    unchanged = int(same.long().cumprod(0).sum())
    return int(borders(after[:common, :common])[: unchanged + 1].nonzero()[-1])


def borders(dense: Tensor) -> Tensor:
    """Where a dialogue may be cut into chunks that are fed one after the other.

    A cut before position n is right iff nobody before n sees n or beyond. Under a causal rule every
    cut is right; under ISM none inside a query is.

    Args:
        dense: BoolTensor ``[T, T]``, a mask's matrix.

    Returns:
        BoolTensor ``[T + 1]``, True at n if the first n positions can be computed without the rest.
        True at 0 and T.
    """
    here = torch.arange(len(dense) + 1, device=dense.device, dtype=torch.int32)
    if len(dense) == 0:
        return here == 0
    reach = (dense * here[1:]).amax(-1)  # one past the last position that each row sees
    return torch.cat([here[:1], reach.cummax(0).values]) <= here
