"""Dialogues, tokenizers, models, masks and skills of one's own on the command line."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mini_ism import load_model, load_tokenizer
from mini_ism.__main__ import main
from mini_ism.checkpoints import read_checkpoint, save_model
from mini_ism.corpus import registry
from mini_ism.masks import MASKS
from tests.small_models import small
from tests.test_imports import OWN

SMALL = ["--steps", "2", "--dialogues", "2", "--validate", "1", "--save", "1"]
TURNS = [{"role": "user", "content": "Who is Pia?"}, {"role": "assistant", "content": "A penguin."}]
LONG = [{"role": "user", "content": "word " * 600}, *TURNS[1:], *TURNS]


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of four dialogues, in the working directory."""
    monkeypatch.chdir(tmp_path)
    file = Path("zoo.jsonl")
    file.write_text("".join(json.dumps(TURNS * n) + "\n" for n in (1, 2, 1, 3)), encoding="utf-8")
    return file


def test_tokenizer_then_train_then_eval_then_chat(
    zoo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("more.txt").write_text("penguins and otters\npenguins\n", encoding="utf-8")
    assert main(["tokenizer", "train", "zoo.jsonl", "more.txt", "--vocab-size", "300", "--out", "zoo.tiktoken"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["zoo.tiktoken", "zoo.json"]
    own = load_tokenizer("zoo.tiktoken")
    assert len(own.encode_ordinary(" penguins")) == 1  # at the start of a line, too

    command = ["train", "--data", "zoo.jsonl", "--validation", "zoo.jsonl", "--tokenizer", "zoo.tiktoken", *SMALL]
    assert main(command) == 0
    printed = capsys.readouterr()
    assert "learning from 4 dialogues of one's own, scored on 4 others" in printed.err
    assert "step 2/2" in printed.err
    assert "exact " in printed.err
    folder = Path("runs/zoo-ism-seed0")
    assert load_model(folder)[1].n_vocab == own.n_vocab

    Path("zoo.tiktoken").unlink()  # the model has its own copy
    assert main(["eval", str(folder), "--data", "zoo.jsonl", "--json"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["data"], line["exact"]["answer"][1]) == ("zoo.jsonl", 7)
    assert main(["eval", str(folder), "--data", "zoo.jsonl"]) == 0
    assert "data zoo.jsonl: exact match" in capsys.readouterr().out
    typed = iter(["Who is Pia?", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    assert main(["chat", "--model", str(folder)]) == 0
    assert "first token after" in capsys.readouterr().out


def test_resuming_with_a_changed_file_is_refused(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "--data", "zoo.jsonl", *SMALL]
    assert main(command) == 0
    assert "no --validation" in capsys.readouterr().err
    assert main(command) == 0  # done already
    with zoo.open("a", encoding="utf-8") as file:
        file.write("\n")  # a blank line changes nothing
    assert main(command) == 0
    with zoo.open("a", encoding="utf-8") as file:
        file.write(json.dumps(TURNS) + "\n")
    capsys.readouterr()
    assert main(command) == 1
    assert "data='4 dialogues, sha256" in capsys.readouterr().err


def test_going_on_from_a_folder(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, tokenizer = small("causal")
    save_model(model, "start", tokenizer=tokenizer)
    assert main(["train", "--from", "start", "--data", str(zoo), "--out", "tuned", *SMALL]) == 0
    assert "causal: " in capsys.readouterr().out  # the start's own mask
    assert load_model("tuned")[0].config == model.config
    assert main(["train", "--from", "start", "--data", str(zoo), "--out", "other", "--mask", "ism", *SMALL]) == 0
    assert load_model("other")[0].config.mask == "ism"


def test_other_formats_and_dialogues_that_are_too_long(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = {"conversations": [{"from": "human", "value": "Hi."}, {"from": "gpt", "value": "Hello."}]}
    zoo.write_text(json.dumps(shared), encoding="utf-8")
    assert main(["train", "--data", "zoo.jsonl", *SMALL]) == 1
    assert "it looks like sharegpt: convert it (--convert sharegpt" in capsys.readouterr().err
    assert main(["train", "--data", "zoo.jsonl", "--convert", "sharegpt", *SMALL]) == 0
    zoo.write_text(json.dumps([*TURNS, *LONG]), encoding="utf-8")
    capsys.readouterr()
    assert main(["train", "--data", "zoo.jsonl", "--out", "cut", *SMALL]) == 1
    assert "1 of 1 dialogues have more than the model's 512 tokens: line 1 (" in capsys.readouterr().err
    assert main(["train", "--data", "zoo.jsonl", "--out", "cut", "--cut", *SMALL]) == 0
    assert str(read_checkpoint("cut").training["data"]).startswith("1 dialogues")
    assert main(["eval", "cut", "--data", "zoo.jsonl", "--cut", "--json"]) == 0


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    file = tmp_path / "own_rules.py"
    file.write_text(OWN, encoding="utf-8")
    yield file.name
    MASKS.pop("four_back", None)
    sys.modules.pop("own_rules", None)


def test_a_mask_and_a_skill_from_a_file(own: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "--mask", "four_back", "--skills", "zoo", "--validation-size", "2", *SMALL, "--out", "run"]
    assert main(command) == 1
    assert "no skill named 'zoo'" in (said := capsys.readouterr().err)
    assert said.endswith(" (--import FILE.py brings your own)\n")
    assert main(["train", "--mask", "four_back"]) == 1
    assert capsys.readouterr().err.endswith(" (--import FILE.py brings your own)\n")
    assert main(["train", "--mask", "0 < kv <= q"]) == 1
    assert "--import" not in capsys.readouterr().err  # no file of one's own would help
    assert main([*command, "--import", own]) == 0
    exact = json.loads(Path("run/metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])["exact"]
    assert "zoo" in exact  # scored while training
    assert main(["corpus", "show", "-n", "1", "--skill", "zoo", "--import", own]) == 0
    assert "skills: zoo" in capsys.readouterr().out


def test_eval_asks_for_a_skill(own: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules["mini_ism.__main__"].SIZES, "test", 3)
    model, tokenizer = small("ism")
    save_model(model, "model", tokenizer=tokenizer)
    assert main(["eval", "model", "--skill", "zoo", "--import", own, "--json"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["split"] == "test, zoo only"
    assert list(line["exact"]) == ["zoo"]


def test_eval_looks_for_all_models_before_it_scores_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["mini_ism.__main__"], "evaluate", None)
    assert main(["eval", "ism", "no-such-model"]) == 1
    assert "no checkpoint at no-such-model" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "status"), [([], 0), (["--chunk", "3"], 1)])
def test_the_doctor_s_exit_status_tells_whether_faults_were_found(
    options: list[str], status: int, tmp_path: Path
) -> None:
    save_model(small("ism")[0], tmp_path)
    assert main(["doctor", "--model", str(tmp_path), *options]) == status


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--data", "none.jsonl"], "no dialogues at none.jsonl"),
        (["train", "--data", "zoo.jsonl", "--skills", "recall"], "skills would change nothing"),
        (["train", "--data", "zoo.jsonl", "--easy", "0.2"], "easy would change nothing"),  # not even by its default
        (
            ["train", "--from", "ism", "--preset", "tiny"],
            "preset 'tiny' has another shape than the model to go on from",
        ),
        (["train", "--data", "."], ". is a folder; name a file in it"),
        (["tokenizer", "train", "."], ". is a folder; name a file in it"),
        (
            ["train", "--tokenizer", "zoo.jsonl"],
            "zoo.jsonl is not a tokenizer's file, which ends in .tiktoken; name one",
        ),
        (["train", "--from", "nowhere"], "no checkpoint at nowhere"),
        (["train", "--tokenizer", "none.tiktoken"], "no tokenizer file at none.tiktoken"),
        (["train", "--cut"], "--convert and --cut say how a file of dialogues is read; give it with --data or"),
        (["eval", "ism", "--convert", "parts"], "give it with --data"),
        (["eval", "ism", "--data", "zoo.jsonl", "--skill", "recall"], "--skill draws dialogues from the corpus"),
        (["tokenizer", "train", "none.txt"], "none.txt"),
        (["tokenizer", "train", "zoo.jsonl", "--vocab-size", "260"], "--vocab-size must be at least 261, got 260"),
        (["tokenizer", "train", "zoo.jsonl", "--out", "zoo.bpe"], "ends in .tiktoken, but zoo.bpe does not"),
        (["tokenizer", "train", "none.txt", "--out", "zoo.bpe"], "ends in .tiktoken, but zoo.bpe does not"),
        (["tokenizer", "train", "none.txt", "--out", "zoo.jsonl/own.tiktoken"], "could not save (Not a directory)"),
        (["tokenizer", "train", os.devnull], f"no word in {os.devnull} to learn from"),
        (["tokenizer", "train", "zoo.txt", "--convert", "parts"], "no file ends in .jsonl; leave it out"),
        (["doctor", "--model", "none", "--out", "zoo.png"], "ends in .svg, but zoo.png does not"),
        (["doctor", "--model", "none", "--out", "zoo.jsonl/new.svg"], "could not save (Not a directory)"),
        (["corpus", "build", "--out", "zoo.jsonl"], "could not save (Not a directory)"),
        (["corpus", "show", "--import", "none.py"], "no file at none.py to import"),
        (["corpus", "show", "--skill", "zoology"], "no skill named 'zoology'"),
    ],
)
def test_mistakes_are_told_in_one_line(
    zoo: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert list(Path().iterdir()) == [zoo]


def test_a_file_of_dialogues_may_end_in_capitals(zoo: Path) -> None:
    zoo.with_suffix(".JSONL").write_bytes(zoo.read_bytes())
    for name in ("zoo.jsonl", "zoo.JSONL"):
        assert main(["tokenizer", "train", name, "--vocab-size", "270", "--out", f"{name}.tiktoken"]) == 0
    assert Path("zoo.JSONL.tiktoken").read_bytes() == Path("zoo.jsonl.tiktoken").read_bytes()


@pytest.mark.parametrize(
    "arguments", [["train", "--from", "ism", "--tokenizer", "x"], ["eval", "ism", "--data", "x", "--split", "test"]]
)
def test_options_that_exclude_each_other(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err
