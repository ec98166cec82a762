"""What each token is: fields, slices, and what rules ask for beyond the fields."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mini_ism import Segments, encode_dialogue, get_mask, plan, reusable
from tests.strategies import TOKENIZER, Layout, Row, layouts, packed, places, segments_of, segments_of_rows


@given(layouts())
def test_derived_fields_of_one_dialogue(layout: Layout) -> None:
    s, dialogue = segments_of(layout), places(layout)
    assert len(s) == len(dialogue)
    assert s.position.tolist() == [p.at for p in dialogue]
    asked = [p.at + 1 for p in dialogue if p.role != "assistant"]
    assert s.last_query_end.tolist() == [max(asked)] * len(dialogue)
    ends = [max(p.at for p in dialogue if p.segment == own.segment) + 1 for own in dialogue]
    assert s.end.tolist() == ends
    assert s.system.tolist() == [p.role == "system" for p in dialogue]


@pytest.mark.slow
@given(packed())
def test_derived_fields_of_packed_rows(drawn: tuple[list[Row], int]) -> None:
    rows, length = drawn
    s = segments_of_rows(rows, length)
    for b, row in enumerate(rows):
        start = 0
        for layout in row:
            alone = segments_of(layout)
            span = slice(start, start + len(alone))
            assert torch.equal(s.position[b, span], alone.position)
            assert torch.equal(s.end[b, span], alone.end + start)
            assert torch.equal(s.last_query_end[b, span], alone.last_query_end + start)
            start += len(alone)
        assert s.last_query_end[b, start:].tolist() == [0] * (length - start)
        one = s.row(b)
        for name in ("id", "is_query", "position", "end", "last_query_end", "system", "document"):
            assert torch.equal(getattr(one, name), getattr(s, name)[b]), name
    assert len(list(s.rows())) == len(rows)


@given(layouts(), st.data())
def test_a_slice_is_the_dialogue_as_if_nothing_else_had_been_said(layout: Layout, data: st.DataObject) -> None:
    s = segments_of(layout)
    n = data.draw(st.integers(0, len(s)))
    cut = s[:n]
    assert len(cut) == n
    queries = [at + 1 for at in range(n) if s.is_query[at]]
    assert cut.last_query_end.tolist() == [max(queries, default=0)] * n
    assert cut.is_system is not None
    assert s.is_system is not None
    assert torch.equal(cut.is_system, s.is_system[:n])


def test_a_dialogue_without_a_query_has_no_prefix() -> None:
    s = Segments(id=torch.zeros(3, dtype=torch.long), is_query=torch.zeros(3, dtype=torch.bool))
    assert s.last_query_end.tolist() == [0, 0, 0]
    assert s.system.tolist() == [False] * 3
    assert s.to("cpu").is_system is None


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"id": [0, 1], "is_query": torch.tensor([True, False])}, TypeError, "id must be a tensor"),
        ({"is_query": [True, False]}, TypeError, "is_query must be a tensor, got list"),
        ({"is_query": torch.tensor([1, 0])}, TypeError, "is_query must have bool, got torch.int64"),
        ({"id": torch.tensor([0.0, 1.0])}, TypeError, "id must have an integer dtype, got torch.fl"),
        ({"id": torch.tensor([True, False])}, TypeError, "id must have an integer dtype, got torch.b"),
        ({"is_query": torch.tensor([True])}, ValueError, r"is_query has shape \(1,\), but id has \(2,\)"),
        ({"is_system": torch.tensor([True])}, ValueError, r"is_system has shape \(1,\)"),
        ({"document": torch.tensor([0.0, 1.0])}, TypeError, "document must have an integer dtype"),
        ({"id": torch.tensor(0)}, ValueError, r"Segments\.id has shape \(\); all fields are \[..., T\]"),
        ({"id": torch.tensor([0j, 1j])}, TypeError, "id must have an integer dtype, got torch.complex64"),
    ],
)  # fmt: skip
def test_bad_fields(fields: dict[str, Any], error: type[Exception], message: str) -> None:
    good = {"id": torch.tensor([0, 1]), "is_query": torch.tensor([True, False])}
    with pytest.raises(error, match=message):
        Segments(**(good | fields))


def test_a_position_is_not_a_stretch() -> None:
    with pytest.raises(TypeError, match="a slice of positions, got 3"):
        segments_of([("user", 5)])[3]  # type: ignore[index]


@pytest.mark.parametrize(
    "use", [lambda s: get_mask("ism").dense(s), lambda s: reusable("ism", s, s), lambda s: plan("ism", s)]
)
def test_what_takes_segments_says_so(use: Callable[[Any], object]) -> None:
    encoded = encode_dialogue([{"role": "user", "content": "Hi."}], TOKENIZER)
    with pytest.raises(
        TypeError, match=r"expected the Segments of a dialogue, got EncodedDialogue; give its \.segments"
    ):
        use(encoded)
    with pytest.raises(TypeError, match=r"expected the Segments of a dialogue, got NoneType$"):
        use(None)
    use(encoded.segments)


def test_a_row_is_one_of_a_batch() -> None:
    with pytest.raises(ValueError, match=r"segments of shape \(5,\) are those of one dialogue, not of a batch"):
        segments_of([("user", 5)]).row(0)
    with pytest.raises(ValueError, match="a batch of 1 has no row 1"):
        segments_of_rows([[[("user", 5)]]], 5).row(1)


@pytest.mark.parametrize("shape", [(0,), (0, 4), (2, 0)])
def test_no_token_has_fields_of_no_value(shape: tuple[int, ...]) -> None:
    ids = torch.zeros(shape, dtype=torch.long)
    s = Segments(ids, ids == 0, document=ids)
    assert s.position.shape == s.end.shape == s.last_query_end.shape == s.system.shape == shape
