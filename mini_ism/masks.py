"""The masks of the course as one-line rules, and the registry that knows them by name.

See :mod:`mini_ism.mask` for what a rule is. Registered masks compose in text as they do in code, and a rule may also
be written out as text (:mod:`mini_ism.expressions`): ``get_mask("causal & (sliding_window(32) | sink(4))")``,
``get_mask("(kv <= q) & (s.id[q] == s.id[kv])")``.
"""

from __future__ import annotations

import inspect

from torch import Tensor

from mini_ism.expressions import read_mask
from mini_ism.mask import Mask, Option, Rule
from mini_ism.segments import Segments

MASKS: dict[str, Mask] = {}
"""All registered masks by name."""

COURSE_MASKS = ("causal", "prefix", "ism")
"""The three masks that the course compares."""


def register_mask(rule: Rule) -> Mask:
    """Register a rule under its function's name, so that ``get_mask(name)``, training, chat and the widgets find it.

    A module or notebook may register the same name again, so that running a cell twice replaces its rule.

    Raises:
        ValueError: the name is taken by another module's rule, or the function has no name (a lambda).
        TypeError: the rule or an option of it does not fit; see :class:`~mini_ism.mask.Mask`.
    """
    name = getattr(rule, "__name__", "")
    if not name.isidentifier():
        raise ValueError(
            f"a registered mask is found by its function's name, and {rule!r} has none; "
            "write it as `def my_mask(q, kv, s): ...`"
        )
    if name in MASKS and MASKS[name].rule.__module__ != rule.__module__:
        raise ValueError(f"the name {name!r} is taken by {_place(MASKS[name].rule)}; give the function another name")
    mask = Mask(rule, name)
    mask.__doc__ = rule.__doc__
    MASKS[name] = mask
    return mask


def _place(rule: Rule) -> str:
    """Where a rule is defined: its module, and its line if that is known."""
    try:
        return f"{rule.__module__}, line {inspect.getsourcelines(rule)[1]}"
    except (OSError, TypeError):
        return rule.__module__


# -- the rules -------------------------------------------------------------------------------------


@register_mask
def causal(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """Every token reads backwards: token i sees j <= i."""
    return kv <= q


@register_mask
def prefix(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """The whole dialogue up to the end of its last query reads both ways, the answer after it backwards.

    This is T5's prefix-LM (1910.10683), with the conversation so far as the prefix.
    """
    return (kv <= q) | (kv < s.last_query_end[q])


@register_mask
def ism(q: Tensor, kv: Tensor, s: Segments, *, sink: bool = False, system_as_query: bool = True) -> Tensor:
    """Queries read both ways inside themselves; answers read backwards (2408.00539).

    Options: ``sink`` keeps token 0 causal, as the attention sink of a pretrained causal model requires;
    ``system_as_query=False`` reads the system prompt backwards.
    """
    both_ways = s.is_query[q] & (s.id[q] == s.id[kv])
    if sink:
        both_ways = both_ways & (s.position[q] > 0)
    if not system_as_query:
        both_ways = both_ways & ~s.system[q]
    return (kv <= q) | both_ways


@register_mask
def bidirectional(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """Every token sees every other, as in an encoder; cannot be trained, since answers see what they should write."""
    return (kv >= 0) & (q >= 0)


@register_mask
def same_query(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """Within one query. ``causal | same_query`` is ISM; alone it shows answers nothing, and cannot be trained."""
    return s.is_query[q] & (s.id[q] == s.id[kv])


@register_mask
def mas(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """Masked attention by segment (2412.18487): causal, or within a prompt segment, system prompt and markers included.

    On this package's segments, where a query already holds its markers, it is the same matrix as ``ism`` with its
    defaults.
    """
    return (kv <= q) | same_query(q, kv, s)


@register_mask
def same_segment(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """Within one segment, query or answer; cannot be trained, since answers see what they should write."""
    return s.id[q] == s.id[kv]


@register_mask
def inside(q: Tensor, kv: Tensor, s: Segments, *, n: int = 0) -> Tensor:
    """Within segment number ``n`` of the dialogue, whatever its role; cannot be trained alone.

    ``causal | inside(0)`` reads the first message both ways; ``ism & (causal | ~inside(2))`` reads the third backwards.
    """
    return (s.id[q] == n) & (s.id[kv] == n)


@register_mask
def same_document(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
    """Within one dialogue of a packed row.

    Every mask is confined to this already; the rule is here for illustration, and cannot be trained.
    """
    return (q >= 0) & (kv >= 0) if s.document is None else s.document[q] == s.document[kv]


@register_mask
def sliding_window(q: Tensor, kv: Tensor, s: Segments, *, n: int = 32) -> Tensor:
    """Less than ``n`` positions away, on either side.

    ``causal & sliding_window(32)`` is the usual window; alone it looks ahead, and cannot be trained.
    """
    return (q - kv).abs() < n


@register_mask
def sink(q: Tensor, kv: Tensor, s: Segments, *, n: int = 4) -> Tensor:
    """The dialogue's first ``n`` tokens.

    ``causal & (sliding_window(32) | sink(4))`` is StreamingLLM's (2309.17453).
    """
    return (s.position[kv] < n) & (q >= 0)


# -- by name or by expression ----------------------------------------------------------------------


def get_mask(spec: str | Mask, **options: Option) -> Mask:
    """A mask by name or by expression.

    Args:
        spec: a registered name (``"ism"``), an expression over names and over ``q``, ``kv`` and ``s``
            (``"causal & (sliding_window(32) | (kv < 4))"``), or a :class:`Mask`, which is passed through.
        options: options of a mask given by name, as in ``get_mask("ism", sink=True)``.

    Raises:
        ValueError: the expression cannot be read, or names an unknown mask.
        TypeError: ``spec`` is neither text nor a mask, or an option does not fit or is given twice.
    """
    if not isinstance(spec, str | Mask):
        raise TypeError(f"a mask is given by its name, an expression or a Mask object, got {spec!r}")
    mask = spec if isinstance(spec, Mask) else read_mask(spec, MASKS)
    if isinstance(spec, str) and (twice := sorted(mask._overrides.keys() & options.keys())):
        raise TypeError(f"{twice[0]!r} is given twice, in {spec!r} and beside it; leave one out")
    return mask.with_options(**options)
