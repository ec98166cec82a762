"""What is asked of the shipped models in a newcomer's words."""

from __future__ import annotations

from mini_ism.checkpoints import load_model
from tools.chat_check import PHRASINGS, ask, check_names, is_sensible, name_lists, natural_messages

SENSIBLE = {
    "What is my name?": ("I do not know.", "Your name is Ada."),
    "I put the phone on the table. Where is the phone?": ("On the table.", "In the table."),
    "The dog is in the kitchen. Is the dog in the kitchen?": ("Yes.", "No."),
    "Are you ChatGPT?": ("I am a small model.", "Yes."),
    "help": ("Tell me who or what is where, then ask me.", "In the box."),
}


def test_sixty_messages_tell_sensible_from_senseless() -> None:
    messages = {message.turns[0]: message for message in natural_messages() if len(message.turns) == 1}
    assert len(natural_messages()) == 60
    for text, (sensible, senseless) in SENSIBLE.items():
        assert is_sensible(messages[text], sensible)
        assert not is_sensible(messages[text], senseless)


def test_a_name_is_asked_for_as_it_is_typed() -> None:
    for phrasing in PHRASINGS:
        query, answer = (message["content"] for message in ask(phrasing, "maria").messages)
        assert "maria" in query
        assert "{" not in query + answer


def test_lists_hold_enough_names() -> None:
    assert {title: len(names) >= 100 for title, names in name_lists().items()} == dict.fromkeys(name_lists(), True)


def test_scores_are_by_phrasing() -> None:
    scores = check_names(*load_model("ism"), ["Ada", "Ben"])
    assert set(scores) == set(PHRASINGS)
    assert scores["My name is ..."].share == 1
