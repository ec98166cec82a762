"""Chains of links: what can be guessed without looking ahead."""

from mini_ism.corpus import Dialogue
from mini_ism.corpus.chains import guess_among_later


def test_who_cannot_look_ahead_can_still_guess_among_the_rooms_to_come() -> None:
    def asking(facts: str, label: str = "3 links, ahead") -> Dialogue:
        query = {"role": "user", "content": f"so {facts} which room is key?"}
        return Dialogue([query, {"role": "assistant", "content": "so key barn"}], [label])

    last = asking("cup in hall. key in tin. tin in cart. cart in barn.")
    one_of_two = asking("tin in cart. key in tin. pen in hall. cart in barn.")
    assert guess_among_later([last]) == 1
    assert guess_among_later([one_of_two]) == 0.5
    assert guess_among_later([last, one_of_two, asking("cart in barn. tin in cart. key in tin.", "told")]) == 0.75
