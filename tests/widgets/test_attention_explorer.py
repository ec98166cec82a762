"""The attention explorer without a browser: what it says for given controls, and that no text breaks it."""

import html
from typing import Any

import pytest
import tiktoken
import torch
from torch import Tensor

from mini_ism import GPT, GPTConfig, encode_dialogue, get_mask, load_tokenizer
from mini_ism.attention_stats import read_attention
from mini_ism.dialogue import ASSISTANT
from mini_ism.views import describe_attention, tokenized
from mini_ism.views.descriptions import describe_difference
from mini_ism.views.picture import WIDGET_VIEW
from mini_ism.widgets import AttentionExplorer
from mini_ism.widgets.panel import EXAMPLE
from mini_ism.widgets.surface import Surface

TOKENIZER = load_tokenizer()
SCRIPT = "<script>alert(1)</script>"


def tiny(rule: str = "ism", seed: int = 0, **shape: Any) -> GPT:
    torch.manual_seed(seed)
    sizes = {"layers": 2, "heads": 2, "width": 16, "context": 200, **shape}
    return GPT(GPTConfig(TOKENIZER.n_vocab, mask=rule, **sizes))


Models = dict[str, tuple[GPT, tiktoken.Encoding]]


@pytest.fixture
def models() -> Models:
    return {rule: (tiny(rule, seed), TOKENIZER) for seed, rule in enumerate(("ism", "causal"))}


def shown_weights(explorer: AttentionExplorer, rule: str | None = None) -> Tensor:
    chosen = explorer.models[explorer.model.value]
    assert isinstance(chosen, tuple)
    model, tokenizer = chosen
    reading = read_attention(model, encode_dialogue(explorer.editor.messages, tokenizer), rule)
    return reading.weights[explorer.layer.value - 1, explorer.head.value - 1, explorer.row.value]


def test_the_status_line_tells_the_model_s_own_weights(models: Models) -> None:
    explorer = AttentionExplorer(models)
    dialogue = tokenized(encode_dialogue(EXAMPLE, TOKENIZER), TOKENIZER)
    for layer in (1, 2):
        for head in (1, 2):
            explorer.layer.value, explorer.head.value = layer, head
            for row in (0, 7, explorer.row.max):
                explorer.row.value = row
                own, other = shown_weights(explorer), shown_weights(explorer, "causal")
                here = f"ism, layer {layer}, head {head}"
                explorer.view.value = "own"
                assert explorer.status == f"{here}, under ism: {describe_attention(own, dialogue, row)}"
                explorer.view.value = "swapped"
                assert explorer.status == f"{here}, under causal: {describe_attention(other, dialogue, row)}"
                explorer.view.value = "difference"
                moved = describe_difference(other - own, dialogue, row)
                assert explorer.status == f"{here}, causal instead of ism: {moved}"


@pytest.mark.parametrize("turns", [1, 2])
def test_it_opens_where_the_answer_begins_on_the_head_that_quotes_it(turns: int, models: Models) -> None:
    encoded = encode_dialogue(EXAMPLE[: 2 * turns], TOKENIZER)
    tokens = encoded.tokens.tolist()
    marker = max(i for i, token in enumerate(tokens) if token == TOKENIZER.encode_single_token(ASSISTANT))
    explorer = AttentionExplorer(models, EXAMPLE[: 2 * turns])
    assert explorer.row.value == marker
    assert f"‹assistant› ({marker}) looks at" in explorer.status
    weights = read_attention(models["ism"][0], encoded).weights[:, :, marker].tolist()
    quoted = [i for i in range(marker) if tokens[i] in tokens[marker + 1 :]] or list(range(marker))
    shares = {(n, h): max(head[i] for i in quoted) for n, layer in enumerate(weights) for h, head in enumerate(layer)}
    assert max(shares, key=lambda at: shares[at]) == (explorer.layer.value - 1, explorer.head.value - 1)


def test_an_open_question_is_opened_at_its_end(models: Models) -> None:
    explorer = AttentionExplorer(models, [{"role": "user", "content": "Where?"}])
    assert explorer.row.value == explorer.row.max


def send(surface: Surface, **pick: Any) -> None:
    """What the page does when something is clicked."""
    surface.event = {**pick, "count": surface.event.get("count", 0) + 1}


def test_a_thumbnail_chooses_its_head_and_a_click_its_token(models: Models) -> None:
    explorer = AttentionExplorer(models)
    drawn: list[Any] = []
    explorer.picture.observe(drawn.append, "value")
    for layer, head in ((0, 1), (1, 0)):
        send(explorer.heads, pick="head", layer=layer, head=head)
        assert (explorer.layer.value, explorer.head.value) == (layer + 1, head + 1)
        assert f"layer {layer + 1}, head {head + 1}," in explorer.status
    assert len(drawn) == 2  # not once for the layer and once for the head
    send(explorer.picture, pick="grid", row=3, column=1)
    assert explorer.row.value == 3
    send(explorer.picture, pick="grid", row=None, column=5)
    assert explorer.row.value == 5
    send(explorer.stages, pick="token", token=6)
    assert explorer.row.value == 6
    assert "(6) looks at" in explorer.status


@pytest.mark.parametrize(
    "pick",
    [
        {"pick": "head", "layer": 2, "head": 0},
        {"pick": "head", "layer": 0},
        {"pick": "token", "token": 999},
        {"pick": "token", "token": "1"},
        {"pick": "grid", "row": -1, "column": None},
        {"pick": "nonsense"},
    ],
)
def test_a_pick_of_another_picture_changes_nothing(pick: dict[str, Any], models: Models) -> None:
    explorer = AttentionExplorer(models)
    before = explorer.status
    send(explorer.picture, **pick)
    assert explorer.status == before


def test_the_lines_are_drawn_for_each_view(models: Models) -> None:
    explorer = AttentionExplorer(models)
    explorer.form.value = "lines"
    for view in ("own", "swapped", "difference"):
        explorer.view.value = view
        assert "mi-line" in explorer.picture.value
        assert html.escape(explorer.status) in explorer.picture.value  # its text alternative
    explorer.form.value = "map"
    assert "data-grid" in explorer.picture.value


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


@pytest.mark.parametrize("given", ["ism", {"ism": "ism"}, {"ism": ("ism",)}, {"ism": ("ism", "ism")}])
def test_other_kinds_of_models_are_named(given: Any) -> None:
    with pytest.raises(TypeError, match=r'got .*load_model\("ism"\)'):
        AttentionExplorer(given)


def test_a_swapped_rule_is_text(models: Models) -> None:
    with pytest.raises(TypeError, match=r"swapped must be str, .* write the rule as text"):
        AttentionExplorer(models, swapped=get_mask("causal"))  # type: ignore[arg-type]


@pytest.mark.slow
def test_it_has_a_still_picture_a_sentence_and_a_view(models: Models) -> None:
    explorer = AttentionExplorer(models)
    data = explorer._repr_mimebundle_()[0]
    assert data[WIDGET_VIEW]["model_id"] == explorer.box.model_id
    assert data["image/png"]
    assert data["text/plain"].startswith("Attention explorer. ism, layer")
    assert {"mi-widget", "mi-attention"} <= set(explorer.box._dom_classes)
    assert 'role="status"' in explorer._status.value
