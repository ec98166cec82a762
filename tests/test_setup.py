"""Setting up: what the Makefile does before anything runs, and that nothing is left over where it cannot."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.environment import oldest, provide

ROOT = Path(__file__).resolve().parents[1]
HERE = f"3.{sys.version_info[1]}"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="the Makefile is for systems with a shell")


def script(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")
    path.chmod(0o755)
    return path


def pretend(folder: Path, minor: int | None) -> Path:
    """An environment whose Python says that it is Python 3.``minor``, or does not run."""
    script(folder / "bin" / "python", "exit 1" if minor is None else f"echo {minor}")
    return folder


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What is made, without taking the time to make it."""
    made: list[Path] = []

    def call(command: list[str]) -> int:
        assert command[:3] == [sys.executable, "-m", "venv"]
        made.append(pretend(Path(command[3]), sys.version_info[1]))
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    return made


def too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    monkeypatch.setattr("platform.python_version", lambda: "3.9.18")


def test_the_oldest_python_is_the_one_that_pyproject_says() -> None:
    assert oldest() == 10


def test_a_python_that_is_too_old_is_refused_by_version_before_anything_is_made(
    tmp_path: Path, made: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    too_old(monkeypatch)
    assert provide(tmp_path / "env", "python3.9") == 1
    assert "needs Python 3.10 or newer, and python3.9 is Python 3.9.18." in capsys.readouterr().err
    assert not made
    pretend(tmp_path / "env", 9)  # of before such a Python was refused
    assert provide(tmp_path / "env", "python3") == 1
    assert (tmp_path / "env").is_dir()
    pretend(tmp_path / "env", 12)  # asked for by name, once: a Python that is too old need not be asked for again
    assert provide(tmp_path / "env", "python3") == 0
    assert provide(tmp_path / "env", "python3.9") == 1


@pytest.mark.parametrize("minor", [None, 9, sys.version_info[1] + 1])
def test_an_environment_that_will_not_do_is_made_again(
    tmp_path: Path, made: list[Path], minor: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    left = pretend(tmp_path / "env", minor) / "test.stamp"
    left.touch()
    assert provide(tmp_path / "env", f"python{HERE}") == 0
    assert made == [tmp_path / "env"]
    assert not left.exists()
    assert ("does not run" if minor is None else f"is of Python 3.{minor}") in capsys.readouterr().out


def test_an_environment_that_will_do_is_kept(tmp_path: Path, made: list[Path]) -> None:
    kept = pretend(tmp_path / "env", sys.version_info[1] + 1) / "test.stamp"
    kept.touch()
    assert provide(tmp_path / "env", "python3") == 0
    pretend(tmp_path / "env", sys.version_info[1])
    assert provide(tmp_path / "env", f"python{HERE}") == 0
    assert kept.exists()
    assert not made


def test_what_is_half_made_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def call(command: list[str]) -> int:
        Path(command[3]).mkdir()
        return 1

    monkeypatch.setattr(subprocess, "call", call)
    assert provide(tmp_path / "env", "python3") == 1
    assert not (tmp_path / "env").exists()


@pytest.mark.slow
def test_a_real_environment_is_made_and_then_kept(tmp_path: Path) -> None:
    file, folder = str(ROOT / "tools" / "environment.py"), str(tmp_path / "env")
    command = [sys.executable, file, folder, f"python{HERE}"]
    subprocess.run(command, check=True)
    before = (tmp_path / "env" / "pyvenv.cfg").stat().st_mtime_ns
    subprocess.run(command, check=True)
    assert (tmp_path / "env" / "pyvenv.cfg").stat().st_mtime_ns == before


# -- make ------------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which making an environment and installing into it takes no time, and all that runs is noted."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "tools/environment.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    python = script(
        tmp_path / "bin" / "python3",
        f'case "$1" in tools/*) exec "{sys.executable}" "$@" ;; esac',  # makes nothing: there is an environment
    )
    script(tmp_path / ".venv" / "bin" / "python", f'test "$1" != -c || exec echo {HERE[2:]}', 'echo "$@" >> "$NOTES"')
    (tmp_path / ".venv" / "pyvenv.cfg").touch()
    return python.parent


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
@pytest.mark.parametrize("user", [0, 1000])
def test_make_lab_starts_for_root_and_for_a_user(checkout: Path, user: int) -> None:
    script(checkout / "id", f"echo {user}")
    notes = checkout / "notes"
    env = {**os.environ, "PATH": f"{checkout}{os.pathsep}{os.environ['PATH']}", "NOTES": str(notes)}
    for _ in range(2):
        subprocess.run(["make", "lab", "LAB_ARGS=--no-browser"], cwd=checkout.parent, env=env, check=True)
    install, news, *started = notes.read_text(encoding="utf-8").splitlines()
    assert install.endswith("-c constraints.txt -e .[lab]"), "once, and not again"
    assert news.startswith("-m jupyter labextension disable --level=sys_prefix"), "nothing covers the first picture"
    flag = " --allow-root" if user == 0 else ""
    assert started == [f"-m jupyterlab{flag} --no-browser notebooks/00_start_here.ipynb"] * 2
