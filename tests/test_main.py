"""The command line, as a user types it."""

import json
from pathlib import Path

import pytest

from mini_ism.__main__ import main

SMALL = ["--steps", "2", "--dialogues", "2", "--validate", "2", "--validation", "2", "--save", "1"]


def test_train_then_eval_then_chat(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(tmp_path / "run")
    assert main(["train", "--mask", "ism", "--out", out, "--half", *SMALL]) == 0
    told = capsys.readouterr()
    assert "2 steps" in told.out
    assert "all turns of a dialogue in one pass" in told.err
    assert main(["eval", out, "--json", "--split", "validation"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["mask"] == "ism"
    assert sum(total for _, total in line["exact"].values()) > 500
    typed = iter(["Where is the key?", "Who am I?", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    assert main(["chat", "--model", out]) == 0
    told = capsys.readouterr()
    assert told.out.count("first token after") == 2
    assert "reused 0, read" in told.out


def test_chat_side_by_side(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter(["The cup is in the box. Where is the cup?", "What is my name?", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    assert main(["chat", "--mask", "all"]) == 0
    turns = capsys.readouterr().out.split("causal> ")[1:]
    assert len(turns) == 2
    assert all("prefix> " in turn and "ism> " in turn for turn in turns)
    prefix = turns[1].split("prefix> ")[1]
    ism = turns[1].split("ism> ")[1].split("prefix> ")[0]
    assert "reused 0," in prefix
    assert "reused 0," not in ism


def test_corpus_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpus", "show", "-n", "2", "--skill", "recall"]) == 0
    assert capsys.readouterr().out.count("skills:") == 2


def test_bench(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--preset", "tiny", "--answer", "2"]) == 0
    assert "prefix / ism" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--mask", "izm"], "unknown mask 'izm'"),
        (["train", "--lr", "-1"], "lr must be above 0, got -1.0"),
        (["eval", "no-such-model"], "no checkpoint at no-such-model"),
        (["chat", "--mask", "izm"], "no checkpoint at izm"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_usage() -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
