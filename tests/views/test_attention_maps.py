"""Attention for the page: the pictures keep to the mask."""

import base64
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from PIL import Image

from mini_ism import GPT
from mini_ism.attention_stats import read_attention
from mini_ism.dialogue import EncodedDialogue
from mini_ism.views import tokenized
from mini_ism.views.attention_maps import attention_heads, attention_map, attention_row
from tests.views.drawn import TOKENIZER, one_query

RULES = ["causal", "prefix", "ism", "causal & sliding_window(3)"]


def parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)


def pixels_of(picture: str) -> np.ndarray:
    """The first image inside a picture, ``[R, C, 4]``."""
    found = re.search(r'href="data:image/png;base64,([^"]+)"', picture)
    assert found
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))))


@pytest.mark.parametrize("rule", RULES)
def test_the_map_colours_exactly_what_the_mask_shows(rule: str, model: GPT, encoded: EncodedDialogue) -> None:
    reading = read_attention(model, encoded, rule)
    drawn = attention_map(reading.weights[1, 0], reading.allowed, tokenized(encoded, TOKENIZER), title="any", row=3)
    assert np.array_equal(pixels_of(drawn)[..., 3] > 0, reading.allowed.numpy())
    assert parsed(drawn).get("role") == "img"
    assert "pixelated" in drawn
    assert drawn.alt.startswith("any: ")


def test_a_difference_shows_both_masks(model: GPT, encoded: EncodedDialogue) -> None:
    own, other = read_attention(model, encoded), read_attention(model, encoded, "causal")
    change = (other.weights - own.weights)[0, 0]
    drawn = attention_map(change, own.allowed, tokenized(encoded, TOKENIZER), title="any", swapped=other.allowed, row=2)
    assert "stroke-dasharray" in drawn
    assert "mi-outline-swapped" in drawn
    assert np.array_equal(pixels_of(drawn)[..., 3] > 0, (own.allowed | other.allowed).numpy())


def test_a_row_in_three_stages(model: GPT, encoded: EncodedDialogue) -> None:
    reading, dialogue = read_attention(model, encoded), tokenized(encoded, TOKENIZER)
    row = 4
    drawn = attention_row(reading.scores[0, 0, row], reading.allowed[row], reading.weights[0, 0, row], dialogue, row)
    hidden = int((~reading.allowed[row]).sum())
    assert drawn.count("url(#mi-masked)") == 2 * hidden  # in the mask's stage and after it; scores are all there
    assert f"the mask hides {hidden} of {len(dialogue)}" in drawn.alt
    parsed(drawn)


def test_heads_have_captions_and_one_is_framed(model: GPT, encoded: EncodedDialogue) -> None:
    reading = read_attention(model, encoded)
    drawn = attention_heads(
        reading.weights, reading.allowed, [["a", "b"], ["c", "<d>"]], title="All heads", chosen=(1, 1)
    )
    assert drawn.count("<image") == 4
    assert drawn.count("mi-chosen") == 1
    assert drawn.alt == "All heads. layer 1 head 1: a; layer 1 head 2: b; layer 2 head 1: c; layer 2 head 2: <d>"
    parsed(drawn)


@pytest.mark.parametrize("bad", ["weights", "mask", "row"])
def test_pictures_refuse_what_does_not_fit(bad: str, encoded: EncodedDialogue) -> None:
    total = len(encoded)
    weights, mask, row = torch.zeros(total, total), torch.ones(total, total, dtype=torch.bool), 0
    if bad == "weights":
        weights = weights[1:]
    elif bad == "mask":
        mask = mask[:, 1:]
    else:
        row = total
    with pytest.raises(ValueError, match=r"position|needs weights"):
        attention_map(weights, mask, tokenized(encoded, TOKENIZER), title="any", row=row)
    with pytest.raises(ValueError, match="a caption a head"):
        attention_heads(torch.zeros(2, 2, 3, 3), torch.ones(3, 3), [["only one"]], title="any")
    with pytest.raises(ValueError, match="row 1 is not a position"):
        attention_row([0.0], [True], [1.0], one_query(["a"]), 1)
