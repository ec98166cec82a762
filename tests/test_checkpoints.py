"""Trained models on disk: the same model back, or one clear error that names the file and the remedy."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from mini_ism import ChatSession, load_model, load_tokenizer
from mini_ism.bpe import train_bpe
from mini_ism.checkpoints import CheckpointError, load_metrics, read_checkpoint, save_model, shipped_models
from mini_ism.corpus import load_split
from mini_ism.evaluation import CONTROL_SKILLS, evaluate
from mini_ism.files import fingerprint
from mini_ism.paths import data_dir
from mini_ism.tokenizer import build_tokenizer
from mini_ism.tokenizer_files import PATTERN, to_ranks
from tests.faults import FULL, fail
from tests.strategies import random_model, random_tokens

TOKENIZER = load_tokenizer()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of a small random model."""
    where = tmp_path / "model"
    save_model(random_model(vocab_size=TOKENIZER.n_vocab, mask="prefix"), where, training={"seed": 3})
    return where


def edit(folder: Path, change: Callable[[dict[str, str]], object], *, sealed: bool = True) -> None:
    """Change what a checkpoint says of itself; sealed, its fingerprint is made to fit."""
    file = folder / "model.safetensors"
    with safe_open(file, "pt") as content:
        about, weights = content.metadata(), {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118
    change(about)
    if sealed:
        about["sha256"] = fingerprint(weights, *(about.get(key, "") for key in SEALED))
    file.write_bytes(save(weights, about))


SEALED = ("format", "model", "tokenizer_sha256", "training")


def edit_shape(folder: Path, *, drop: str = "", **changes: Any) -> None:
    def change(about: dict[str, str]) -> None:
        shape = {**json.loads(about["model"]), **changes}
        shape.pop(drop, None)
        about["model"] = json.dumps(shape)

    edit(folder, change)


def edit_weights(folder: Path, change: Callable[[Tensor], Tensor]) -> None:
    """Store other weights, with the fingerprint that fits them."""
    file = folder / "model.safetensors"
    with safe_open(file, "pt") as content:
        about, keys = content.metadata(), list(content.keys())
        weights = {key: change(content.get_tensor(key)).contiguous() for key in keys}
    about["sha256"] = fingerprint(weights, *(about[key] for key in SEALED))
    file.write_bytes(save(weights, about))


def sparse(file: Path, header: int) -> None:
    """A file of 200 GB that takes no room: a header's length, and holes."""
    with file.open("wb") as out:
        out.write(header.to_bytes(8, "little"))
        out.truncate(200 * 10**9)


def test_the_same_model_comes_back(folder: Path) -> None:
    original = random_model(vocab_size=TOKENIZER.n_vocab, mask="prefix")
    model, tokenizer = load_model(folder)
    tokens = random_tokens(9)
    assert model.config == original.config
    assert torch.equal(model(tokens), original(tokens))
    assert not model.training
    assert tokenizer.n_vocab == TOKENIZER.n_vocab
    assert read_checkpoint(folder).training == {"seed": 3}
    assert [p.name for p in folder.iterdir()] == ["model.safetensors"]
    assert torch.equal(load_model(str(folder))[0](tokens), original(tokens))
    assert ChatSession(model, tokenizer).mask.name == "prefix"


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A checkpoint of a model with a vocabulary of its own, 266 tokens and the markers."""
    tokenizer = build_tokenizer(to_ranks(train_bpe(["the zebra and the zoo"] * 3, 266, PATTERN)), "here")
    save_model(random_model(vocab_size=tokenizer.n_vocab), tmp_path / "foreign", tokenizer=tokenizer)
    return tmp_path / "foreign"


def test_a_tokenizer_of_its_own_comes_back_with_the_model(foreign: Path) -> None:
    model, tokenizer = load_model(foreign)
    assert [path.name for path in foreign.iterdir()] == ["model.safetensors"]
    assert model.config.vocab_size == tokenizer.n_vocab == 271
    assert len(tokenizer.encode_ordinary(" zebra")) < len(TOKENIZER.encode_ordinary(" zebra"))


def test_a_tokenizer_of_its_own_is_sealed_with_the_model(foreign: Path) -> None:
    edit(foreign, lambda about: about.update(tokenizer=about["tokenizer"][:-9]), sealed=False)
    with pytest.raises(CheckpointError, match=r"foreign.*damaged .*another sha256 than was saved"):
        load_model(foreign)


@pytest.mark.parametrize(("bits", "share", "error"), [(16, 0.6, 0.02), (8, 0.4, 0.2)])
def test_in_fewer_bits(tmp_path: Path, bits: int, share: float, error: float) -> None:
    model = random_model(vocab_size=TOKENIZER.n_vocab)
    save_model(model, tmp_path / "full")
    save_model(model, tmp_path / "small", bits=bits)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("full", "small")]
    assert sizes[1] < share * sizes[0]
    loaded, _ = load_model(tmp_path / "small")
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    tokens = random_tokens(9)
    torch.testing.assert_close(loaded(tokens), model(tokens), atol=error, rtol=0)
    save_model(loaded, tmp_path / "again", bits=bits)  # rounding once more changes nothing
    for name, weight in load_model(tmp_path / "again")[0].state_dict().items():
        assert torch.equal(weight, loaded.state_dict()[name]), name


def test_weights_that_are_not_finite_are_not_stored(folder: Path) -> None:
    before = (folder / "model.safetensors").read_bytes()
    model = random_model(vocab_size=TOKENIZER.n_vocab)
    name, weight = next(iter(model.named_parameters()))
    weight.data.flatten()[3] = 70_000.0
    with pytest.raises(ValueError, match=rf"{name} holds a value beyond 65,504, the largest of float16; save it"):
        save_model(model, folder, bits=16)
    weight.data.flatten()[3] = torch.nan
    for bits in (32, 16, 8):
        with pytest.raises(ValueError, match=rf"{name} holds a value that is not finite"):
            save_model(model, folder, bits=bits)
    with pytest.raises(ValueError, match=r"no word for a number that is not finite"):
        save_model(random_model(vocab_size=TOKENIZER.n_vocab), folder, training={"loss": torch.inf})
    assert (folder / "model.safetensors").read_bytes() == before


def flip_a_byte(folder: Path) -> None:
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-5] ^= 1
    (folder / "model.safetensors").write_bytes(data)


def cut(share: float) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        data = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(data[: int(len(data) * share)])

    return damage


def content(data: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "model.safetensors").write_bytes(data)


DAMAGES: list[tuple[Callable[[Path], Any], str]] = [
    (lambda f: shutil.rmtree(f), r"no checkpoint at .*model: model.safetensors is missing; shipped models are"),
    (lambda f: (f / "model.safetensors").unlink(), "model.safetensors is missing; .*train one with `python -m"),
    (cut(0.5), r"model.safetensors is damaged \(SafetensorError: .*; it was cut short or changed after it was saved"),
    (cut(0.001), "model.safetensors is damaged .*copy it again, or train it again"),
    (content(b""), "is damaged"),
    (content(b"\xff" * 99), "is damaged"),
    (flip_a_byte, "is damaged .*its content has another sha256 than was saved"),
    (content(save({"weight": torch.ones(3)})), r"not a checkpoint of this package \(format None, wanted 'mini-ism 2'"),
    (content(save({"weight": torch.ones(3)}, {"format": "pt"})), r"\(format 'pt', wanted 'mini-ism 2'\)"),
    (lambda f: edit(f, lambda a: a.update(format="mini-ism 9")), r"format 'mini-ism 9', wanted 'mini-ism 2'"),
    (lambda f: edit(f, lambda a: a.update(model="[1, 2]")), r"is damaged .*'\[1, 2\]' is no JSON object"),
    (lambda f: edit(f, lambda a: a.update(training="NaN")), "is damaged .*NaN is not JSON"),
    (lambda f: edit(f, lambda a: a.update(model="[" * 100_000)), "is damaged .*nested too deeply"),
    (lambda f: edit(f, lambda a: a.pop("model")), "is damaged .*KeyError: 'model'"),
    (lambda f: edit(f, lambda a: a.pop("training")), "is damaged .*KeyError: 'training'"),
    (lambda f: edit(f, lambda a: a.pop("tokenizer_sha256")), "is damaged .*KeyError: 'tokenizer_sha256'"),
    (lambda f: edit(f, lambda a: a.pop("sha256"), sealed=False), "is damaged .*KeyError: 'sha256'"),
    (lambda f: edit(f, lambda a: a.update(tokenizer_sha256="0" * 64)), "trained with another tokenizer"),
    (lambda f: edit(f, lambda a: a.update(training='{"seed": 4}'), sealed=False), "another sha256 than was saved"),
    (lambda f: edit_shape(f, depth=3), "TypeError: .*unexpected keyword argument 'depth'"),
    (lambda f: edit_shape(f, width=-1), "width must be from 1 to 16777216, got -1"),
    (lambda f: edit_shape(f, rotary_pct="half"), "is damaged .*rotary_pct must be a number, got 'half'"),
    (lambda f: edit_shape(f, context=10**12), "context must be from 1 to 16777216, got 1000000000000"),
    (lambda f: edit_shape(f, drop="width"), r"its weights do not fit its shape: blocks\.0"),
    (lambda f: edit_shape(f, layers=3), r"its weights do not fit its shape: blocks\.2\."),
    (lambda f: edit_shape(f, width=20_000), r"its weights do not fit its shape: blocks\.0"),  # 6 GB, were it built
    (lambda f: edit_shape(f, layers=10**7), r"its weights do not fit its shape: 10000000 layers"),
    (lambda f: edit_shape(f, token_shift=10**7), "its weights do not fit its shape: .*token shift of 10000000"),
    (lambda f: edit_weights(f, lambda w: w.double()), "its weights are F64, neither float32 nor float16"),
    (lambda f: edit_weights(f, lambda w: w.bfloat16()), "its weights are BF16, neither float32 nor float16"),
    (lambda f: edit_weights(f, lambda w: w if w.ndim > 1 else w.half()), "its weights are F16 and F32, neither"),
    (lambda f: edit_weights(f, lambda w: w.fill_(torch.nan)), "holds a value that is not finite"),
    (lambda f: edit_weights(f, lambda w: w.fill_(-torch.inf)), "holds a value that is not finite"),
    (lambda f: sparse(f / "model.safetensors", 0), "is damaged .*SafetensorError"),
    (lambda f: sparse(f / "model.safetensors", 200), r"is damaged .*SafetensorError|format None"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_damaged_checkpoints(folder: Path, damage: Callable[[Path], Any], message: str) -> None:
    damage(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(folder)
    assert str(folder) in str(caught.value)


def test_a_path_is_a_path_even_where_a_shipped_model_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_model(random_model(vocab_size=TOKENIZER.n_vocab, mask="causal"), "ism")
    assert load_model(Path("ism"))[0].config.mask == "causal"
    assert load_model("./ism")[0].config.mask == "causal"
    with pytest.warns(UserWarning, match=r"'ism' is a model that comes with the package, .* write '\./ism', or Path"):
        assert load_model("ism")[0].config.mask == "ism"
    assert load_model("causal")[0].config.mask == "causal"  # of which there is but one


def test_a_model_that_there_is_not() -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint at imsm: model\.safetensors is missing; shipped"):
        load_model("imsm")


def test_a_model_is_named_by_its_folder(folder: Path) -> None:
    for read in (load_model, load_metrics):
        with pytest.raises(
            CheckpointError, match=f"is a file; name the folder with a model's .*: {re.escape(str(folder))}$"
        ):
            read(folder / "model.safetensors")


def test_a_run_that_is_not_finished_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "state.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"model.safetensors is missing; .* not come to its end: give the same"):
        load_model(tmp_path)


def test_an_unknown_device_is_told_before_anything_is_read() -> None:
    with pytest.raises(ValueError, match="unknown device 'tpu'; devices are auto, cpu, cuda, mps"):
        load_model("imsm", device="tpu")


@pytest.mark.parametrize(("where", "nth"), [("os.fsync", 1), ("pathlib.Path.replace", 1)])
def test_a_full_disk_leaves_the_old_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch, where: str, nth: int
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with monkeypatch.context() as patched:
        patched.setattr(where, fail(nth, FULL))
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


@pytest.mark.slow
@pytest.mark.parametrize("column", [(0, "causal"), (1, "prefix"), (2, "ism")])
def test_the_model_card_tells_what_an_evaluation_finds(column: tuple[int, str]) -> None:
    index, name = column
    card = (data_dir() / "checkpoints" / "README.md").read_text(encoding="utf-8")
    table = card.split("## Test split")[1].split("##")[0]
    rows = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in table.splitlines() if "%)" in line]
    printed = {row[0]: float(row[2 + index].split("%")[0]) / 100 for row in rows}
    model, tokenizer = load_model(name)
    found = {skill: score.share for skill, score in evaluate(model, tokenizer, load_split("test")).items()}
    assert printed == pytest.approx(found, abs=0.03)  # another processor may round an answer or two the other way
    assert {skill: share for skill in CONTROL_SKILLS if (share := found[skill]) < 0.9} == {}
