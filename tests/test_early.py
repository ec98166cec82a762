"""Ctrl-C while a command still loads."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SLOW_TORCH = """
import sys, time
print("loading", flush=True)
time.sleep(60)
"""


def start(folder: Path, *command: str) -> "subprocess.Popen[str]":
    """A program whose PyTorch takes a minute to load."""
    (folder / "torch.py").write_text(SLOW_TORCH, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    return subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("script", [False, True])
def test_ctrl_c_while_a_command_loads_ends_it_in_a_word(tmp_path: Path, script: bool) -> None:
    file = tmp_path / "mini-ism"
    file.write_text("from mini_ism.__main__ import main\nmain()\n", encoding="utf-8")
    with start(tmp_path, *([str(file)] if script else ["-m", "mini_ism", "--version"])) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate()[1] == "\nstopped\n"
    assert process.returncode == 130


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_while_another_program_loads_is_its_own(tmp_path: Path) -> None:
    with start(tmp_path, "-c", "import mini_ism") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate()[1].endswith("KeyboardInterrupt\n")
