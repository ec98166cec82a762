"""The tests stand where the code stands: a test file is named after the module or package that it tests."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
NOT_OF_ONE_MODULE = {
    "exercises/test_solutions.py",
    "test_claims.py",
    "test_chat_check.py",  # of tools
    "test_course.py",  # of tools
    "test_cuda.py",
    "test_floors.py",
    "test_guide.py",
    "test_interrupts_in_chat.py",
    "test_layout.py",
    "test_main.py",  # of __main__, whose tests would be test___main__
    "test_notebooks.py",
    "test_packaging.py",
    "test_pictures.py",
    "test_playground.py",  # of tools
    "test_public_names.py",
    "test_scale_page.py",
    "test_setup.py",
    "test_site.py",  # of docs and tools
}
"""Tests of the repository as a whole, and of names that no test file can take."""
FILES = sorted(path.relative_to(TESTS) for path in TESTS.rglob("test_*.py") if "browser" not in path.parts)


def sources(file: Path) -> list[Path]:
    """Where the module or package of a test file may stand; ``research`` and ``benchmarks`` are no part of it."""
    source = ROOT if file.parts[0] in ("research", "benchmarks") else ROOT / "mini_ism"
    place = source / file.parent / file.stem.removeprefix("test_")
    return [place.with_suffix(".py"), place / "__init__.py"]


@pytest.mark.parametrize("file", FILES, ids=Path.as_posix)
def test_a_test_file_names_what_it_tests(file: Path) -> None:
    exists = any(path.is_file() for path in sources(file))
    assert exists != (file.as_posix() in NOT_OF_ONE_MODULE), f"{file}: there is none of {sources(file)}"


def test_the_exceptions_are_there() -> None:
    assert {file.as_posix() for file in FILES} >= NOT_OF_ONE_MODULE
