"""A column of the chat: what stands under an answer, and that an answer may be dropped half written."""

import pytest

from mini_ism import ChatSession, load_tokenizer
from mini_ism.sampling import Sampler
from mini_ism.views.descriptions import WHY_IT_STOPPED
from mini_ism.widgets.chat_lane import LONGEST_ANSWER, Lane
from tests.small_models import small

TOKENIZER = load_tokenizer()


def lane(**options: bool) -> Lane:
    return Lane("<ism>", "<ism>: weights", ChatSession(*small("ism")), **{"shows_odds": False, **options})


@pytest.mark.parametrize("odds", [False, True])
def test_an_answer_dropped_half_written_is_kept_as_it_is(odds: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = iter(range(300, 400))
    monkeypatch.setattr(Sampler, "pick", lambda *_: next(tokens))
    column = lane(shows_odds=odds)
    column.begin("Hello.")
    assert column.session.turn == 0  # nothing is computed yet
    assert column.write()
    assert column.write()
    assert "▏" in column.log.value
    assert ("mi-next" in column.words.surface.value) == odds
    column.end()
    column.show()
    assert "▏" not in column.log.value
    assert column.why == WHY_IT_STOPPED["interrupted"]
    assert column.why in column.log.value
    assert column.session.tokens[-3:-1].tolist() == [300, 301]
    column.begin("Why?")
    while column.write():
        pass
    column.end()
    column.show()
    assert column.why == WHY_IT_STOPPED["length"]
    assert column.session.reply is not None
    assert len(column.session.reply.tokens) == LONGEST_ANSWER
    assert column.log.value.count("stopped") == 2


def test_all_that_is_shown_is_text() -> None:
    column = lane()
    column.show()
    assert "No messages yet" in column.log.value
    assert "<ism>" not in column.log.value
