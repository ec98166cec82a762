"""Verdicts, the registry, and checks that no answer can break."""

import functools
import math
import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import torch
from torch import Tensor

from mini_ism import Mask, get_mask
from mini_ism.exercises import Place, Verdict, check, compare_rule, core, difference, exercise, exercises, right, wrong
from mini_ism.exercises.judging import places, sample_dialogues
from mini_ism.views import Figure, Picture


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exercises registered by a test go when it is over; those of the course, which register once, stay."""
    exercises()
    monkeypatch.setattr(core, "_EXERCISES", dict(core._EXERCISES))


def is_four(answer: Any) -> Verdict:
    """Give four.

    More about it.
    """
    value = answer() if callable(answer) else answer
    return right("four it is.") if value + 0 == 4 else wrong("that is not four.")


@pytest.fixture
def _four() -> None:
    exercise("four", difficulty=1)(is_four)


def begun(q: Tensor, kv: Tensor, s: Any) -> Any:
    return kv <= ...  # type: ignore[operator]


@pytest.mark.usefixtures("_four")
@pytest.mark.parametrize(
    ("answer", "state", "message"),
    [
        (4, "right", "four it is"),
        (lambda: 4, "right", "four it is"),
        (functools.partial(int, "4"), "right", "four"),
        (5, "wrong", "not four"),
        (..., "todo", r"replace the \.\.\. in your answer"),
        (None, "wrong", "your answer is None. Was it made by a function without a `return`"),
        ([4, ...], "todo", "replace"),
        ({"a": ...}, "todo", "replace"),
        (lambda: ..., "todo", "in your function"),
        (lambda: (4, ...), "todo", "in your function"),
        (lambda: None, "wrong", r"^your function returned None: is a `return` missing\?$"),
        (lambda: 4 + ..., "todo", "in your function"),  # type: ignore[operator]
        ("four", "wrong", "your answer does not fit the task: TypeError"),
        (lambda: "four", "wrong", "your function does not fit the task: TypeError"),
        (lambda: 1 / 0, "wrong", "your function raised ZeroDivisionError: division by zero\nin the line: .*1 / 0"),
        (lambda x: x, "wrong", r"your function takes \(x\), but is called with 0 values"),
    ],
)
def test_a_check_takes_anything(answer: Any, state: str, message: str) -> None:
    verdict = check("four", answer)
    assert verdict.state == state
    assert re.search(message, verdict.message)


@pytest.mark.usefixtures("_four")
def test_an_endless_descent_is_a_verdict_and_an_interrupt_is_not() -> None:
    def forever() -> Any:
        return forever()

    assert "forever raised RecursionError" in check("four", forever).message

    def stop() -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check("four", stop)


@pytest.mark.usefixtures("_four")
def test_a_tensor_used_as_a_truth_value_gets_a_hint() -> None:
    def rule() -> Any:
        many = torch.ones(2) > 0
        return many and many

    assert "& | ~" in check("four", rule).message
    assert "in the line: return many and many" in check("four", rule).message


def test_unknown_and_doubled_names_are_refused() -> None:
    with pytest.raises(ValueError, match="there is no exercise 'nope'; exercises are "):
        check("nope", 1)
    exercise("once", difficulty=2)(is_four)
    exercise("once", difficulty=3)(is_four)  # the same module, loaded again

    def other(answer: Any) -> Verdict:
        """Elsewhere."""
        return right("")

    other.__module__ = "elsewhere"
    with pytest.raises(ValueError, match="there is an exercise 'once' already"):
        exercise("once", difficulty=1)(other)
    with pytest.raises(ValueError, match="difficulty must be 1, 2 or 3, got 4"):
        exercise("hard", difficulty=4)(is_four)
    with pytest.raises(ValueError, match="needs a docstring"):
        exercise("mute", difficulty=1)(lambda answer: right(""))


def test_a_verdict_shows_itself() -> None:
    picture = Picture("<svg></svg>", "yours <b>")
    drawn = Figure(figsize=(1, 1))
    drawn.alt = 'a "figure"'
    shown = wrong("1 < 2 & <script>", yours=picture, target=drawn)._repr_mimebundle_()[0]
    assert shown["text/plain"] == '✗ Not yet right: 1 < 2 & <script>\nyours: yours <b>\ntarget: a "figure"'
    html = str(shown["text/html"])
    assert "<script>" not in html
    assert 'role="status"' in html
    assert html.count("<figcaption") == html.count("<img") == 2
    assert 'alt="a &quot;figure&quot;"' in html
    assert 'alt="yours &lt;b&gt;"' in html
    ET.fromstring(html.replace('%">', '%"/>'))
    assert str(right("yes.")) == "✓ Right: yes."
    assert "<figure" not in str(right("yes.")._repr_mimebundle_()[0]["text/html"])


def test_the_overview_lists_the_course() -> None:
    listed = exercises()
    assert {"lsa-step", "wilson"} <= {each.name for each in listed}
    assert all(each.notebook in core.CHAPTERS.values() for each in listed)
    assert [each.notebook for each in listed] == sorted(each.notebook for each in listed)
    assert all(each.dots in ("●○○", "●●○", "●●●") for each in listed)
    assert all(each.task.endswith(".") and "\n" not in each.task for each in listed)
    lines = repr(listed).splitlines()
    assert len(lines) == len(listed) + 1
    assert listed._repr_html_().count("<tr>") == len(lines)


# -- masks -------------------------------------------------------------------------------------------------------


def ism_sees(dialogue: Any, i: int, j: int) -> bool:
    a, b = dialogue[i], dialogue[j]
    return bool(b.at <= a.at or (a.asks and a.segment == b.segment))


def reason(dialogue: Any, i: int, j: int) -> str:
    return "which lies ahead" if j > i else "which lies behind"


@pytest.mark.parametrize(
    ("answer", "state", "message"),
    [
        (get_mask("ism"), "right", "every pair"),
        (lambda q, kv, s: (kv <= q) | (s.is_query[q] & (s.id[q] == s.id[kv])), "right", "every pair"),
        (
            lambda q, kv, s: kv <= q,
            "wrong",
            r"^‹user› \(0\) may see Where \(1\), which lies ahead, but your rule hides it\. \d+ pairs",
        ),
        (lambda q, kv, s: (kv <= q) | (s.id[q] == s.id[kv]), "wrong", "must not see .* which lies ahead"),
        (lambda q, kv, s: kv < q, "wrong", "leaves position 0 with nothing to attend to"),
        (lambda q, kv, s: (kv <= q).int(), "wrong", "returned torch.int32, not a bool tensor"),
        (lambda q, kv, s: ..., "todo", "replace"),
    ],
)
def test_rules_are_compared_pair_by_pair(answer: Any, state: str, message: str) -> None:
    @exercise("rule", difficulty=1)
    def judge(given: Any) -> Verdict:
        """Write ISM."""
        return compare_rule(given, ism_sees, reason)

    verdict = check("rule", answer)
    assert verdict.state == state
    assert re.search(message, verdict.message)
    if state == "wrong":
        assert verdict.target is not None


def test_the_first_odd_pair_is_pointed_out() -> None:
    verdict = compare_rule(Mask(lambda q, kv, s: kv >= 0 * q), lambda d, i, j: True)
    assert verdict.state == "right"
    verdict = compare_rule(Mask(lambda q, kv, s: (kv >= 0 * q) & ((q != 3) | (kv != 1))), lambda d, i, j: True)
    assert isinstance(verdict.yours, Picture)
    assert "the (3) sees 0, 2" in verdict.yours.alt
    assert "differ" in verdict.message or "pairs" not in verdict.message


def test_the_samples_hold_what_a_rule_may_trip_over() -> None:
    samples = [places(each) for each in sample_dialogues()]
    assert all(isinstance(place, Place) for each in samples for place in each)
    openings, endings = {each[0].role for each in samples}, {each[-1].role for each in samples}
    assert openings == {"system", "user"}
    assert endings == {"user", "assistant"}


# -- numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "expected", "message"),
    [
        (1.0, 1.0, None),
        (1, 1.0, None),
        (torch.ones(2, dtype=torch.float32), torch.ones(2, dtype=torch.float64), None),
        ((0.1, 0.2), [0.1, 0.2], None),
        (math.inf, math.inf, None),
        (2.0, 1.0, "x should be 1, but it is 2."),
        ([[1.0, 2.0], [3.0, 5.0]], [[1.0, 2.0], [3.0, 4.0]], r"x at \[1, 1\] should be 4, but it is 5"),
        ([1.0], 1.0, r"x should have the shape \[\], but it has \[1\]"),
        (True, 1, "x should hold numbers, but it holds bool"),
        ([1, 0], [True, False], "x should hold True or False, but it holds int64"),
        ([1.0, math.nan], [1.0, 2.0], r"x is not a number \(NaN\) at \[1\]"),
        ("one", 1.0, r"x should be a number, but it is 'one' \(str\)"),
        ({}, [1.0, 2.0], r"x should be a tensor of shape \[2\]"),
        ([[1.0], [1.0, 2.0]], [1.0], "x should be a tensor of shape"),
    ],
)
def test_differences_are_named(found: Any, expected: Any, message: str | None) -> None:
    sentence = difference(found, expected, "x")
    assert sentence is None if message is None else sentence is not None and re.search(message, sentence)
