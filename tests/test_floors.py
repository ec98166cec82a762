"""The house: imports only downwards, no circle, a short path through the core, and types that a caller can follow."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS: tuple[tuple[str, ...], ...] = (
    ("rule_checks", "typed"),
    ("paths", "checks", "devices", "early", "interfaces", "interrupts", "segments", "speed", "strict_json", "terminal"),
    ("ahead", "command_line", "files", "folder_lock", "bpe", "imports"),
    ("tokenizer_files", "storage"),
    ("mask", "metrics", "tokenizer", "markers", "distributed"),
    ("expressions",),
    ("masks",),
    ("reuse", "rule_reads"),
    ("dialogue", "cache", "config", "functional", "planner", "gallery"),
    ("model_inputs",),
    ("model", "sampling"),
    ("trace", "replies"),
    ("transcript",),
    ("chat",),
    ("cost",),
    ("corpus",),
    ("batching", "decoding"),
    ("evaluation", "attention_stats", "blind_cache", "trainable", "paged"),
    ("line_attention",),
    ("checkpoints",),
    ("run_files", "sources"),
    ("training",),
    ("progress", "own_options"),
    ("regression", "results"),
    ("views",),
    ("exercises", "hf", "turn_bench", "widgets"),
    ("__init__",),
    ("__main__",),
)
"""Rooms from the ground up: a room imports from floors below its own, and from itself."""

LATE = {
    ("mini_ism", "mini_ism.views"),  # names that are looked up when they are first used
    ("mini_ism.mask", "mini_ism.views"),  # a mask shows itself in a notebook
    ("mini_ism.views", "mini_ism.views"),  # an SVG needs no matplotlib
}
"""The imports that wait inside a function, so that the core loads no picture: one for each thing that shows itself."""


def modules(package: str) -> dict[str, ast.Module]:
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imported(tree: ast.AST, known: set[str]) -> set[str]:
    """The modules of the project that a tree imports, submodules rather than the packages they lie in."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & known or {node.module}
    return found & known


def without_late(tree: ast.Module) -> ast.Module:
    """The part of a module that runs, or that a type checker reads, when it is imported."""

    class Skip(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)

    found = Skip().visit(ast.parse(ast.unparse(tree)))
    assert isinstance(found, ast.Module)
    return found


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


TREES = modules("mini_ism")
FLOOR = {name: number for number, floor in enumerate(FLOORS) for name in floor}


def test_every_room_has_a_floor() -> None:
    assert {room(module) for module in TREES} == set(FLOOR)


@pytest.mark.parametrize("module", TREES)
def test_imports_go_down(module: str) -> None:
    here = room(module)
    for other in imported(without_late(TREES[module]), set(TREES)):
        there = room(other)
        assert there == here or FLOOR[there] < FLOOR[here], f"{module} imports {other}, which is not below it"


@pytest.mark.slow
def test_what_is_imported_late_is_known_and_said() -> None:
    known = set(TREES)
    late = {
        (module, ".".join(other.split(".")[:2]))
        for module, tree in TREES.items()
        for other in imported(tree, known) - imported(without_late(tree), known)
    }
    assert late == LATE


@pytest.mark.slow
@pytest.mark.parametrize("package", ["mini_ism", "research"])
def test_no_circle(package: str) -> None:
    trees = modules(package)
    graph = {
        module: {
            other
            for other in imported(without_late(tree), set(trees))
            if not module.startswith(f"{other}.")  # a module inside a package does not need the package's own names
        }
        - {module}
        for module, tree in trees.items()
    }
    assert len(list(TopologicalSorter(graph).static_order())) == len(trees)


def test_research_is_above_and_not_inside() -> None:
    for module, tree in TREES.items():
        names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        assert not any(name.split(".")[0] in ("research", "tools", "tests", "benchmarks") for name in names), module


PATH = (
    *("segments", "mask", "masks", "reuse", "dialogue", "tokenizer", "cache", "model"),
    *("sampling", "trace", "chat", "batching", "training"),
)
"""The afternoon path, in reading order."""
BESIDE = ("config", "expressions", "functional", "replies", "transcript", "planner", "rule_reads")
"""What the path leans on, for a second afternoon."""


def test_the_afternoon_path_stays_short() -> None:
    names = (*PATH, *BESIDE)
    lines = {name: len((ROOT / "mini_ism" / f"{name}.py").read_text(encoding="utf-8").splitlines()) for name in names}
    assert max(lines.values()) <= 360, lines
    assert lines["model"] <= 320
    assert sum(lines[name] for name in PATH) <= 2400, lines
    assert sum(lines.values()) <= 3400, lines


def test_nothing_public_returns_any() -> None:
    """A caller's type checker follows every public function."""

    def returns(node: ast.AST, name: str) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef) and not child.name.startswith("_"):
                if child.returns is not None and re.search(r"\bAny\b", ast.unparse(child.returns)):
                    yield f"{name}.{child.name}"
            elif isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
                yield from returns(child, f"{name}.{child.name}")

    found = [name for module, tree in TREES.items() for name in returns(tree, module)]
    assert found == ["mini_ism.views.attention_colours.RootScale.inverse"]  # as matplotlib's Normalize has it
