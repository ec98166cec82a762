"""How a command ends."""

import io
import os
import sys
import warnings
from pathlib import Path

import pytest

from mini_ism.command_line import empty_argument, open_closed_streams, run_command


def test_a_stream_that_the_shell_closed_becomes_the_null_device(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    open_closed_streams()
    opened = sys.stdin, sys.stdout, sys.stderr
    assert opened[0].read() == ""
    print("nobody reads this")
    print("nor this", file=sys.stderr)
    for stream in opened:
        stream.close()


def test_a_stream_that_is_open_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    monkeypatch.setattr(sys, "stdout", text)
    open_closed_streams()
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
