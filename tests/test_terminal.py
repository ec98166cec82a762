"""What somebody else wrote steers no terminal."""

import pytest

from mini_ism.terminal import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\rb\x08\x7f\x9b31m", r"a\rb\x08\x7f\x9b31m"),
        ("user\u202eresu\u2066", r"user\u202eresu\u2066"),
        ("one\u2028two\x85three", r"one\u2028two\x85three"),
        ("lone \ud800", r"lone \ud800"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("Größe, 東京, नमस्ते, می‌خواهم, 👩‍🚀 \\x1b", "Größe, 東京, नमस्ते, می‌خواهم, 👩‍🚀 \\x1b"),
        ("", ""),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown
