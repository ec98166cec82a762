"""Trained models on disk: the same model back, or one clear error that names the file and the remedy."""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from mini_ism import ChatSession, load_model, load_tokenizer
from mini_ism.checkpoints import CheckpointError, load_metrics, read_checkpoint, save_model, shipped_models
from mini_ism.corpus import load_split
from mini_ism.evaluation import CONTROL_SKILLS, evaluate
from mini_ism.paths import data_dir
from tests.strategies import random_model, random_tokens
from tools.train_checkpoints import save_metrics

TOKENIZER = load_tokenizer()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of a small random model."""
    where = tmp_path / "model"
    save_model(random_model(vocab_size=TOKENIZER.n_vocab, mask="prefix"), where, training={"seed": 3})
    return where


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    change(about)
    (folder / "config.json").write_text(json.dumps(about), encoding="utf-8")


def test_the_same_model_comes_back(folder: Path) -> None:
    original = random_model(vocab_size=TOKENIZER.n_vocab, mask="prefix")
    model, tokenizer = load_model(folder)
    tokens = random_tokens(9)
    assert model.config == original.config
    assert torch.equal(model(tokens), original(tokens))
    assert not model.training
    assert tokenizer.n_vocab == TOKENIZER.n_vocab
    about, _ = read_checkpoint(folder)
    assert about["training"] == {"seed": 3}
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert torch.equal(load_model(str(folder))[0](tokens), original(tokens))
    assert ChatSession(model, tokenizer).mask.name == "prefix"


def test_at_half_the_size(tmp_path: Path) -> None:
    model = random_model(vocab_size=TOKENIZER.n_vocab)
    save_model(model, tmp_path / "full")
    save_model(model, tmp_path / "half", half=True)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    loaded, _ = load_model(tmp_path / "half")
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    tokens = random_tokens(9)
    torch.testing.assert_close(loaded(tokens), model(tokens), atol=0.02, rtol=0)


def flip_a_byte(folder: Path) -> None:
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-5] ^= 1
    (folder / "model.safetensors").write_bytes(data)


def cut(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return damage


def foreign_weights(folder: Path) -> None:
    save_file({"weight": torch.ones(3)}, folder / "model.safetensors")


def other_layers(folder: Path) -> None:
    edit(folder, lambda about: about["model"].update(layers=3))


DAMAGES: list[tuple[Callable[[Path], Any], str]] = [
    (lambda f: shutil.rmtree(f), r"no checkpoint at .*model: config.json is missing; shipped models are"),
    (lambda f: (f / "model.safetensors").unlink(), "model.safetensors is missing; .*train one with `python -m"),
    (cut("model.safetensors"), "has sha256 .*, but config.json says .*; it was cut short or changed"),
    (cut("config.json"), "config.json is not readable JSON .*copy it again, or train it again"),
    (flip_a_byte, "model.safetensors has sha256 .* config.json says"),
    (foreign_weights, "model.safetensors has sha256 .* config.json says"),
    (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"), "config.json is not readable JSON"),
    (lambda f: (f / "config.json").write_bytes(b"[1, 2]"), "is not a checkpoint of this package .*'mini-ism 1'"),
    (lambda f: (f / "config.json").write_bytes(b'{"model_type": "gpt2"}'), "not a checkpoint of this package"),
    (lambda f: edit(f, lambda a: a.update(format="mini-ism 9")), r"format '?mini-ism 9'?, wanted 'mini-ism 1'"),
    (lambda f: edit(f, lambda a: a["model"].update(depth=3)), r"GPTConfig differ in \['depth'\]"),
    (lambda f: edit(f, lambda a: a["model"].pop("width")), r"GPTConfig differ in \['width'\]"),
    (lambda f: edit(f, lambda a: a["model"].update(width=-1)), "config.json: .*width must be a whole number"),
    (lambda f: edit(f, lambda a: a.pop("model")), "config.json has no 'model' of type dict"),
    (lambda f: edit(f, lambda a: a.update(weights_sha256=3)), "has no 'weights_sha256' of type str"),
    (lambda f: edit(f, lambda a: a.pop("tokenizer_sha256")), "has no 'tokenizer_sha256' of type str"),
    (lambda f: edit(f, lambda a: a.update(tokenizer_sha256="0" * 64)), "trained with another tokenizer"),
    (lambda f: edit(f, lambda a: a["model"].update(heads=1)), "config.json says another heads than was saved"),
    (lambda f: edit(f, lambda a: a["model"].update(mask="ism", rope_base=9.0)), "says another mask, rope_base than"),
    (other_layers, r"model.safetensors does not fit its config.json: blocks\.2\."),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_damaged_checkpoints(folder: Path, damage: Callable[[Path], Any], message: str) -> None:
    damage(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(folder)
    assert str(folder) in str(caught.value)


def test_a_model_that_there_is_not() -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint at imsm: config\.json is missing; shipped"):
        load_model("imsm")


def test_a_run_that_is_not_finished_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "state.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"config.json is missing; .* not come to its end: give the same `train`"):
        load_model(tmp_path)


def test_an_unknown_device_is_told_before_anything_is_read() -> None:
    with pytest.raises(ValueError, match="unknown device 'tpu'; devices are auto, cpu, cuda, mps"):
        load_model("imsm", device="tpu")


@pytest.mark.parametrize(("where", "nth"), [("os.fsync", 1), ("os.fsync", 2), ("pathlib.Path.replace", 1)])
def test_a_full_disk_leaves_the_old_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch, where: str, nth: int
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    left = [nth]

    def full(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(where, full)
        with pytest.raises(OSError, match=r"could not save .*Free some space or choose another folder"):
            save_model(random_model(seed=9, vocab_size=TOKENIZER.n_vocab, mask="ism"), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert load_model(folder)[0].config.mask == "prefix"


@pytest.mark.parametrize("name", ["causal", "prefix", "ism"])
def test_shipped_models(name: str) -> None:
    assert name in shipped_models()
    model, tokenizer = load_model(name)
    assert model.config.mask == name
    assert (data_dir() / "checkpoints" / name / "model.safetensors").stat().st_size <= 3e6
    chat = ChatSession(model, tokenizer)
    chat.send("My name is Ada. The cup is in the box. Where is the cup?")
    assert "box" in chat.messages[-1]["content"]
    assert "Ada" in chat.send("What is my name?").text


# -- how they came about ----------------------------------------------------------------------------


def steps(count: int, every: int) -> list[dict[str, Any]]:
    """The lines of a run that is scored now and then."""
    lines: list[dict[str, Any]] = [
        {"step": n, "seconds": n / 3, "tokens": 50 * n, "seen": 2 * n, "loss": 1 / n, "lr": 0.003 / n}
        for n in range(1, count + 1)
    ]
    for line in [*lines[every - 1 :: every], lines[-1]]:
        line["exact"] = {"recall": [line["step"] % 4, 4], "ack": [3, 8]}
    return lines


def test_a_long_runs_metrics_are_kept_short(tmp_path: Path) -> None:
    run = steps(28_000, 500)
    save_metrics(run, tmp_path)
    kept = load_metrics(tmp_path)
    assert (tmp_path / "metrics.jsonl").stat().st_size < 60_000
    assert [line["step"] for line in kept] == list(range(500, 28_001, 500))
    for line in kept:
        whole = run[line["step"] - 1]
        for key in ("step", "tokens", "seen", "exact"):
            assert line[key] == whole[key]
        assert line["seconds"] == pytest.approx(whole["seconds"], abs=0.06)
        interval = [each["loss"] for each in run[line["step"] - 500 : line["step"]]]
        assert line["loss"] == pytest.approx(sum(interval) / 500, abs=1e-4)


def test_a_runs_own_metrics_can_be_loaded(tmp_path: Path) -> None:
    run = steps(7, 3)
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in run), encoding="utf-8")
    assert load_metrics(tmp_path) == load_metrics(str(tmp_path)) == run


@pytest.mark.parametrize("name", ["causal", "prefix", "ism"])
def test_metrics_of_a_shipped_model_end_where_its_training_did(name: str) -> None:
    folder = data_dir() / "checkpoints" / name
    if not (folder / "metrics.jsonl").exists():
        pytest.skip("trained before metrics were shipped")
    last = load_metrics(name)[-1]
    about, _ = read_checkpoint(folder)
    assert (folder / "metrics.jsonl").stat().st_size < 60_000
    assert {key: last[key] for key in ("step", "tokens", "seen")} == {
        key: about["training"][key] for key in ("step", "tokens", "seen")
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"no metrics at .*: metrics\.jsonl is missing; shipped models are causal, .*ism, prefix; a run keeps"),
        ('{"step": 1', r"metrics\.jsonl is not readable JSON, line by line .*copy it again, or train it again"),
        ("\udcff", "is not readable JSON, line by line"),
        ("3", r"metrics\.jsonl, line 1: not a JSON object; it was cut short"),
        ('{"step": 1, "seconds": 1, "tokens": 1, "seen": "2"}', "line 1: 'seen' is not a number; it was"),
        ('{"step": 1, "seconds": 1, "tokens": 1, "seen": 2}', "line 1: 'loss' is not a number"),
        *(
            (
                json.dumps({**dict.fromkeys(("step", "seconds", "tokens", "seen", "loss"), 1), "exact": exact}),
                r"line 1: 'exact' does not hold \[right, total\] by skill",
            )
            for exact in ([1, 2], {"recall": 3}, {"recall": [3, 2]}, {"recall": [1, 2, 3]}, {"recall": [0.5, 1]})
        ),
    ],
)
def test_damaged_metrics(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "metrics.jsonl").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CheckpointError, match=message) as caught:
        load_metrics(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("column", [(0, "causal"), (1, "prefix"), (2, "ism")])
def test_the_model_card_tells_what_an_evaluation_finds(column: tuple[int, str]) -> None:
    index, name = column
    card = (data_dir() / "checkpoints" / "README.md").read_text(encoding="utf-8")
    table = card.split("## Test split")[1].split("##")[0]
    rows = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in table.splitlines() if "%)" in line]
    told = {row[0]: float(row[2 + index].split("%")[0]) / 100 for row in rows}
    model, tokenizer = load_model(name)
    found = {skill: score.share for skill, score in evaluate(model, tokenizer, load_split("test")).items()}
    assert told == pytest.approx(found, abs=0.03)  # another processor may round an answer or two the other way
    assert {skill: share for skill in CONTROL_SKILLS if (share := found[skill]) < 0.99} == {}
