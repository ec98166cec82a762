"""The command line, as a user types it."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import Tensor

from mini_ism import load_tokenizer
from mini_ism.__main__ import main
from mini_ism.checkpoints import save_model
from mini_ism.corpus import SIZES, load_split
from mini_ism.corpus.topics import ABOUT, ABOUT_OTHERS, EXAMPLES, knows_them_all
from mini_ism.paths import data_dir
from mini_ism.run_files import run_name
from mini_ism.sampling import Sampler
from tests.faults import FULL, fail
from tests.strategies import random_model

SMALL = ["--steps", "2", "--dialogues", "2", "--validate", "2", "--validation-size", "2", "--save", "1"]


@pytest.mark.slow
def test_train_then_eval_then_chat(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(tmp_path / "run")
    assert main(["train", "--mask", "ism", "--out", out, "--bits", "8", *SMALL]) == 0
    printed = capsys.readouterr()
    assert "2 steps" in printed.out
    assert "all turns of a dialogue in one pass" in printed.err
    assert main(["eval", out, "--json", "--split", "validation"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["mask"] == "ism"
    assert sum(total for _, total in line["exact"].values()) > 500
    typed = iter(["Where is the key?", "Who am I?", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    assert main(["chat", "--model", out]) == 0
    printed = capsys.readouterr()
    assert printed.out.count("first token after") == 2
    assert "reused 0, read" in printed.out


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


def test_one_model_under_several_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = load_tokenizer()
    save_model(random_model(vocab_size=tokenizer.n_vocab, context=96), tmp_path)
    for mask, names in (("all", ["causal", "prefix", "ism"]), ("ism(sink=True)", ["ism(sink=True)"])):
        typed = iter(["Hi.", ""])
        monkeypatch.setattr("builtins.input", lambda prompt, typed=typed: next(typed))
        monkeypatch.setattr(Sampler, "pick", lambda *_: tokenizer.encode_single_token("<|end|>"))
        assert main(["chat", "--model", str(tmp_path), "--mask", mask]) == 0
        printed = capsys.readouterr().out
        assert [line.removesuffix("> ") for line in printed.splitlines() if line.endswith("> ")] == names


def test_ctrl_c_stops_an_answer_and_the_chat_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = iter(["My name is Ada.", "What is my name?", "What is my name?", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    pick, calls = Sampler.pick, iter(range(99))

    def press(sampler: Sampler, logits: Tensor) -> int:
        if next(calls) == 4:  # in the second answer; the first one is "Okay." and its end
            signal.raise_signal(signal.SIGINT)
        return pick(sampler, logits)

    monkeypatch.setattr(Sampler, "pick", press)
    assert main(["chat"]) == 0
    turns = capsys.readouterr().out.split("ism> ")[1:]
    assert [turn.count("(stopped)") for turn in turns] == [0, 1, 0]
    assert "Ada.\n" in turns[2]


@pytest.mark.parametrize("last", ["exit", " Quit ", "", EOFError])
def test_a_chat_says_what_to_say_and_is_left_by_exit_quit_nothing_or_ctrl_d(
    last: str | type[EOFError], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed: Iterator[str | type[EOFError]] = iter(["Hello. exit", last])

    def read(prompt: str) -> str:
        if isinstance(text := next(typed), str):
            return text
        raise text

    monkeypatch.setattr("builtins.input", read)
    monkeypatch.setattr(Sampler, "pick", lambda *_: load_tokenizer().encode_single_token("ar"))
    assert main(["chat"]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith(f"{ABOUT}\nFor example: {EXAMPLES[0]}\n")
    assert printed.out.count("first token after") == 1
    assert "ism> arararar (stopped: it was repeating itself)\n" in printed.out


def test_a_chat_does_not_promise_what_its_model_never_learned(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda prompt: "exit")
    assert main(["chat", "--mask", "chains-ism"]) == 0
    assert capsys.readouterr().err.startswith(f"{ABOUT_OTHERS}\n")
    assert knows_them_all({"skills": "all", "corpus": 2})
    assert not knows_them_all({"skills": "all", "data": "120 dialogues"})
    assert not knows_them_all({"skills": "queue"})


def test_chat_ends_with_its_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Hello."))
    assert main(["chat"]) == 0
    assert "first token after" in capsys.readouterr().out


def test_a_byte_of_another_encoding_ends_no_chat(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = io.TextIOWrapper(io.BytesIO(b"My name is Ren\xe9.\nHi.\n"), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", typed)
    assert main(["chat"]) == 0
    assert capsys.readouterr().out.count("first token after") == 2


def test_the_folder_of_a_long_mask_has_a_name_that_fits() -> None:
    masks = [" | ".join(["causal"] * n + ["ism"]) for n in (1, 50, 51)]
    names = [run_name(mask, 0) for mask in masks]
    assert names[0] == "causal---ism-seed0"
    assert max(map(len, names)) < 80
    assert len(set(names)) == 3
    assert len(run_name("causal", 0, Path("x" * 200))) < 80


def test_what_does_not_fit_is_told_and_the_chat_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(random_model(vocab_size=load_tokenizer().n_vocab, context=24), tmp_path)
    typed = iter(["key " * 30, "Hi.", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    assert main(["chat", "--model", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"\(the message needs \d+ .* after 0; say it in fewer words, or start another chat\)", printed)
    assert printed.count("first token after") == 1


def test_corpus_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpus", "show", "-n", "2", "--skill", "recall"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("skills:") == 2
    assert "\x1b" not in printed  # no colours where there is no terminal


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = [sys.executable, "-m", "mini_ism", "corpus", "show", "-n", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.mark.slow
def test_a_full_disk_while_the_corpus_is_built(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is the old one or the new one, whole; the same command again writes the rest."""
    ranks = (data_dir() / "tokenizer" / "mini-ism.tiktoken").read_bytes()
    monkeypatch.setattr("mini_ism.corpus.build.train_ranks", lambda: ranks)
    frozen = {name: load_split(name) for name in SIZES}
    monkeypatch.setattr("mini_ism.corpus.build.draw_split", lambda name: frozen[name][:30])
    assert main(["corpus", "build", "--out", str(tmp_path)]) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(before) == len(capsys.readouterr().out.splitlines()) == 9
    monkeypatch.setattr("mini_ism.corpus.build.draw_split", lambda name: frozen[name][30:60])
    for nth in range(1, 10):  # whichever file it is that does not fit
        with monkeypatch.context() as patched:
            patched.setattr("mini_ism.files.os.fsync", fail(nth, FULL))
            assert main(["corpus", "build", "--out", str(tmp_path)]) == 1
        assert "No space left on device); what was there before is untouched. Free some" in capsys.readouterr().err
        here = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert here.keys() == before.keys()
        if nth == 1:
            assert here == before
    assert main(["corpus", "build", "--out", str(tmp_path)]) == 0
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    changed = {path.name for path in after if after[path] != before[path]}
    assert changed == {
        "train.jsonl",
        "validation.jsonl",
        "test.jsonl",
        "long.jsonl",
        "held_out.jsonl",
        "manifest.json",
        "README.md",
    }
    assert all(here[path] in (before[path], after[path]) for path in here)


def test_bench(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--preset", "tiny", "--answer", "2", "--rounds", "2"]) == 0
    assert re.search(r"prefix / ism: median \d+\.\d\d \(\d+\.\d\d to \d+\.\d\d\)", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--mask", "izm"], "unknown mask 'izm'"),
        (["train", "--lr", "-1"], "lr must be above 0, and finite, got -1.0"),
        (["eval", "no-such-model"], "no checkpoint at no-such-model"),
        (["chat", "--mask", "izm"], "no checkpoint at izm"),
        (["train", "--skills", "juggling"], "no skill named 'juggling'"),
        (["train", "--lr", "nan"], "lr must be above 0, and finite, got nan"),
        (["train", "--clip", "-1"], "clip must be at least 0, and finite, got -1.0"),
        (["train", "--weights", "recall=inf"], "the weight of skill 'recall' must be at least 0, and finite, got inf"),
        (["train", "--seed", str(2**70)], "seed must be from 0 to 9223372036854775807, got 1180591620717411303424"),
        (["chat", "--temperature", "nan"], "temperature must be at least 0, and finite, got nan"),
        (["chat", "--seed", str(2**70)], "seed must be from"),
        (["corpus", "show", "--seed", str(2**70)], "seed must be from"),
        (["train", "--preset", "huge"], "unknown preset 'huge'; presets are"),
        (["bench", "--preset", "tiny", "--answer", "900"], "answer must be from 1 to 226, got 900"),
        (["eval", "ism", "--mask", "izm"], "unknown mask 'izm'"),
        (["eval", "ism", "--mask", "ism(sink=3)"], "option 'sink' of mask 'ism' must be bool, got 3"),
        (["eval", "ism", "--mask", "sliding_window('x')"], "of mask 'sliding_window' must be a whole number, got 'x'"),
        (["eval", "ism", "--mask", "ism(foo=1)"], "mask 'ism' has no such option: ['foo']"),
        (["eval", "ism", "--mask", "causal(3)"], "mask 'causal' has no such option: [3]"),
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
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_a_model_writes_steers_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = iter(["Hi.", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    tokenizer = load_tokenizer()
    written = iter([tokenizer.encode_single_token(text) for text in (b"\x1b", b"\x07", "<|end|>")])
    monkeypatch.setattr(Sampler, "pick", lambda *_: next(written))
    assert main(["chat"]) == 0
    printed = capsys.readouterr().out
    assert r"ism> \x1b\x07" in printed
    assert "\x1b" not in printed


COMMANDS = (
    "",
    "train",
    "eval",
    "chat",
    "bench",
    "corpus",
    "corpus build",
    "corpus show",
    "tokenizer",
    "tokenizer train",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_reads_as_sentences(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*command.split(), "--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    options = re.split(
        r"^ {2,4}(?=\S)", printed.partition("options:")[2].replace("\n\ncommands:", ""), flags=re.MULTILINE
    )[1:]
    for option in options:
        flags, *text = re.split(r"\s{2,}", option.strip(), maxsplit=1)
        assert not re.search(r"--\w+_", flags), f"{flags}: options have dashes"
        if flags not in ("COMMAND", "-h, --help"):
            assert re.match(r"[A-Z0-9].*\.$", " ".join(text), flags=re.DOTALL), option


@pytest.mark.slow
def test_help_without_docstrings() -> None:
    shown = [
        subprocess.run(
            [sys.executable, *flags, "-m", "mini_ism", "train", "--help"], capture_output=True, text=True, check=True
        ).stdout
        for flags in ([], ["-OO"])
    ]
    assert shown[0] == shown[1] != ""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX")
@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("corpus show -n 1 >&-", 0),
        ("corpus show -n 1 >&- 2>&- <&-", 0),
        ("chat <&-", 0),
        (f"train {' '.join(SMALL)} --out RUN 2>&-", 0),
        (f"train {' '.join(SMALL)} --out RUN >&- 2>&- <&-", 0),
        ("eval RUN 2>&-", 1),
    ],
)
def test_a_stream_that_is_closed_is_no_error(command: str, status: int, tmp_path: Path) -> None:
    line = f"{sys.executable} -m mini_ism {command}".replace("RUN", str(tmp_path / "run"))
    ended = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr
    assert ended.returncode == status
    if "train" in command:
        assert (tmp_path / "run" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["corpus", "show", "-n", "0"], "argument -n: must be a whole number from 1 to 1000000, got '0'"),
        (["train", "--threads", "-2"], "argument --threads: must be a whole number from 1 to 1024, got '-2'"),
        (["bench", "--rounds", "1e3"], "argument --rounds: must be a whole number from 1 to 1000000, got '1e3'"),
        (
            ["eval", "ism", "--threads", "99999999999"],
            "--threads: must be a whole number from 1 to 1024, got '99999999999'",
        ),
        (["train", "--device", "abacus"], "invalid choice: 'abacus'"),
        (["eval", "ism", "--split", "dev"], "invalid choice: 'dev'"),
        (["chat", "--model", ""], "--model is given an empty text; give it a value, or leave it out"),
    ],
)
def test_usage_errors(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
