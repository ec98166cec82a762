"""What a newcomer is told: the words of the corpus itself, and which words are long."""

import html
import re

from mini_ism import load_tokenizer
from mini_ism.corpus.topics import ABOUT
from mini_ism.corpus.version_2 import VERSION_2
from mini_ism.widgets.chat_guide import about_html, hard_words_note, note_html, words_html


def test_the_words_are_the_corpus_s_own() -> None:
    shown = html.unescape(re.sub(r"<[^>]*>", "\n", words_html()))
    for kind in ("thing", "place", "food", "pet", "room", "city"):
        assert ", ".join(sorted(VERSION_2.known[kind])) in shown
    assert "Any name will do" in shown
    assert ABOUT in html.unescape(about_html("<Chat>"))
    assert "&lt;Chat&gt;" in about_html("<Chat>")


def test_a_note_names_the_first_hard_words() -> None:
    tokenizer = load_tokenizer()
    assert hard_words_note("My name is Ada .", tokenizer) == ""
    note = hard_words_note("Thandiwe has the screwdriver, TARIQ \u674e and \U0001f44b!", tokenizer)
    assert re.match(r"The models may misspell this: “Thandiwe” is \d+ tokens long, and they see it in pieces; ", note)
    assert note.count("“") == 3
    assert note_html("") == ""
    assert "&lt;b&gt;" in note_html("<b>")
