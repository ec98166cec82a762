"""Attention read, measured, drawn and explored: the weights are the model's, and the pictures keep to the mask."""

import base64
import html
import io
import re
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
import tiktoken
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from mini_ism import GPT, GPTConfig, encode_dialogue, get_mask, load_tokenizer
from mini_ism.attention_stats import (
    entropy,
    even,
    look_ahead,
    look_ahead_share,
    may_look_ahead,
    read_attention,
)
from mini_ism.dialogue import EncodedDialogue, collate
from mini_ism.views import (
    Figure,
    attention_figure,
    attention_heads,
    attention_map,
    attention_row,
    describe_attention,
    describe_difference,
    difference_figure,
    head_bars_figure,
    heads_figure,
    stages_figure,
    token_labels,
    token_roles,
)
from mini_ism.views.attention_colours import RootScale, coloured, thumbnail
from mini_ism.views.attention_map import outline
from mini_ism.views.picture import WIDGET_VIEW
from mini_ism.widgets import AttentionExplorer
from mini_ism.widgets.panel import EXAMPLE

TOKENIZER = load_tokenizer()
RULES = ["causal", "prefix", "ism", "causal & sliding_window(3)"]
SCRIPT = "<script>alert(1)</script>"


def tiny(rule: str = "ism", seed: int = 0, **shape: Any) -> GPT:
    torch.manual_seed(seed)
    sizes = {"layers": 2, "heads": 2, "width": 16, "context": 200, **shape}
    return GPT(GPTConfig(TOKENIZER.n_vocab, mask=rule, **sizes))


@pytest.fixture(scope="module")
def model() -> GPT:
    return tiny()


@pytest.fixture
def dialogue() -> EncodedDialogue:
    return encode_dialogue(EXAMPLE, TOKENIZER)


def axes_of(encoded: EncodedDialogue) -> tuple[list[str], list[str], list[int]]:
    return token_labels(encoded, TOKENIZER), token_roles(encoded.segments), encoded.segments.id.tolist()


# -- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("rotary", [0.0, 0.25, 1.0])
def test_scores_masked_and_softmaxed_are_the_model_s_weights(
    rule: str, rotary: float, dialogue: EncodedDialogue
) -> None:
    reading = read_attention(tiny(rotary=rotary), dialogue, rule)
    spelled_out = reading.scores.masked_fill(~reading.allowed, -torch.inf).softmax(-1)
    torch.testing.assert_close(spelled_out, reading.weights, atol=1e-6, rtol=0)
    assert torch.equal(reading.allowed, get_mask(rule).dense(dialogue.segments))
    assert bool((reading.weights[..., ~reading.allowed] == 0).all())


def test_the_logits_are_those_of_the_plain_forward_and_no_hook_stays(model: GPT, dialogue: EncodedDialogue) -> None:
    reading = read_attention(model, dialogue)
    with torch.no_grad():
        plain = model(dialogue.tokens[None], reading.allowed)[0]
    torch.testing.assert_close(reading.logits, plain, atol=1e-5, rtol=0)
    assert all(not block.get_submodule("attention")._forward_pre_hooks for block in model.blocks)


def test_bad_input_is_refused_and_leaves_no_hook(model: GPT, dialogue: EncodedDialogue) -> None:
    with pytest.raises(ValueError, match="one dialogue at a time"):
        read_attention(model, collate([dialogue, dialogue], TOKENIZER))
    long = encode_dialogue([{"role": "user", "content": "cup " * 300}], TOKENIZER)
    with pytest.raises(ValueError, match="exceed the model's context"):
        read_attention(model, long)
    with pytest.raises(ValueError, match="unknown mask"):
        read_attention(model, dialogue, "ims")
    assert all(not block.get_submodule("attention")._forward_pre_hooks for block in model.blocks)


# -- numbers ---------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.integers(1, 9), st.integers(0, 2**31))
def test_statistics_against_loops(total: int, seed: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    allowed = (torch.rand(total, total, generator=chance) < 0.5) | torch.eye(total, dtype=torch.bool)
    weights = torch.randn(3, total, total, generator=chance).masked_fill(~allowed, -torch.inf).softmax(-1)
    for head in range(3):
        shares, rows = [], []
        for i in range(total):
            share = sum(float(weights[head, i, j]) for j in range(i + 1, total))
            shares.append(share)
            rows += [share] if any(bool(allowed[i, j]) for j in range(i + 1, total)) else []
            bits = -sum(float(w) * np.log2(float(w)) for w in weights[head, i] if w > 0)
            assert float(entropy(weights)[head, i]) == pytest.approx(bits, abs=1e-4)
        assert look_ahead(weights)[head].tolist() == pytest.approx(shares, abs=1e-5)
        wanted = sum(rows) / len(rows) if rows else 0
        assert float(look_ahead_share(weights, allowed)[head]) == pytest.approx(wanted, abs=1e-5)
    spread = even(allowed)
    torch.testing.assert_close(spread.sum(-1), torch.ones(total))
    assert torch.equal(spread > 0, allowed)


def test_known_values() -> None:
    assert entropy(torch.tensor([[1.0, 0, 0, 0], [0.25] * 4])).tolist() == [0, 2]
    triangle = torch.ones(5, 5, dtype=torch.bool).tril()
    assert not bool(may_look_ahead(triangle).any())
    assert look_ahead_share(even(triangle), triangle).item() == 0
    square = torch.ones(4, 4, dtype=torch.bool)  # rows may put 3/4, 2/4, 1/4 ahead; the last may not look ahead
    assert look_ahead_share(even(square), square).item() == pytest.approx(0.5)
    with pytest.raises(ValueError, match="all rows"):
        look_ahead(torch.ones(2, 5))


# -- colours ---------------------------------------------------------------------------------------


@given(st.floats(-1, 1))
def test_the_scale_and_its_inverse(value: float) -> None:
    for signed in (False, True):
        number = value if signed else abs(value)
        place = float(RootScale(signed)(number))
        assert 0 <= place <= 1
        assert float(RootScale(signed).inverse(place)) == pytest.approx(number, abs=1e-9)


def test_hidden_cells_are_transparent_and_thumbnails_keep_thin_lines() -> None:
    pixels = coloured([[0.0, 1.0], [0.5, 0.2]], [[True, False], [True, True]], signed=False)
    assert pixels[..., 3].tolist() == [[255, 0], [255, 255]]
    assert (coloured([[0.0]], [[True]], signed=True)[0, 0, :3] > 240).all()  # no change is nearly white
    thin = np.zeros((100, 100))
    thin[37, 61], thin[80, 3] = 0.9, -0.7
    small = thumbnail(thin, 40)
    assert small.shape == (34, 34)
    assert (small.max(), small.min()) == (0.9, -0.7)
    assert thumbnail(thin, 100) is thin


# -- pictures --------------------------------------------------------------------------------------


def parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)


def pixels_of(picture: str) -> np.ndarray:
    """The first image inside a picture, ``[R, C, 4]``."""
    found = re.search(r'href="data:image/png;base64,([^"]+)"', picture)
    assert found
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))))


@pytest.mark.parametrize("rule", RULES)
def test_the_map_colours_exactly_what_the_mask_shows(rule: str, model: GPT, dialogue: EncodedDialogue) -> None:
    reading = read_attention(model, dialogue, rule)
    drawn = attention_map(reading.weights[1, 0], reading.allowed, *axes_of(dialogue), title="any", row=3)
    assert np.array_equal(pixels_of(drawn)[..., 3] > 0, reading.allowed.numpy())
    assert parsed(drawn).get("role") == "img"
    assert "pixelated" in drawn
    assert drawn.alt.startswith("any: ")


@settings(max_examples=30)
@given(st.integers(1, 12), st.integers(0, 2**31))
def test_the_outline_separates_seen_from_hidden(total: int, seed: int) -> None:
    allowed = np.random.default_rng(seed).random((total, total)) < 0.5
    across, down = set(), set()
    for x, y, kind, end in re.findall(r"M([\d.]+) ([\d.]+)([HV])([\d.]+)", outline(allowed, 1)):
        if kind == "H":
            across |= {(int(y), column) for column in range(int(x), int(end))}
        else:
            down |= {(row, int(x)) for row in range(int(y), int(end))}
    padded = np.pad(allowed, 1)
    for i in range(total + 1):
        for j in range(total):
            assert ((i, j) in across) == (padded[i, j + 1] != padded[i + 1, j + 1])
            assert ((j, i) in down) == (padded[j + 1, i] != padded[j + 1, i + 1])


def test_a_difference_shows_both_masks(model: GPT, dialogue: EncodedDialogue) -> None:
    own, other = read_attention(model, dialogue), read_attention(model, dialogue, "causal")
    change = (other.weights - own.weights)[0, 0]
    drawn = attention_map(change, own.allowed, *axes_of(dialogue), title="any", swapped=other.allowed, row=2)
    assert "stroke-dasharray" in drawn
    assert "mi-outline-swapped" in drawn
    assert np.array_equal(pixels_of(drawn)[..., 3] > 0, (own.allowed | other.allowed).numpy())


def test_a_row_in_three_stages(model: GPT, dialogue: EncodedDialogue) -> None:
    reading, (labels, roles, _) = read_attention(model, dialogue), axes_of(dialogue)
    row = 4
    drawn = attention_row(
        reading.scores[0, 0, row], reading.allowed[row], reading.weights[0, 0, row], labels, roles, row
    )
    hidden = int((~reading.allowed[row]).sum())
    assert drawn.count("url(#mi-masked)") == 2 * hidden  # in the mask's stage and after it; scores are all there
    assert f"the mask hides {hidden} of {len(labels)}" in drawn.alt
    parsed(drawn)


def test_heads_have_captions_and_one_is_framed(model: GPT, dialogue: EncodedDialogue) -> None:
    reading = read_attention(model, dialogue)
    drawn = attention_heads(
        reading.weights, reading.allowed, [["a", "b"], ["c", "<d>"]], title="All heads", chosen=(1, 1)
    )
    assert drawn.count("<image") == 4
    assert drawn.count("mi-chosen") == 1
    assert drawn.alt == "All heads. layer 1 head 1: a; layer 1 head 2: b; layer 2 head 1: c; layer 2 head 2: <d>"
    parsed(drawn)


def test_words() -> None:
    labels = ["a", "b", "c"]
    assert describe_attention(labels, 1, [0.5, 0.1, 0.4]) == (
        "b (1) looks at a (0) 50%, c (2) 40%, b (1) 10%; 40% of it lies ahead"
    )
    assert (
        describe_difference(labels, 0, [-0.3, 0.3, 0.0]) == "a (0) moves 30% of its attention: a (0) −30%, b (1) +30%"
    )
    assert describe_difference(labels, 0, [0.0, 0.0, 0.0]) == "a (0) looks where it looked before"


@pytest.mark.parametrize("bad", ["weights", "mask", "row"])
def test_pictures_refuse_what_does_not_fit(bad: str, dialogue: EncodedDialogue) -> None:
    total = len(dialogue)
    weights, mask, row = torch.zeros(total, total), torch.ones(total, total, dtype=torch.bool), 0
    if bad == "weights":
        weights = weights[1:]
    elif bad == "mask":
        mask = mask[:, 1:]
    else:
        row = total
    with pytest.raises(ValueError, match=r"position|needs weights"):
        attention_map(weights, mask, *axes_of(dialogue), title="any", row=row)
    with pytest.raises(ValueError, match="a caption a head"):
        attention_heads(torch.zeros(2, 2, 3, 3), torch.ones(3, 3), [["only one"]], title="any")
    with pytest.raises(ValueError, match="one of their positions"):
        attention_row([0.0], [True], [1.0], ["a"], ["user"], 1)


def test_figures_say_what_they_show(model: GPT, dialogue: EncodedDialogue) -> None:
    own, other, axes = read_attention(model, dialogue), read_attention(model, dialogue, "causal"), axes_of(dialogue)
    pair, swapped = (own.weights[0, 0], own.allowed), (other.weights[0, 0], other.allowed)
    shares = look_ahead_share(own.weights, own.allowed)
    captions = [["x"] * 2] * 2
    bars = {"ism": shares, "causal": torch.zeros(2, 2)}
    stages = own.scores[0, 0, 2], own.allowed[2], own.weights[0, 0, 2], *axes[:2], 2
    swap = r"one: name \(2\) looks at .*; two: name \(2\) looks at .*; 0% of it lies ahead"
    cases: list[tuple[Figure, str]] = [
        (attention_figure({"one": pair, "two": swapped}, *axes, row=2), swap),
        (difference_figure(pair, swapped, *axes, titles=("ism", "causal"), row=2), "a row moves"),
        (heads_figure(own.weights, own.allowed, captions, title="Heads"), "layer 2 head 2: x"),
        (head_bars_figure(bars, ylabel="ahead", even={"ism": 0.4, "causal": 0.0}), "evenly it would be 40%"),
        (stages_figure(*stages), "Three stages"),
    ]
    for figure, words in cases:
        assert re.search(words, figure.alt), figure.alt
        assert figure._repr_mimebundle_()["image/png"]


# -- the explorer ----------------------------------------------------------------------------------

Models = dict[str, tuple[GPT, tiktoken.Encoding]]


@pytest.fixture
def models() -> Models:
    return {rule: (tiny(rule, seed), TOKENIZER) for seed, rule in enumerate(("ism", "causal"))}


def shown_weights(explorer: AttentionExplorer, rule: str | None = None) -> Tensor:
    model, tokenizer = explorer.models[explorer.model.value]
    reading = read_attention(model, encode_dialogue(explorer.editor.messages, tokenizer), rule)
    return reading.weights[explorer.layer.value - 1, explorer.head.value - 1, explorer.row.value]


def test_the_status_line_tells_the_model_s_own_weights(models: Models) -> None:
    explorer = AttentionExplorer(models)
    labels = token_labels(encode_dialogue(EXAMPLE, TOKENIZER), TOKENIZER)
    for layer in (1, 2):
        for head in (1, 2):
            explorer.layer.value, explorer.head.value = layer, head
            for row in (0, 7, explorer.row.max):
                explorer.row.value = row
                own, other = shown_weights(explorer), shown_weights(explorer, "causal")
                here = f"ism, layer {layer}, head {head}"
                explorer.view.value = "own"
                assert explorer.status == f"{here}, under ism: {describe_attention(labels, row, own.tolist())}"
                explorer.view.value = "swapped"
                assert explorer.status == f"{here}, under causal: {describe_attention(labels, row, other.tolist())}"
                explorer.view.value = "difference"
                told = describe_difference(labels, row, (other - own).tolist())
                assert explorer.status == f"{here}, causal instead of ism: {told}"


def test_without_a_look_ahead_the_last_row_is_shown(models: Models) -> None:
    explorer = AttentionExplorer({"causal": models["causal"]})
    assert explorer.row.value == explorer.row.max
    assert f"({explorer.row.max}) looks at" in explorer.status


def test_another_model_brings_its_own_mask_and_shape(models: Models) -> None:
    models["small"] = (tiny("prefix", layers=1, heads=1), TOKENIZER)
    explorer = AttentionExplorer(models)
    explorer.layer.value, explorer.head.value = 2, 2
    explorer.model.value = "small"
    assert (explorer.layer.max, explorer.head.max) == (1, 1)
    assert explorer.status.startswith("small, layer 1, head 1, under prefix: ")
    assert explorer.heads.value.count("<image") == 1
    explorer.model.value = "causal"
    assert (explorer.layer.max, explorer.head.max) == (2, 2)
    assert "0% of it lies ahead" in explorer.status
    assert "never (the mask forbids it)" in explorer.facts.value


def test_presets_write_the_rule_and_the_rule_moves_the_presets(models: Models) -> None:
    explorer = AttentionExplorer(models)
    explorer.preset.value = "prefix"
    assert explorer.rule.value == "prefix"
    explorer.rule.value = "causal & sliding_window(2)"
    assert explorer.preset.value == "your own rule"
    explorer.rule.value = "causal"
    assert explorer.preset.value == "causal"


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ("ism &", "cannot read mask"),
        ("ims", "unknown mask"),
        ("same_query", "leaves position"),
        (SCRIPT, "cannot read"),
    ],
)
def test_a_bad_rule_is_told_in_place_and_forgiven(rule: str, complaint: str, models: Models) -> None:
    explorer = AttentionExplorer(models)
    picture, said = explorer.picture.value, explorer.status
    explorer.rule.value = rule
    assert complaint in explorer.error
    assert (explorer.picture.value, explorer.status) == (picture, said)
    assert "<script" not in explorer._error.value
    explorer.row.value = 1  # still alive
    assert "(1) looks at" in explorer.status
    explorer.rule.value = "prefix"
    assert explorer.error == ""


@pytest.mark.parametrize(("text", "complaint"), [("", "is empty"), (" ", "is empty"), ("cup " * 1250, "at most 200")])
def test_a_bad_message_is_told_in_place_and_forgiven(text: str, complaint: str, models: Models) -> None:
    explorer = AttentionExplorer(models)
    box = explorer.editor.rows[0].text
    before, box.value = box.value, text
    assert complaint in explorer.error
    explorer.head.value = 2 if explorer.head.value == 1 else 1
    assert f"head {explorer.head.value}" in explorer.status
    box.value = before
    assert explorer.error == ""


@pytest.mark.parametrize("text", [SCRIPT, "🦊🦊", "a < b & c > d", "<|assistant|>", "\x00\x1b[31m"])
def test_what_users_write_is_text_and_nothing_else(text: str, models: Models) -> None:
    explorer = AttentionExplorer(models)
    explorer.editor.rows[0].text.value = text
    assert explorer.error == ""
    for view in ("own", "difference"):
        explorer.view.value = view
        for row in (1, 2, explorer.row.max):
            explorer.row.value = row
            for part in (explorer.picture, explorer.stages, explorer.facts, explorer.heads, explorer._status):
                assert "<script" not in part.value
                assert "\x00" not in part.value
            assert f"({row})" in html.unescape(explorer._status.value)


def test_turns_come_and_go(models: Models) -> None:
    explorer = AttentionExplorer(models)
    explorer.row.value = explorer.row.max
    explorer.editor.remove_turn.click()
    assert explorer.row.value == explorer.row.max == len(encode_dialogue(EXAMPLE[:2], TOKENIZER)) - 1
    explorer.editor.add_turn.click()
    assert explorer.error == ""
    assert len(explorer.editor.messages) == 4


def test_nothing_is_sent_that_did_not_change(models: Models) -> None:
    explorer = AttentionExplorer(models)
    changes: list[Any] = []
    for part in (explorer.heads, explorer.heads_title, explorer._error, explorer.preset):
        part.observe(changes.append, "value")
    explorer.row.value = (explorer.row.value + 1) % explorer.row.max
    assert changes == []


def test_it_needs_a_model_a_dialogue_and_a_mask(models: Models) -> None:
    with pytest.raises(ValueError, match="no model to look into"):
        AttentionExplorer({})
    with pytest.raises(ValueError, match="unknown mask"):
        AttentionExplorer(models, swapped="ims")
    with pytest.raises(ValueError, match="empty"):
        AttentionExplorer(models, [])
    with pytest.raises(ValueError, match="at most 200"):
        AttentionExplorer(models, [{"role": "user", "content": "cup " * 1250}])


def test_it_has_a_still_picture_a_sentence_and_a_view(models: Models) -> None:
    explorer = AttentionExplorer(models)
    data = explorer._repr_mimebundle_()
    assert data[WIDGET_VIEW]["model_id"] == explorer.box.model_id
    assert data["image/png"]
    assert data["text/plain"].startswith("Attention explorer. ism, layer")
    assert {"mi-widget", "mi-attention"} <= set(explorer.box._dom_classes)
    assert 'role="status"' in explorer._status.value
