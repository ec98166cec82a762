"""What the tests of every chapter's exercises ask of a check: right, wrong with a reason, or not done."""

import re
from typing import Any

from mini_ism.exercises import Verdict, check


def assert_right(name: str, answer: Any) -> Verdict:
    """The check accepts the answer; its verdict, for a look at the pictures."""
    verdict = check(name, answer)
    assert verdict.state == "right", verdict
    return verdict


def assert_wrong(name: str, answer: Any, reason: str, flags: int = 0) -> None:
    """The check refuses the answer, and its message matches the reason."""
    verdict = check(name, answer)
    assert verdict.state == "wrong", verdict
    assert re.search(reason, verdict.message, flags), verdict


def assert_todo(name: str, answer: Any) -> None:
    """The check takes the answer for one that is not begun."""
    verdict = check(name, answer)
    assert verdict.state == "todo", verdict
