"""The solutions in the notebooks, run in place of their stubs, pass the checks; the stubs do not."""

import ast
import importlib
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode

from mini_ism.exercises import Verdict, exercises
from tools.run_notebooks import NOTEBOOKS, read

FENCE = re.compile(r"```python\n(.*?)\n```", re.DOTALL)
NAMES = [each.name for each in exercises()]


@cache
def cells() -> dict[str, list[NotebookNode]]:
    return {path.stem: read(path).cells for path in sorted(NOTEBOOKS.glob("*.ipynb"))}


def tagged(notebook: str, kind: str, name: str) -> NotebookNode:
    """The one cell of a notebook that is an exercise's stub or solution."""
    found = [cell for cell in cells()[notebook] if f"{kind}:{name}" in cell.metadata.get("tags", [])]
    assert len(found) == 1, f"{notebook} has {len(found)} cells tagged {kind}:{name}"
    return found[0]


@cache
def imports(notebook: str) -> list[ast.stmt]:
    """All that a notebook imports, in order."""
    sources = (cell.source for cell in cells()[notebook] if cell.cell_type == "code")
    statements = (statement for source in sources for statement in ast.parse(source).body)
    return [statement for statement in statements if isinstance(statement, ast.Import | ast.ImportFrom)]


def is_check(statement: ast.stmt, name: str) -> bool:
    match statement:
        case ast.Expr(ast.Call(func=ast.Name("check"), args=[ast.Constant(value), *_])):
            return bool(value == name)
    return False


def verdict(notebook: str, name: str, source: str) -> Verdict:
    """What the check in the stub's cell says after other code has run in its place."""
    stub = ast.parse(tagged(notebook, "exercise", name).source)
    (check,) = [statement for statement in stub.body if is_check(statement, name)]
    assert isinstance(check, ast.Expr)
    space: dict[str, Any] = {}
    for body in (imports(notebook), ast.parse(source).body):
        exec(compile(ast.Module(body, []), f"{notebook}, {name}", "exec"), space)
    result: Verdict = eval(compile(ast.Expression(check.value), f"{notebook}, {name}", "eval"), space)
    return result


def notebook_of(name: str) -> str:
    return next(each.notebook for each in exercises() if each.name == name)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_solution_passes(name: str) -> None:
    (code,) = FENCE.findall(tagged(notebook_of(name), "solution", name).source)
    found = verdict(notebook_of(name), name, code)
    assert found.state == "right", found


@pytest.mark.parametrize("name", NAMES)
def test_the_stub_is_not_done(name: str) -> None:
    stub = ast.parse(tagged(notebook_of(name), "exercise", name).source)
    body = [statement for statement in stub.body if not is_check(statement, name)]
    assert verdict(notebook_of(name), name, ast.unparse(ast.Module(body, []))).state == "todo"


@pytest.mark.parametrize("name", NAMES)
def test_the_stubs_look_alike(name: str) -> None:
    """A function that returns ``...``, or a value that is ``...``, marked with TODO; and then its check."""
    stub = r'(def .*:.*\n(    """.*\n)?    return|\w+ =) \.\.\.  # TODO.*\n(\n\n)?check\('
    assert re.search(rf"^{stub}", tagged(notebook_of(name), "exercise", name).source, re.MULTILINE)


@pytest.mark.parametrize("notebook", cells())
def test_every_tag_names_an_exercise_of_its_notebook(notebook: str) -> None:
    tags = [tag for cell in cells()[notebook] for tag in cell.metadata.get("tags", [])]
    for kind in ("exercise:", "solution:"):
        named = sorted(tag.removeprefix(kind) for tag in tags if tag.startswith(kind))
        assert named == sorted(each.name for each in exercises() if each.notebook == notebook)


@pytest.mark.parametrize("name", NAMES)
def test_the_heading_shows_the_difficulty(name: str) -> None:
    """``### Exercise 1.2 ●●○ Title`` stands above the stub, with the dots that the check was registered with."""
    each = next(each for each in exercises() if each.name == name)
    stub = tagged(each.notebook, "exercise", name)
    order = cells()[each.notebook]
    headings = [
        c.source for c in order[: order.index(stub)] if c.cell_type == "markdown" and "### Exercise" in c.source
    ]
    assert headings
    number = int(each.notebook[:2])
    assert re.search(rf"^### Exercise {number}\.\d+ {each.dots} \S", headings[-1], re.MULTILINE), headings[-1][:80]


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_is_collapsed(name: str) -> None:
    source = tagged(notebook_of(name), "solution", name).source
    assert source.startswith("<details><summary>Solution</summary>\n")
    assert source.endswith("</details>")


def test_each_exercise_has_wrong_answers_that_are_held_to_their_messages() -> None:
    counted: Counter[str] = Counter()
    for path in Path(__file__).parent.glob("test_*.py"):
        tests = vars(importlib.import_module(f"{__package__}.{path.stem}"))
        for name in tests.keys() & {"test_wrong_answers_are_told_why", "test_a_wrong_answer_is_told_why"}:
            (mark,) = (mark for mark in tests[name].pytestmark if mark.name == "parametrize")
            counted.update(case[0] for case in mark.args[1])
    assert counted.keys() == set(NAMES)
    assert min(counted.values()) >= 2, counted
    assert len(NAMES) >= 20
