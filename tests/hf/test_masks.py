"""The forms of a mask, and what is refused because it would drop one."""

import inspect
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from hypothesis import given, settings
from torch.nn.attention.flex_attention import BlockMask, create_mask
from transformers.masking_utils import create_causal_mask

from mini_ism import get_mask
from mini_ism.hf import UnfitAttentionError, attention_mask, block_sequence_ids
from mini_ism.hf.masks import by_layer
from tests.hf.tiny import config, tiny
from tests.strategies import EXAMPLE, layouts, packed, segments_of, segments_of_rows

SEGMENTS = segments_of(EXAMPLE)
ISM = get_mask("ism", sink=True).dense(SEGMENTS)


def test_each_implementation_gets_its_form() -> None:
    plain, added, block = (
        cast(Any, attention_mask(tiny("llama", name), ISM, 0)) for name in ("sdpa", "eager", "flex_attention")
    )
    assert torch.equal(plain[0, 0], ISM)
    assert added.dtype == torch.float32
    assert torch.equal(added[0, 0] == 0, ISM)
    assert torch.isfinite(added).all()  # -inf on a whole row would be NaN
    assert isinstance(block, BlockMask)
    size = len(SEGMENTS)
    assert torch.equal(create_mask(block.mask_mod, 1, 1, size, size, device="cpu")[0, 0], ISM)


def test_additive_masks_have_the_model_s_dtype() -> None:
    half: Any = attention_mask(tiny("llama", "eager").to(torch.bfloat16), ISM, 0)
    assert half.dtype == torch.bfloat16
    assert torch.isfinite(half).all()


@pytest.mark.parametrize("name", ["flash_attention_2", "flash_attention_3", "paged|sdpa", "my_kernel"])
def test_an_attention_that_would_drop_the_mask_is_refused_by_name(name: str) -> None:
    model = tiny("llama")
    model.config._attn_implementation = name
    with pytest.raises(UnfitAttentionError, match=name.replace("|", r"\|")):
        attention_mask(model, ISM, 0)


def test_layers_that_are_no_attention_are_refused_by_name() -> None:
    mixed = SimpleNamespace(layer_types=["full_attention", "linear_attention"], sliding_window=None)
    with pytest.raises(UnfitAttentionError, match="linear_attention"):
        by_layer(mixed, ISM, 0)


def test_sliding_layers_read_back_as_far_as_their_window() -> None:
    rows = get_mask("ism & (q - kv < 6)").dense(SEGMENTS)
    forms: Any = attention_mask(tiny("gemma3"), ISM, 0)
    assert set(forms) == {"full_attention", "sliding_attention"}
    assert torch.equal(forms["full_attention"][0, 0], ISM)
    assert torch.equal(forms["sliding_attention"][0, 0], rows & ISM)
    one: Any = attention_mask(tiny("mistral"), ISM[4:], 4)  # all layers slide: one mask, here of the last rows
    assert torch.equal(one[0, 0], (rows & ISM)[4:])


@pytest.mark.skipif(
    "block_sequence_ids" not in inspect.signature(create_causal_mask).parameters,
    reason="this version of transformers takes no block_sequence_ids",
)
@settings(max_examples=25)
@given(layout=layouts())
def test_block_sequence_ids_are_ism(layout: Any) -> None:
    segments = segments_of(layout)
    rows = create_causal_mask(
        tiny_config(),
        torch.zeros(1, len(segments), 32),
        None,
        None,
        block_sequence_ids=block_sequence_ids(segments),
    )
    assert torch.equal(rows[0, 0], get_mask("ism", sink=True).dense(segments))


@given(given=packed())
def test_block_sequence_ids_of_packed_rows_tell_dialogues_apart(given: Any) -> None:
    segments = segments_of_rows(*given)
    ids = block_sequence_ids(segments, sink=False)
    assert segments.document is not None
    for row, documents, segment in zip(ids, segments.document, segments.id, strict=True):
        marked = row >= 0
        pairs = {
            (int(d), int(s), int(i)) for d, s, i in zip(documents[marked], segment[marked], row[marked], strict=True)
        }
        assert len(pairs) == len({i for *_, i in pairs})


def tiny_config() -> Any:
    made = config("llama")
    made._attn_implementation = "sdpa"
    return made
