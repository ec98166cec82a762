"""How a command ends."""

import io
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest
import torch

from mini_ism.checks import whole_number
from mini_ism.command_line import empty_argument, prepare_streams, run_command


def test_a_stream_that_the_shell_closed_becomes_the_null_device(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    prepare_streams()
    opened = sys.stdin, sys.stdout, sys.stderr
    assert opened[0].read() == ""
    print("nobody reads this")
    print("nor this", file=sys.stderr)
    for stream in opened:
        stream.close()


def test_a_stream_that_is_open_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    monkeypatch.setattr(sys, "stdout", text)
    prepare_streams()
    assert sys.stdout is text


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["chat", "--model", ""], "--model"),
        (["chat", "--model", " "], "--model"),
        (["train", "--mask=", "--steps", "9"], "--mask"),
        (["eval", ""], "eval"),
        ([""], "a command"),
        (["chat", "--model", "a=b", "--system", "= ="], ""),
    ],
)
def test_an_empty_text_is_named_by_its_option(arguments: list[str], named: str) -> None:
    told = f"{named} is given an empty text; give it a value, or leave it out" if named else ""
    assert empty_argument(arguments) == told


def test_a_warning_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def warn() -> None:
        warnings.simplefilter("default")
        warnings.warn("mind the gap", stacklevel=1)

    assert run_command(warn, "mini-ism") == 0
    assert capsys.readouterr().err == "mini-ism: mind the gap\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_behind_the_output_is_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = os.fdopen(os.open("/dev/full", os.O_WRONLY), "w")
    monkeypatch.setattr(sys, "stdout", full)
    assert run_command(lambda: print("text"), "mini-ism") == 1
    full.close()  # as Python does at its end; nothing is left to fail
    assert capsys.readouterr().err == "mini-ism: [Errno 28] No space left on device\n"


def broken_pipe() -> TextIO:
    """What is written there nobody reads any more."""
    read, write = os.pipe()
    os.close(read)
    return os.fdopen(write, "w")


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_work_goes_on_when_nobody_reads_what_is_said_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    done = []

    def work() -> None:
        for step in range(3):
            print("step", step, file=sys.stderr, flush=True)
            done.append(step)

    stderr = broken_pipe()
    monkeypatch.setattr(sys, "stderr", stderr)
    assert run_command(work, "mini-ism") == 0
    assert done == [0, 1, 2]
    stderr.close()  # as Python does at its end; nothing is left to fail


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_work_ends_when_nobody_reads_what_it_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stdout = broken_pipe()
    monkeypatch.setattr(sys, "stdout", stdout)
    assert run_command(lambda: print("text", flush=True), "mini-ism") == 0
    stdout.close()
    assert capsys.readouterr().err == ""


def test_a_value_of_another_type_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(lambda: whole_number("n", 1.5, 0), "mini-ism") == 1
    assert capsys.readouterr().err == "mini-ism: n must be a whole number, got 1.5\n"


@pytest.mark.parametrize("mistake", [lambda: len(3), lambda: torch.zeros("x")])  # type: ignore[arg-type]
def test_a_mistake_of_the_program_shows_where_it_is(mistake: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        run_command(mistake, "mini-ism")


@pytest.mark.parametrize(("returned", "status"), [(1, 1), (0, 0), (None, 0), (True, 0), ("text", 0)])
def test_a_command_may_end_with_a_status_of_its_own(returned: object, status: int) -> None:
    assert run_command(lambda: returned, "mini-ism") == status
