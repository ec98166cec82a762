"""The corpus card says what is in the files."""

from __future__ import annotations

import pytest

from mini_ism.corpus import Dialogue
from mini_ism.corpus.card import write_card
from mini_ism.paths import data_dir
from mini_ism.tokenizer import load_tokenizer


@pytest.mark.slow
def test_card_is_up_to_date(frozen: dict[str, list[Dialogue]]) -> None:
    card = (data_dir() / "dialogues" / "README.md").read_text(encoding="utf-8")
    assert card == write_card(frozen, load_tokenizer())
