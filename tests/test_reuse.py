"""What a mask lets a cache keep: against the definition in loops, and against keys and values computed anew."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_ism import Mask, Segments, get_mask, reusable
from mini_ism.reuse import borders
from tests.strategies import (
    SHAPES,
    WHOLE,
    Layout,
    Tree,
    any_mask,
    build,
    layouts,
    random_model,
    random_tokens,
    segments_of,
    slow_borders,
    slow_dense,
    slow_reusable,
)

SIZE = 40
# In double precision, so that "agree" is not a matter of rounding.
MODELS = [random_model(seed, **shape).double() for seed, shape in enumerate(SHAPES)]


def kept_by_computing(mask: Mask, layout: Layout, old: int, new: int, which: int) -> int:
    """The longest prefix of both lengths' keys and values that agrees in all layers."""
    model = MODELS[which]
    both = []
    for length in (old, new):
        cache = model.new_cache()
        if length:
            with torch.inference_mode():
                rows = mask.dense(segments_of(layout)[:length])
                model(random_tokens(length), rows, cache)
        both.append(torch.stack([cache.keys, cache.values])[..., : min(old, new), :])
    gap = (both[0] - both[1]).abs().amax(dim=(0, 1, 2, 3, 5))  # a number a position
    return int((gap < 1e-6).long().cumprod(0).sum())


def two_lengths(data: st.DataObject, layout: Layout) -> tuple[int, int]:
    total = sum(size for _, size in layout)
    return data.draw(st.integers(0, total)), data.draw(st.integers(0, total))


@settings(max_examples=60)
@given(layouts(), any_mask(SIZE), st.integers(0, len(MODELS) - 1), st.data())
def test_never_more_than_what_computing_anew_confirms(
    layout: Layout, mask: Mask, which: int, data: st.DataObject
) -> None:
    old, new = two_lengths(data, layout)
    whole = segments_of(layout)
    answer = reusable(mask, whole[:old], whole[:new])
    assert answer <= kept_by_computing(mask, layout, old, new, which)


@settings(max_examples=60)
@given(layouts(), st.sampled_from(WHOLE), st.integers(0, 2), st.data())
def test_exactly_what_computing_anew_confirms_for_the_presets(
    layout: Layout, tree: Tree, which: int, data: st.DataObject
) -> None:
    """With two layers or more; the first layer's keys and values know their own token (and its neighbours) only."""
    old, new = two_lengths(data, layout)
    mask, whole = build(tree), segments_of(layout)
    answer = reusable(mask, whole[:old], whole[:new])
    assert answer == kept_by_computing(mask, layout, old, new, which)


@given(layouts(), any_mask(SIZE), st.data())
def test_the_definition_in_loops(layout: Layout, mask: Mask, data: st.DataObject) -> None:
    old, new = two_lengths(data, layout)
    whole = segments_of(layout)
    before, after = mask.dense(whole[:old]).tolist(), mask.dense(whole[:new]).tolist()
    assert reusable(mask, whole[:old], whole[:new]) == slow_reusable(before, after)


@given(layouts(), st.sampled_from(WHOLE), st.data())
def test_presets_against_the_slow_masks(layout: Layout, tree: Tree, data: st.DataObject) -> None:
    """The same, with no line of the package's masks on the expected side."""
    turns = data.draw(st.integers(0, len(layout)))
    before, after = slow_dense(tree, layout[:turns]), slow_dense(tree, layout)
    old, new = segments_of(layout[:turns]), segments_of(layout)
    assert reusable(build(tree), old, new) == slow_reusable(before, after)


@given(layouts(max_messages=4), st.integers(1, 4), st.integers(0, 4))
def test_the_lesson_when_a_turn_is_added(layout: Layout, query: int, answer: int) -> None:
    """All for causal and ISM, nothing for prefix."""
    layout = layout[: len(layout) - (layout[-1][0] == "user")]
    added = [("user", query)] + [("assistant", answer)] * (answer > 0)
    old, new = segments_of(layout), segments_of(layout + added)
    assert reusable(get_mask("causal"), old, new) == len(old)
    assert reusable(get_mask("ism"), old, new) == len(old)
    assert reusable(get_mask("prefix"), old, new) == 0
    assert reusable(get_mask("bidirectional"), old, new) == 0


@pytest.mark.parametrize("name", ["causal", "prefix", "ism"])
def test_while_an_answer_is_written_nothing_is_lost(name: str) -> None:
    old = segments_of([("system", 2), ("user", 4), ("assistant", 2)])
    new = segments_of([("system", 2), ("user", 4), ("assistant", 3)])
    assert reusable(get_mask(name), old, new) == 8


def test_in_between() -> None:
    """A window that looks one ahead inside blocks keeps whole blocks; a chain of looks ahead keeps nothing."""
    blocks = Mask(lambda q, kv, s: kv // 3 <= q // 3)
    whole = segments_of([("user", 12)])
    assert reusable(blocks, whole[:8], whole) == 6
    assert reusable(get_mask("sliding_window(2)"), whole[:8], whole) == 0


@given(layouts(), any_mask(SIZE))
def test_borders(layout: Layout, mask: Mask) -> None:
    dense = mask.dense(segments_of(layout))
    assert borders(dense).tolist() == slow_borders(dense.tolist())
    assert borders(dense[:0, :0]).tolist() == [True]


def test_a_name_will_do_but_a_batch_will_not() -> None:
    whole = segments_of([("user", 4), ("assistant", 2)])
    assert reusable("ism", whole[:4], whole) == reusable(get_mask("ism"), whole[:4], whole) == 4
    with pytest.raises(ValueError, match="unknown mask 'imsm'"):
        reusable("imsm", whole[:4], whole)
    batch = Segments(whole.id[None], whole.is_query[None])
    with pytest.raises(
        ValueError, match=r"one dialogue \[T\], got segments of shapes \(1, 6\) and \(6,\); take one row"
    ):
        reusable(get_mask("ism"), batch, whole)
