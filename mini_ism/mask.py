"""The :class:`Mask`: a rule that says who may attend to whom, in every form that attention code needs.

A rule is a function ``rule(q, kv, s)``. ``q`` and ``kv`` are integer position tensors that broadcast against each
other, ``s`` is the dialogue's :class:`~mini_ism.segments.Segments`, and the result is bool: **True = q may attend to
kv**. FlexAttention's ``mask_mod`` follows the same idea, with batch and head in place of the segments.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from mini_ism.checks import check_kind, real_number, whole_number
from mini_ism.rule_checks import check_rule, described, rule_options
from mini_ism.segments import PADDING, Segments, check_segments

Rule = Callable[..., Tensor]
Option = bool | int | float | str
"""The value of a mask's option."""

USE_BITS = (
    "compare positions and combine with & | ~, not with and, or, not, "
    "each comparison in brackets: (kv <= q) & (q - kv < 8)"
)


class Mask:
    """A rule with a name and options, which composes with ``&``, ``|`` and ``~``.

    Args:
        rule: ``rule(q, kv, s) -> bool tensor``, True = may attend; see the module's docstring. Parameters after these
            three are the mask's options, and need a default: ``ism.with_options(sink=True)``.
        name: what the mask is called. For everything built from registered masks, ``get_mask(mask.name)`` gives the
            same mask again, if the name is no longer or deeper than a mask's text may be (:mod:`mini_ism.expressions`).

    Raises:
        TypeError: the rule is not a function of three positional arguments, an option has no default or the default
            None, or the name is not a string.
    """

    def __init__(self, rule: Rule, name: str = "custom") -> None:
        check_rule(rule)
        check_kind("a mask's name", name, str, "leave it out for a rule that needs none")
        self.rule = rule
        self.name = name

    def __call__(self, q: Tensor, kv: Tensor, s: Segments) -> Tensor:
        """Evaluate the rule: BoolTensor of the shape that ``q`` and ``kv`` broadcast to, True = may attend."""
        return self.rule(q, kv, s)

    # -- composing ---------------------------------------------------------------------------------

    def __and__(self, other: object) -> Mask:
        """Both rules must allow it; ``other`` may also be a plain function."""
        if not callable(other):
            return NotImplemented
        b = _as_mask(other)
        return Mask(lambda q, kv, s: self(q, kv, s) & b(q, kv, s), f"{self._term} & {b._term}")

    def __rand__(self, other: object) -> Mask:
        return NotImplemented if not callable(other) else _as_mask(other) & self

    def __or__(self, other: object) -> Mask:
        """Either rule may allow it; ``other`` may also be a plain function."""
        if not callable(other):
            return NotImplemented
        b = _as_mask(other)
        return Mask(lambda q, kv, s: self(q, kv, s) | b(q, kv, s), f"{self._term} | {b._term}")

    def __ror__(self, other: object) -> Mask:
        return NotImplemented if not callable(other) else _as_mask(other) | self

    def __invert__(self) -> Mask:
        """What the rule forbids."""
        return Mask(lambda q, kv, s: ~self(q, kv, s), f"~{self._term}")

    @property
    def _term(self) -> str:
        """The name as it may stand in an expression, in brackets if it is one itself."""
        without_options = re.sub(r"\([^()]*\)", "", self.name)
        return f"({self.name})" if " " in without_options else self.name

    # -- options -----------------------------------------------------------------------------------

    @property
    def options(self) -> dict[str, Option]:
        """The rule's options with their current values."""
        return rule_options(self.rule)

    @property
    def _overrides(self) -> dict[str, Option]:
        """The options that were set rather than left at their defaults."""
        return dict(self.rule.keywords) if isinstance(self.rule, partial) else {}

    def with_options(self, **options: Option) -> Mask:
        """The same rule with other options: ``sliding_window.with_options(n=32)``.

        Raises:
            TypeError: the rule has no such option, or the value has another type than the option's default.
            ValueError: a whole number is too large for a tensor, or a float is not finite.
        """
        known = self.options
        if unknown := sorted(options.keys() - known.keys()):
            raise TypeError(f"mask {self.name!r} has no such option: {unknown}; its options are {known or 'none'}")
        for option, value in options.items():
            kind, what = type(known[option]), f"option {option!r} of mask {self.name!r}"
            if kind is int:  # beyond int64 a comparison is wrong, or fails inside PyTorch
                options[option] = whole_number(what, value, -(2**62), 2**62)
            elif kind is float:
                options[option] = real_number(what, value)
            elif not isinstance(value, kind):
                raise TypeError(f"{what} must be {kind.__name__}, got {value!r}")
        if not options:
            return self
        overrides = ", ".join(f"{option}={value!r}" for option, value in (self._overrides | options).items())
        return Mask(partial(self.rule, **options), f"{self.name.split('(')[0]}({overrides})")

    # -- forms -------------------------------------------------------------------------------------

    def dense(self, segments: Segments, rows: slice | None = None) -> Tensor:
        """The mask as a matrix.

        Dialogues packed into one row never see each other, whatever the rule says; a padding position sees only
        padding, and always itself, so that its row is never empty.

        Args:
            segments: of shape ``[..., T]``.
            rows: which query positions, as a slice; default all T.

        Returns:
            BoolTensor ``[..., rows, T]``, True = may attend.

        Raises:
            TypeError, ValueError: the rule fails, does not return a bool tensor that broadcasts to ``[rows, T]``, or
                leaves a position with nothing to attend to.
        """
        check_segments(segments)
        rows = slice(None) if rows is None else rows
        check_kind("rows", rows, slice, "row 3 alone is slice(3, 4)")
        if segments.id.numel() == 0:
            return segments.id.new_zeros((*segments.id.shape, len(segments)), dtype=torch.bool)[..., rows, :]
        if segments.id.ndim > 1:
            return torch.stack([self.dense(row, rows) for row in segments.rows()])
        positions = torch.arange(len(segments), device=segments.id.device)  # (T)
        q, kv = positions[rows][:, None], positions[None, :]  # (R, 1), (1, T)
        allowed = self.allowed(q, kv, segments)  # (R, T)
        if bool(allowed.gather(1, q).all()):  # most rules let each position see itself, which saves a second pass
            return allowed
        empty = ~allowed.any(-1)  # (R)
        if bool(empty.any()):
            raise ValueError(
                f"mask {self.name!r} leaves position {int(q[empty][0])} with nothing to attend to; let each position "
                f"see itself at least, as in `{self._term} | (q == kv)` or mask | (lambda q, kv, s: q == kv) in Python"
            )
        return allowed

    def allowed(self, q: Tensor, kv: Tensor, segments: Segments) -> Tensor:
        """What the mask says of some pairs: ``q [R, 1]`` and ``kv [1, N]`` -> BoolTensor ``[R, N]``.

        Unlike calling the mask, this checks what the rule returns and confines it to one document, like :meth:`dense`.

        Raises:
            TypeError, ValueError: the rule fails, or does not return a bool tensor that broadcasts to ``[R, N]``.
        """
        mine = f"the rule of mask {self.name!r}"
        try:
            allowed: object = self.rule(q, kv, segments)
        except Exception as error:  # whatever it is, it is the rule's own
            if "Boolean value of Tensor" in str(error):
                raise TypeError(f"{mine} asks whether a whole tensor is true; {USE_BITS}") from error
            raise ValueError(f"{mine} raised {described(error)}") from error
        if not isinstance(allowed, Tensor) or allowed.dtype != torch.bool:
            got = str(allowed.dtype) if isinstance(allowed, Tensor) else type(allowed).__name__
            raise TypeError(f"{mine} returned {got}, not a bool tensor; {USE_BITS}")
        shape = (q.shape[0], kv.shape[1])
        try:
            return _within_document(allowed.broadcast_to(shape), q, kv, segments)
        except RuntimeError:
            raise ValueError(
                f"{mine} returned shape {tuple(allowed.shape)}, which does not broadcast to {shape} (query positions, "
                "key positions); build it from q and kv"
            ) from None

    def mask_mod(self, segments: Segments) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
        """FlexAttention's ``mask_mod(b, h, q, kv)``, for segments ``[T]`` or ``[B, T]``; ``ValueError`` for others."""
        check_segments(segments)
        if len(shape := tuple(segments.id.shape)) > 2 or 0 in shape:
            raise ValueError(f"FlexAttention takes segments [T] or [B, T] that hold a token, got shape {shape}")

        def mod(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
            s = segments if segments.id.ndim == 1 else cast(Segments, _BatchRow(segments, b))
            return _within_document(self.rule(q, kv, s), q, kv, s)

        return mod

    def block_mask(self, segments: Segments, block_size: int = 128) -> BlockMask:
        """The mask as FlexAttention's ``BlockMask``, with one mask per row of a batch, shared by all heads.

        Raises:
            TypeError, ValueError: see :meth:`dense` and :meth:`mask_mod`.
        """
        block_size = whole_number("block_size", block_size, 1)
        self.dense(segments)  # FlexAttention's own errors name neither the rule nor the position
        batch = segments.id.shape[0] if segments.id.ndim > 1 else None
        T, device = len(segments), str(segments.id.device)
        return create_block_mask(self.mask_mod(segments), batch, None, T, T, device=device, BLOCK_SIZE=block_size)

    # -- display -----------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"Mask({self.name})"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict[str, Any], ...]:
        """A picture of the mask on a small dialogue; in words what is wrong with the rule, if it fails there."""
        from mini_ism.views.mask_map import example_grid  # the core draws nothing; only a notebook asks for this

        try:
            return example_grid(self)._repr_mimebundle_()
        except (TypeError, ValueError) as error:
            return {"text/plain": f"{self}: {error}"}, {}


def _as_mask(rule: Rule) -> Mask:
    return rule if isinstance(rule, Mask) else Mask(rule, getattr(rule, "__name__", "custom"))


def _within_document(allowed: Tensor, q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """What a rule allows inside each dialogue of a packed row; padding always sees itself."""
    if s.document is None:
        return allowed
    return (allowed & (s.document[q] == s.document[kv])) | ((q == kv) & (s.document[q] == PADDING))


class _BatchRow:
    """One row of a batch of segments, where the row's number may be one of FlexAttention's symbolic indices."""

    def __init__(self, segments: Segments, b: Tensor) -> None:
        self._segments, self._b = segments, b

    def __getattr__(self, name: str) -> Tensor | None:
        field: Tensor | None = getattr(self._segments, name)  # computed for the whole batch, then indexed
        return None if field is None else field[self._b]
