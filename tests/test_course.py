"""The notebooks' set-up cell: where it finds the package, and what it says where it finds none."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.course import repository, setup

REASON = "WARNING: retrying\n  ERROR: no network\nnote: not a problem with pip"


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A kernel without the package, and the pip commands that were run; each fails."""
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command[3:])
        return subprocess.CompletedProcess(command, 1, "", REASON)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "mini_ism.widgets", None)  # importing it fails
    return commands


def checkout(folder: Path) -> Path:
    """A folder of notebooks inside something that looks like a checkout."""
    for name in ("mini_ism", "notebooks"):
        (folder / name).mkdir()
    (folder / "mini_ism" / "__init__.py").touch()
    return folder / "notebooks"


def run_setup() -> None:
    exec(compile(setup(), "set-up", "exec"), {})


def test_it_does_nothing_where_the_package_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", None)
    run_setup()


def test_a_checkout_needs_no_pip_where_all_it_needs_is_there(
    pip: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout(tmp_path))
    monkeypatch.delitem(sys.modules, "mini_ism.widgets")
    run_setup()
    assert pip == []
    assert sys.path[-1] == str(tmp_path.resolve())


@pytest.mark.parametrize("place", ["checkout", "wheel", "neither"])
def test_it_says_in_one_line_where_it_looked_and_what_to_do(
    place: str, pip: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkout(tmp_path) if place == "checkout" else tmp_path
    monkeypatch.chdir(folder)
    if place != "neither":
        (folder / "mini_ism-1.0-py3-none-any.whl").touch()
    with pytest.raises(SystemExit) as ended:
        run_setup()
    source = {
        "checkout": str(tmp_path.resolve()),
        "wheel": str(tmp_path.resolve() / "mini_ism-1.0-py3-none-any.whl"),
        "neither": f"git+{repository()}",
    }[place]
    editable = ["--editable"] if place == "checkout" else []
    assert pip == [["install", "--quiet", *editable, source]]
    said = str(ended.value)
    assert said.startswith(f"mini-ism cannot be installed from {source} (ERROR: no network). Connect to a network")
    assert "\n" not in said
