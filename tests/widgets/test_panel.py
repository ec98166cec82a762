"""What all widgets share: a still picture, a sentence and a view, and dialogues that are refused."""

from typing import Any

import pytest

from mini_ism import load_tokenizer
from mini_ism.views.picture import WIDGET_VIEW
from mini_ism.widgets import CachePlayer, ChatWidget, MaskExplorer
from tests.small_models import three_models

TOKENIZER = load_tokenizer()


@pytest.mark.parametrize("messages", [[], [{"role": "assistant", "content": "Hi."}], [{"role": "user", "content": 3}]])
def test_a_bad_dialogue_is_refused_at_once(messages: list[dict[str, Any]]) -> None:
    with pytest.raises((TypeError, ValueError)):
        MaskExplorer(messages)
    with pytest.raises((TypeError, ValueError)):
        CachePlayer(messages)


def test_each_widget_has_a_still_picture_a_sentence_and_a_view() -> None:
    for widget, kind in (
        (MaskExplorer(), "mi-mask"),
        (CachePlayer(), "mi-cache"),
        (ChatWidget(three_models()), "mi-chat"),
    ):
        data = widget._repr_mimebundle_()
        assert data[WIDGET_VIEW]["model_id"] == widget.box.model_id
        assert data["image/png"]
        assert len(data["text/plain"].split()) > 4
        assert {"mi-widget", kind} <= set(widget.box._dom_classes)
        assert 'role="status"' in widget._status.value
