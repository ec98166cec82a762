"""A dialogue token by token: labels, roles, segments, and the coloured view."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_ism import Segments, encode_dialogue, get_mask, show_dialogue
from mini_ism.batching import collate, pack
from mini_ism.dialogue import EncodedDialogue
from mini_ism.views import TokenizedDialogue, mask_map, tokenized
from mini_ism.views.dialogue_view import token_roles
from mini_ism.views.styles import EITHER
from tests.views.drawn import TOKENIZER, elements, messages_of, segmented


def test_labels_name_markers_and_hide_nothing() -> None:
    _, dialogue = segmented(["the  cup", "a\nb"])
    labels = list(dialogue.labels)
    assert labels[0] == "‹user›"
    assert labels[-1] == "‹end›"
    assert "‹assistant›" in labels
    assert dialogue.roles[labels.index("‹assistant›")] == "user"
    assert all(label and label.isprintable() for label in labels)
    assert dialogue.name(0) == "‹user› (0)"


def test_ids_are_the_segments_and_packed_dialogues_have_their_own() -> None:
    encoded = encode_dialogue(messages_of(["the cup"]), TOKENIZER)
    assert tokenized(encoded, TOKENIZER).ids == encoded.segments.id.tolist()
    packed = pack([encoded, encoded], TOKENIZER, length=2 * len(encoded) + 1)
    row = EncodedDialogue(packed.tokens[0], packed.segments.row(0), packed.loss_mask[0])
    assert tokenized(row, TOKENIZER) == tokenized(packed, TOKENIZER)
    ids = tokenized(row, TOKENIZER).ids
    assert len(set(ids[: len(encoded)])) == len(set(ids[len(encoded) : -1])) == 1
    assert len({ids[0], ids[len(encoded)], ids[-1]}) == 3  # padding, too


def test_padding_is_nobodys_and_grey() -> None:
    encoded = encode_dialogue(messages_of(["Hi.", "Yes."]), TOKENIZER)
    packed = pack([encoded], TOKENIZER, length=len(encoded) + 2)
    dialogue, s = tokenized(packed, TOKENIZER), packed.segments.row(0)
    assert dialogue.roles == [*tokenized(encoded, TOKENIZER).roles, "padding", "padding"]
    assert token_roles(Segments(s.id, s.is_query)) == dialogue.roles  # without documents, too
    assert token_roles(Segments(s.id.clamp(min=0), s.is_query, document=s.document)) == dialogue.roles
    drawn = mask_map(get_mask("ism").dense(s), dialogue)
    grey = "var(--mi-padding,#616161)"
    said = [text.text for text in elements(drawn, "text") if text.get("fill") == grey]
    assert said == ["‹pad›"] * 4 + ["padding"]  # along both sides, and in the legend
    assert len([bar for bar in elements(drawn, "rect") if bar.get("fill") == grey]) == 3
    row = EncodedDialogue(packed.tokens[0], s, packed.loss_mask[0])
    assert str(show_dialogue(row, TOKENIZER)).endswith("\x1b[90m<|pad|>\x1b[0m" * 2)


def test_a_letter_of_several_tokens_is_shown_whole() -> None:
    text = "Siobhán 😀 Nguyễn 李 ✓✓ äöü"
    encoded = encode_dialogue([{"role": "user", "content": text}], TOKENIZER)
    view = show_dialogue(encoded, TOKENIZER)
    assert repr(view) == f"<|user|> {text}<|assistant|>"
    assert len(view.pieces) == len(encoded)  # still a colour a token
    assert all(letter in view._repr_html_() for letter in text)


@pytest.mark.parametrize(
    ("parts", "message"),
    [((["a"], ["user"], [0, 1]), "1 labels, 1 roles and 2 ids"), ((["a"], ["User"], [0]), "unknown role 'User'")],
)
def test_parts_that_do_not_fit_are_refused(parts: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TokenizedDialogue(*parts)


def test_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="one dialogue"):
        tokenized(collate([encode_dialogue(messages_of(["Hi."]), TOKENIZER)] * 2, TOKENIZER), TOKENIZER)


@given(st.lists(st.text(alphabet="ab<&>", max_size=6), min_size=1, max_size=4))
def test_a_coloured_view_says_all_and_escapes_it(texts: list[str]) -> None:
    messages = [{"role": "system", "content": "<a>"}, *messages_of(texts)]
    encoded = encode_dialogue(messages, TOKENIZER)
    view = show_dialogue(encoded, TOKENIZER)
    assert "".join(text for text, _, _ in view.pieces) == TOKENIZER.decode(encoded.tokens.tolist())
    assert [target for _, _, target in view.pieces] == encoded.loss_mask.tolist()
    roles = [messages[number]["role"] for number in encoded.segments.id.tolist()]
    assert [role for _, role, _ in view.pieces] == roles
    html = view._repr_html_()
    assert html.count("<") == html.count(">") == 2 * (len(encoded) + 1)  # the page's own tags only
    assert str(view).count("\x1b[0m") == len(encoded)
    assert all(EITHER[message["role"]] in html for message in messages)


def test_a_dialogue_steers_no_terminal() -> None:
    messages = [{"role": "user", "content": "\x1b[2Jhi\x07"}, {"role": "assistant", "content": "\r there"}]
    view = show_dialogue(encode_dialogue(messages, TOKENIZER), TOKENIZER)
    assert r"\x1b[2Jhi\x07<|assistant|> \r there" in repr(view)
    for shown in (repr(view), re.sub(r"\x1b\[[\d;]*m", "", str(view))):  # without the colours of its own
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)


def test_messages_have_to_be_encoded_first() -> None:
    messages: Any = [{"role": "user", "content": "Hi"}]
    with pytest.raises(TypeError, match=r"encoded must be EncodedDialogue, got .* by encode_dialogue\(messages"):
        show_dialogue(messages, TOKENIZER)
