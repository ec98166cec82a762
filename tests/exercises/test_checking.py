"""Slips that can be made in any exercise: each solution of the course, spoiled in one way after another."""

import ast
import copy
import math
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from mini_ism.exercises import check, exercises
from mini_ism.exercises.dialogues import TALK
from mini_ism.exercises.judging import sample_dialogues
from mini_ism.segments import Segments
from tests.exercises.test_solutions import FENCE, imports, is_check, notebook_of, tagged
from tests.exercises.verdicts import assert_todo, assert_wrong


@cache
def solution(name: str) -> Any:
    """The answer that a notebook's solution gives."""
    notebook = notebook_of(name)
    stub = ast.parse(tagged(notebook, "exercise", name).source)
    (call,) = [statement for statement in stub.body if is_check(statement, name)]
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    (code,) = FENCE.findall(tagged(notebook, "solution", name).source)
    body = [each for each in ast.parse(code).body if not is_check(each, name)]
    space: dict[str, Any] = {}
    for part in (imports(notebook), body):
        exec(compile(ast.Module(part, []), name, "exec"), space)
    return eval(compile(ast.Expression(call.value.args[1]), name, "eval"), space)


VALUES = {"break-the-chat", "marker-injection"}  # their answers are no functions
FUNCTIONS = [each.name for each in exercises() if each.name not in VALUES]
EVERY_FUNCTION = pytest.mark.parametrize("name", FUNCTIONS)


def spoiled(name: str, spoil: Callable[[Any], Any]) -> Callable[..., Any]:
    """The solution, with something done to what it returns."""
    right = solution(name)

    def answer(*values: Any) -> Any:
        return spoil(right(*values))

    return answer


def changed(value: Any) -> bool:
    """Change an argument in place, if that can be done."""
    if isinstance(value, Tensor) and value.numel():
        with torch.no_grad():
            value.view(-1)[0] = ~value.view(-1)[0] if value.dtype == torch.bool else value.view(-1)[0] + 1
        return True
    if isinstance(value, list) and value:
        value.append(value[0])
        return True
    return False


def shifted(value: Any) -> Any:
    """Off by one: numbers one too large, flags and lists one place further on, words with a letter too many."""
    if isinstance(value, Tensor):
        return value.roll(1, -1) if value.dtype == torch.bool else value + 1
    if isinstance(value, bool):
        return not value
    if isinstance(value, tuple):
        return tuple(map(shifted, value))
    if isinstance(value, list):
        return [v + 1 if type(v) is int else v for v in value] if type(value[0]) is int else value[1:]
    return value + "s" if isinstance(value, str) else value + 1


def shorter(value: Any) -> Any:
    """A wrong shape: one entry missing, or a number in a list."""
    if isinstance(value, Tensor):
        return value[..., :-1] if value.ndim else value.repeat(2)
    return value[:-1] if isinstance(value, list | tuple | str) else [value]


def halved(value: Any) -> Any:
    """The wrong kind: numbers with a fraction, or text where flags or lists should be."""
    if isinstance(value, Tensor):
        return value + 0.5
    return value + 0.5 if type(value) in (int, float) else "yes"


@EVERY_FUNCTION
def test_a_missing_return_is_named(name: str) -> None:
    assert_wrong(name, spoiled(name, lambda value: None), r"^answer returned None: is a `return` missing\?$")


@EVERY_FUNCTION
def test_an_answer_that_is_begun_is_not_done(name: str) -> None:
    assert_todo(name, spoiled(name, lambda value: ...))


@pytest.mark.slow
@EVERY_FUNCTION
def test_a_changed_argument_is_named(name: str) -> None:
    right, seen = solution(name), []

    def answer(*values: Any) -> Any:
        result = copy.deepcopy(right(*values))
        seen.extend([changed(value) for value in values])  # all of them
        return result

    verdict = check(name, answer)
    if any(seen):
        assert verdict.state == "wrong"
        assert "belongs to its caller" in verdict.message
    else:
        assert verdict.state == "right", verdict  # it is given nothing that it could change


@pytest.mark.slow
@EVERY_FUNCTION
@pytest.mark.parametrize("spoil", [shifted, shorter, halved])
def test_a_spoiled_result_is_refused_in_a_sentence(name: str, spoil: Callable[[Any], Any]) -> None:
    message = check(name, spoiled(name, spoil))
    assert message.state == "wrong"
    assert len(message.message) > 30
    assert "does not fit the task" not in message.message, "the judge itself stumbled"


def replaced(value: Any, number: float, everywhere: bool) -> Any:
    """All numbers of a result, or its first one, replaced by another; flags, words and lists count as numbers here."""
    if isinstance(value, Tensor):
        result = torch.full(value.shape, number) if everywhere else value.float().clone()
        result.view(-1)[:1] = number
        return result
    if isinstance(value, list | tuple):
        kept = [replaced(each, number, everywhere) if everywhere else each for each in value[1:]]
        return type(value)([replaced(value[0], number, everywhere), *kept])
    return number


NOT_FINITE = [math.nan, math.inf]


@pytest.mark.slow
@EVERY_FUNCTION
@pytest.mark.parametrize("everywhere", [True, False])
@pytest.mark.parametrize("number", NOT_FINITE)
def test_what_is_not_finite_is_refused_in_a_sentence(name: str, number: float, everywhere: bool) -> None:
    verdict = check(name, spoiled(name, lambda value: replaced(value, number, everywhere)))
    assert verdict.state == "wrong", verdict
    assert "does not fit the task" not in verdict.message, verdict
    verdict._repr_mimebundle_()


@EVERY_FUNCTION
@pytest.mark.parametrize("number", NOT_FINITE)
def test_a_number_that_is_not_finite_is_never_right(name: str, number: float) -> None:
    for answer in (lambda *values: number, lambda *values: torch.tensor(number), lambda *values: [number] * 2):
        assert check(name, answer).state == "wrong"


@EVERY_FUNCTION
def test_other_arguments_are_named(name: str) -> None:
    assert_wrong(name, lambda: 0, r"takes \(\)")


def test_an_answer_that_leaves_python_is_wrong_and_ctrl_c_goes_through() -> None:
    assert_wrong("masked-softmax", lambda scores, allowed: sys.exit(), "raised SystemExit")

    def stopped(scores: Tensor, allowed: Tensor) -> Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check("masked-softmax", stopped)


def test_what_exercises_share_survives_an_answer_that_changes_it() -> None:
    def rewrites(messages: list[dict[str, str]]) -> list[list[dict[str, str]]]:
        messages[0]["content"] = "Something else."
        return [messages]

    def renumbers(q: Tensor, kv: Tensor, s: Segments) -> Tensor:
        s.id.add_(1)
        return kv <= q

    ids = sample_dialogues()[0].segments.id.clone()
    assert_wrong("triplet-expansion", rewrites, "changes `messages`, which belongs to its caller")
    assert_wrong("causal-rule", renumbers, "changes `s`, which belongs to its caller")
    assert TALK[0]["content"] == "Be kind and brief."
    assert torch.equal(sample_dialogues()[0].segments.id, ids)
