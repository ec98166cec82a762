"""What all widgets share: a still picture, a sentence and a view, and dialogues that are refused."""

from typing import Any

import pytest
from torch import Tensor

from mini_ism import Segments, load_tokenizer, register_mask
from mini_ism.views.picture import WIDGET_VIEW
from mini_ism.widgets import AttentionExplorer, CachePlayer, ChatWidget, MaskExplorer
from mini_ism.widgets.panel import Panel, Quiet
from tests.small_models import small, three_models

TOKENIZER = load_tokenizer()


@pytest.mark.parametrize("messages", [[], [{"role": "assistant", "content": "Hi."}], [{"role": "user", "content": 3}]])
def test_a_bad_dialogue_is_refused_at_once(messages: list[dict[str, Any]]) -> None:
    with pytest.raises((TypeError, ValueError)):
        MaskExplorer(messages)
    with pytest.raises((TypeError, ValueError)):
        CachePlayer(messages)


@pytest.mark.slow
def test_each_widget_has_a_still_picture_a_sentence_and_a_view() -> None:
    for widget, kind in (
        (MaskExplorer(), "mi-mask"),
        (CachePlayer(), "mi-cache"),
        (ChatWidget(three_models()), "mi-chat"),
    ):
        data = widget._repr_mimebundle_()[0]
        assert data[WIDGET_VIEW]["model_id"] == widget.box.model_id
        assert data["image/png"]
        assert len(data["text/plain"].split()) > 4
        assert {"mi-widget", kind} <= set(widget.box._dom_classes)
        assert 'role="status"' in widget._status.value


STOPPED = "Stopped. What is shown stays; go on when you like."


@pytest.mark.slow
@pytest.mark.usefixtures("no_new_masks")
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (IndexError("no such segment"), "raised IndexError: no such segment"),
        (TypeError("a tensor, please"), "a tensor, please"),
        (KeyboardInterrupt(), STOPPED),  # as if the rule never came to an end
    ],
)
def test_whatever_a_rule_raises_is_told_in_place_and_the_widget_goes_on(error: BaseException, message: str) -> None:
    left = [-1]  # calls until it is raised; below 0, never

    @register_mask
    def moody(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
        left[0] -= 1
        if left[0] == -1:
            raise error
        return (kv <= q) | (s.id[kv] < int(s.id.max()))

    def says(widget: Panel) -> None:
        assert message in widget.error
        assert widget._attempt(lambda: None)

    left[0] = -1
    player = CachePlayer(masks=("causal", "moody"), models={"moody": small("causal")})
    player.step.value = player.step.max
    for calls in range(3):
        explorer, attention = MaskExplorer(), AttentionExplorer(three_models())
        chat = ChatWidget(three_models(), masks=("causal", "moody"), weights="ism")
        for widget in (explorer, attention):
            before = widget.picture.value
            left[0] = calls if widget is explorer and calls < 2 else 0
            widget.rule.value = "moody"
            says(widget)
            assert widget.picture.value == before
            left[0] = -1
            widget.rule.value = "causal"
            assert widget.error == ""
        left[0] = calls
        chat.send("Where is the cup?")
        says(chat)
        left[0] = -1
        chat.send("Why?")
        assert chat.error == ""
        assert all(session.messages[-1]["role"] == "assistant" for session in chat.sessions.values())
    left[0] = 0
    player.breaker.value = True
    assert message in player.error
    left[0] = -1
    player.step.value -= 1
    player.step.value += 1
    assert player.error == ""


def test_quiet_ends_with_its_block() -> None:
    quiet = Quiet()
    with quiet:
        with quiet:
            assert quiet
        assert quiet
    assert not quiet
    with pytest.raises(KeyboardInterrupt), quiet:
        raise KeyboardInterrupt
    assert not quiet
