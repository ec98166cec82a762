"""Training: the same numbers however often it is stopped, the loss on answers only, and errors that say what to do."""

import json
import math
import operator
import os
import random
import signal
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.killed import mismatches, train_in_pieces, train_whole
from mini_ism import GPT, GPTConfig, encode_dialogue, files, get_mask, load_model, load_tokenizer, training
from mini_ism.batching import collate, make_batch, turns_independent
from mini_ism.checkpoints import CheckpointError
from mini_ism.corpus import Dialogue, Turn, World, generate, load_split, register_skill, registry
from mini_ism.corpus.dialogues import bucket, split_spec
from mini_ism.corpus.splits import SEED
from mini_ism.folder_lock import FolderInUseError
from mini_ism.metrics import Measurement
from mini_ism.run_files import DivergedError
from mini_ism.sources import Source
from mini_ism.trainable import NotTrainableError
from mini_ism.training import Run, TrainingConfig, loss_on_answers, make_optimizer, training_step
from tests.small_runs import TINY, stop_at

MESSAGES = [
    {"role": "user", "content": "The key is in the box. Where is the key?"},
    {"role": "assistant", "content": "In the box."},
    {"role": "user", "content": "The key is in the jar now. Where is the key?"},
    {"role": "assistant", "content": "In the jar."},
]


def weights(run: Run) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.model.state_dict().items()}


def without_seconds(metrics: list[Measurement]) -> list[dict[str, Any]]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in metrics]


@pytest.mark.slow
@pytest.mark.parametrize("mask", ["ism", "prefix"])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path: Path, mask: str) -> None:
    whole = Run(TrainingConfig(mask=mask, **TINY), tmp_path / "whole")
    whole.train()
    for stop in (1, 4):
        with pytest.raises(KeyboardInterrupt):
            Run(TrainingConfig(mask=mask, **TINY), tmp_path / "parts").train(stop_at(stop))
    resumed = Run(TrainingConfig(mask=mask, **TINY), tmp_path / "parts")
    assert resumed.progress.step == 4
    resumed.train()
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[name]), name
    assert without_seconds(resumed.metrics) == without_seconds(whole.metrics)
    lines = (tmp_path / "parts" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5, 6]


def test_a_run_killed_without_warning_goes_on_from_its_last_save(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(line: Measurement) -> None:
        if line["step"] == 5:
            raise Killed

    whole = Run(TrainingConfig(**TINY), tmp_path / "whole")
    whole.train()
    with pytest.raises(Killed):
        Run(TrainingConfig(**TINY), tmp_path / "parts").train(kill)
    resumed = Run(TrainingConfig(**TINY), tmp_path / "parts")
    assert resumed.progress.step == 4  # saved every 2 steps
    resumed.train()
    assert all(torch.equal(value, weights(resumed)[name]) for name, value in weights(whole).items())


def press_ctrl_c(at: str, call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real signal in the n-th call of a function, when its work is done."""
    *path, name = at.split(".")
    owner = operator.attrgetter(".".join(path))(training) if path else training
    original, left = getattr(owner, name), [call]

    def press(*given: Any, **options: Any) -> Any:
        answer = original(*given, **options)
        left[0] -= 1
        if left[0] == 0:
            signal.raise_signal(signal.SIGINT)
        return answer

    monkeypatch.setattr(owner, name, press)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(TrainingConfig(**TINY), tmp_path_factory.mktemp("undisturbed"))
    run.train()
    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("at", "call"),
    [
        *(("Source.draw", n) for n in (1, 4)),
        *(("loss_on_answers", n) for n in (1, 4)),
        *(("torch.Tensor.backward", n) for n in (1, 4)),
        *(("torch._fused_adamw_", n) for n in (1, 2, 5)),  # in the middle of an optimiser's step
        *(("torch.optim.AdamW.step", n) for n in (1, 4, 6)),
        *(("evaluate", n) for n in (1, 2)),
        *(("RunFiles.save", n) for n in (1, 2)),
        ("save_model", 1),
    ],
)
def test_ctrl_c_at_any_moment_loses_and_repeats_nothing(
    at: str, call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: Run
) -> None:
    with monkeypatch.context() as patched:
        run = Run(TrainingConfig(**TINY), tmp_path)
        press_ctrl_c(at, call, patched)
        with pytest.raises(KeyboardInterrupt):
            run.train()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    again = Run(TrainingConfig(**TINY), tmp_path)
    again.train()
    assert all(torch.equal(value, weights(again)[name]) for name, value in weights(undisturbed).items())
    assert without_seconds(again.metrics) == without_seconds(undisturbed.metrics)


def test_a_second_ctrl_c_does_not_stop_the_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """People press it again where the disk is slow."""
    pressed: list[str] = []

    def slowly(path: Path, data: bytes) -> None:
        pressed.append(path.name)
        signal.raise_signal(signal.SIGINT)
        files.write_atomically(path, data)

    monkeypatch.setattr("mini_ism.run_files.write_atomically", slowly)
    run = Run(TrainingConfig(**{**TINY, "save": 99}), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run.train(stop_at(3))
    assert pressed == ["state.safetensors", "metrics.jsonl"]
    assert run.files.step == Run(TrainingConfig(**{**TINY, "save": 99}), tmp_path).progress.step == 3


@pytest.mark.slow
def test_a_process_that_is_killed_again_and_again_ends_with_the_same_weights(tmp_path: Path) -> None:
    """SIGKILL, at moments nobody chose: what ends on the disk is what an undisturbed run leaves there."""
    config = {**TINY, "steps": 40, "save": 1, "validate": 40}
    whole = train_whole(config, tmp_path / "whole")
    assert mismatches(whole, train_in_pieces(config, tmp_path / "parts", 2, random.Random(0))) == []


def test_other_seeds_are_other_runs(tmp_path: Path) -> None:
    runs = [Run(TrainingConfig(seed=seed, **TINY), tmp_path / str(seed)) for seed in (0, 1)]
    assert not torch.equal(runs[0].model.embed.weight, runs[1].model.embed.weight)
    assert runs[0].config.draw(5) != runs[1].config.draw(5)
    assert runs[0].config.draw(5) == TrainingConfig(mask="prefix", **TINY).draw(5)  # the mask changes nothing


@pytest.mark.slow
def test_prefix_needs_one_sample_a_turn_and_counts_what_it_costs(tmp_path: Path) -> None:
    tokenizer = load_tokenizer()
    dialogues = [Dialogue(MESSAGES, ["recall", "update"])]
    assert turns_independent(get_mask("causal"), dialogues, tokenizer)
    assert turns_independent(get_mask("ism & sliding_window(8)"), dialogues, tokenizer)
    assert not turns_independent(get_mask("prefix"), dialogues, tokenizer)
    assert not turns_independent(get_mask("bidirectional"), dialogues, tokenizer)
    whole = make_batch(dialogues, tokenizer, expand=False)
    expanded = make_batch(dialogues, tokenizer, expand=True)
    assert int(expanded.loss_mask.sum()) == int(whole.loss_mask.sum())  # each target once
    first, both = (len(encode_dialogue(MESSAGES[:n], tokenizer)) for n in (2, 4))
    assert int((expanded.segments.id >= 0).sum()) == first + both
    runs = {mask: Run(TrainingConfig(mask=mask, **TINY), tmp_path / mask) for mask in ("ism", "prefix")}
    for run in runs.values():
        run.train()
    assert runs["prefix"].progress.seen == runs["ism"].progress.seen == 12
    assert runs["prefix"].progress.tokens > runs["ism"].progress.tokens


def test_the_loss_is_the_mean_over_answer_tokens_and_their_ends() -> None:
    tokenizer = load_tokenizer()
    model = GPT(GPTConfig(vocab_size=tokenizer.n_vocab, width=32))
    encoded = encode_dialogue(MESSAGES, tokenizer)
    batch = collate([encoded, encode_dialogue(MESSAGES[:2], tokenizer)], tokenizer)
    dense = get_mask("ism").dense(batch.segments)
    logits = model(batch.tokens, dense).log_softmax(-1)
    losses = [
        -logits[b, t - 1, batch.tokens[b, t]]
        for b in range(2)
        for t in range(1, batch.tokens.shape[1])
        if batch.loss_mask[b, t]
    ]
    assert loss_on_answers(model, batch, dense).item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)


@pytest.mark.parametrize(("scale", "clip", "norm"), [(100.0, 0.5, 0.5), (1e-3, 0.5, None), (100.0, 0.0, None)])
def test_a_step_clips_the_gradient_and_nothing_else(scale: float, clip: float, norm: float | None) -> None:
    """With plain gradient descent at rate 1 the weights move by the gradient, clipped where it is long."""
    model = torch.nn.Linear(3, 2, bias=False)
    before, x = model.weight.detach().clone(), torch.randn(5, 3)
    gradient = torch.autograd.grad(model(x).square().sum() * scale, model.weight)[0]
    optimizer = torch.optim.SGD(model.parameters(), lr=9.0)
    loss = training_step([model], optimizer, [lambda: model(x).square().sum() * scale], lr=1, clip=clip)
    moved = before - model.weight.detach()
    expected = gradient if norm is None else gradient / gradient.norm() * norm
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=1e-4)
    assert not loss.requires_grad


@pytest.mark.slow
@pytest.mark.parametrize("mask", ["ism", "prefix"])
@pytest.mark.parametrize("parts", [2, 3, 99])
def test_a_step_in_parts_is_the_step(tmp_path: Path, mask: str, parts: int) -> None:
    """Every target counts alike, however the dialogues are divided."""
    config = {**TINY, "dialogues": 5, "steps": 2}
    whole = Run(TrainingConfig(mask=mask, **config), tmp_path / "whole")
    divided = Run(TrainingConfig(mask=mask, micro_batches=parts, **config), tmp_path / "parts")
    whole.train()
    divided.train()
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(divided.model.state_dict()[name], value, atol=3e-4, rtol=0)  # AdamW's step is 3e-3
    for one, two in zip(whole.metrics, divided.metrics, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-5)
        assert two["tokens"] == one["tokens"]


def test_the_optimiser_is_adamw_with_decay_on_matrices_only() -> None:
    """Three steps by hand (1711.05101, algorithm 2), with the running means' rates 0.9 and 0.98."""
    config = TrainingConfig(weight_decay=0.3, lr=0.01)
    model = GPT(GPTConfig(vocab_size=20, layers=1, heads=1, width=4, token_shift=1))
    optimizer = make_optimizer(model, config)
    parameters = dict(model.named_parameters())
    wanted = {name: p.detach().clone() for name, p in parameters.items()}
    means = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in wanted.items()}
    for step in range(1, 4):
        for name, p in parameters.items():
            p.grad = torch.randn_like(p)
            first, second = means[name]
            means[name] = (0.9 * first + 0.1 * p.grad, 0.98 * second + 0.02 * p.grad**2)
            first, second = means[name][0] / (1 - 0.9**step), means[name][1] / (1 - 0.98**step)
            decay = 0.3 if p.ndim == 2 else 0.0
            wanted[name] = wanted[name] * (1 - 0.01 * decay) - 0.01 * first / (second.sqrt() + 1e-8)
        optimizer.step()
    assert {p.ndim for p in wanted.values()} == {1, 2}
    for name, p in parameters.items():
        torch.testing.assert_close(p.detach(), wanted[name], atol=1e-5, rtol=1e-4)


def test_a_finished_run_loads_as_a_model(tmp_path: Path) -> None:
    run = Run(TrainingConfig(mask="causal & sliding_window(16)", **TINY), tmp_path, bits=16)
    run.train()
    model, _ = load_model(tmp_path)
    assert model.config.mask == run.mask.name
    for name, value in model.state_dict().items():
        assert torch.equal(value, run.model.state_dict()[name].half().float())


def test_a_skill_of_ones_own_is_scored_in_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mini_ism.corpus.registry._REGISTRY", dict(registry._REGISTRY))

    @register_skill(weight=20.0)
    def colours(rng: random.Random, world: World, size: int) -> list[Turn]:
        thing, colour = world.thing(), rng.choice(["red", "green"])
        return [Turn(f"The {thing} is {colour}. What colour is the {thing}?", f"{colour}.", "colours")]

    run = Run(TrainingConfig(**TINY), tmp_path)
    run.train()
    for line in run.metrics:
        assert ("exact" in line) == (line["step"] in (3, 6))
        assert "exact" not in line or line["exact"]["colours"][1] > 0


def test_a_loss_over_nothing_is_an_error() -> None:
    tokenizer = load_tokenizer()
    batch = collate([encode_dialogue(MESSAGES[:1], tokenizer)], tokenizer)
    with pytest.raises(ValueError, match="nothing to learn: the batch has no target"):
        loss_on_answers(GPT(GPTConfig(vocab_size=tokenizer.n_vocab)), batch, get_mask("ism").dense(batch.segments))


@pytest.mark.slow
def test_training_lowers_the_loss(tmp_path: Path) -> None:
    run = Run(TrainingConfig(steps=30, dialogues=4, corpus=1, validate=30, validation_size=2, save=30), tmp_path)
    run.train()
    losses = [line["loss"] for line in run.metrics]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be from 1 to 1000000000, got 0"),
        ({"dialogues": 10**30}, "dialogues must be from 1 to 1000000000, got 10{30}$"),
        ({"seed": -1}, "seed must be from 0 to 9223372036854775807, got -1"),
        ({"lr": 0.0}, "lr must be above 0, and finite, got 0.0"),
        ({"lr": math.nan}, "lr must be above 0, and finite, got nan"),
        ({"lr": 10**400}, "lr must be above 0, and finite, got 10*$"),
        ({"clip": -1.0}, r"clip must be at least 0, and finite, got -1\.0"),
        ({"clip": math.inf}, "clip must be at least 0, and finite, got inf"),
        ({"weight_decay": -0.1}, "weight_decay must be at least 0, and finite, got -0.1"),
        ({"easy": 1.5}, "easy must be from 0 to 1, got 1.5"),
        ({"coined": math.nan}, "coined must be from 0 to 1, got nan"),
        ({"weights": "recall=1,recall=2"}, 'weights are "name=weight" joined by commas, each name once'),
        ({"weights": "recall"}, 'weights are "name=weight" joined by commas'),
        ({"weights": "recall=nan"}, "the weight of skill 'recall' must be at least 0, and finite, got nan"),
        ({"precision": "fp8"}, "precision is one of float32, bf16, got 'fp8'"),
        ({"skills": "recall,juggling"}, "no skill named 'juggling'"),
        (
            {"skills": "about_me", "corpus": 1},
            "skill 'about_me' needs words that version 1 of the corpus does not have",
        ),
        ({"weights": "recall=1e308,persona=1e308"}, "must have a finite sum"),
    ],
)
def test_bad_configs(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 10.0}, "steps must be a whole number, got 10.0"),
        ({"save": True}, "save must be a whole number, got True"),
        ({"lr": "3e-3"}, "lr must be a number, got '3e-3'"),
        ({"lr": None}, "lr must be a number, got None"),
        ({"mask": get_mask("ism")}, r"mask must be a text, got Mask\(ism\)"),
        ({"skills": ["recall"]}, r"skills must be a text, got \['recall'\]"),
    ],
)
def test_configs_of_other_types(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        TrainingConfig(**changes)


def test_numbers_of_numpy_make_the_same_run_as_python_s() -> None:
    given: dict[str, Any] = {"steps": np.int64(6), "lr": np.float64(0.5), "clip": 1, "seed": np.uint8(3)}
    config = TrainingConfig(**given)
    assert config == TrainingConfig(steps=6, lr=0.5, clip=1.0, seed=3)
    assert [type(getattr(config, name)) for name in given] == [int, float, float, int]


# -- what stops a run ---------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(TrainingConfig(**TINY), tmp_path)

    def poison(line: Measurement) -> None:
        if line["step"] == 4:
            monkeypatch.setattr(training, "loss_on_answers", lambda *given: loss_on_answers(*given) * math.nan)

    message = r"the loss is nan at step 5: training has diverged\. .*state\.safetensors keeps step 4; begin another run"
    with pytest.raises(DivergedError, match=message):
        run.train(poison)
    again = Run(TrainingConfig(**TINY), tmp_path)
    assert again.progress.step == 4
    assert [line["step"] for line in again.metrics] == [1, 2, 3, 4]
    assert not (tmp_path / "model.safetensors").exists()


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    run = Run(TrainingConfig(**TINY), tmp_path)

    def poison(line: Measurement) -> None:
        if line["step"] == 4:
            run.model.state_dict()["embed.weight"][0, 0] = math.inf

    message = r"model\.embed\.weight is not finite after step 4: training has diverged\. .* keeps step 2;"
    with pytest.raises(DivergedError, match=message):
        run.train(poison)
    assert Run(TrainingConfig(**TINY), tmp_path).progress.step == 2


def test_a_run_that_diverges_at_once_says_that_nothing_is_kept(tmp_path: Path) -> None:
    run = Run(TrainingConfig(**{**TINY, "lr": 1e30}), tmp_path)
    with pytest.raises(DivergedError, match=r"at step 2: training has diverged\. nothing was saved; begin another"):
        run.train()
    assert list(tmp_path.iterdir()) == []


def test_two_runs_in_one_folder_are_one_too_many(tmp_path: Path) -> None:
    one, two = (Run(TrainingConfig(**TINY), tmp_path) for _ in "ab")

    def intrude(line: Measurement) -> None:
        if line["step"] == 3:
            with pytest.raises(FolderInUseError, match=rf"in use by process {os.getpid()} on .*choose another folder"):
                two.train()

    one.train(intrude)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(CheckpointError, match=r"another run has trained in .* since this one was opened; open"):
        two.train()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files
    assert sorted(files) == ["metrics.jsonl", "model.safetensors", "state.safetensors"]


@pytest.mark.slow
@pytest.mark.parametrize("step", [3, 6])
def test_a_score_that_was_interrupted_is_made_up_for(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: Run
) -> None:
    with monkeypatch.context() as patched:
        press_ctrl_c("evaluate", step // 3, patched)
        with pytest.raises(KeyboardInterrupt):
            Run(TrainingConfig(**TINY), tmp_path).train()
    stopped = Run(TrainingConfig(**TINY), tmp_path)
    assert "exact" not in stopped.metrics[-1]
    reported: list[int] = []
    stopped.train(lambda line: reported.append(line["step"]))
    assert reported == list(range(step, 7))
    assert without_seconds(stopped.metrics) == without_seconds(undisturbed.metrics)


def test_bad_runs(tmp_path: Path) -> None:
    with pytest.raises(NotTrainableError, match="mask 'bidirectional' cannot be trained: position"):
        Run(TrainingConfig(mask="bidirectional"), tmp_path)
    with pytest.raises(ValueError, match="unknown mask 'izm'"):
        Run(TrainingConfig(mask="izm"), tmp_path)
    with pytest.raises(ValueError, match="unknown preset 'huge'"):
        Run(TrainingConfig(preset="huge"), tmp_path)
    with pytest.raises(ValueError, match="bits is one of 32, 16, 8, got 7"):
        Run(TrainingConfig(), tmp_path, bits=7)
    with pytest.raises(ValueError, match="unknown device 'abacus'"):
        Run(TrainingConfig(), tmp_path, "abacus")


def test_a_run_on_some_skills_is_scored_on_them_and_one_on_all_on_the_frozen_dialogues() -> None:
    scored = Source().scored
    dialogues = scored(TrainingConfig(skills="queue", weights="", validation_size=5, seed=3))
    assert len(dialogues) == 5
    assert {skill for dialogue in dialogues for skill in dialogue.skills} <= {"queue", "neighbour", "ack"}
    assert dialogues == scored(TrainingConfig(skills="queue", weights="", validation_size=5, seed=4))
    assert all(bucket(dialogue.messages) in split_spec("validation").buckets for dialogue in dialogues)
    assert scored(TrainingConfig(validation_size=5)) == load_split("validation")[:5]


@pytest.mark.slow
def test_a_run_is_scored_on_the_version_that_it_learns() -> None:
    scored = Source().scored
    assert scored(TrainingConfig(validation_size=5, corpus=1)) == load_split("validation", version=1)[:5]
    queue: dict[str, Any] = {"skills": "queue", "weights": "", "validation_size": 5}
    drawn = [list(islice(generate(SEED, "validation", ["queue"], coined=0.3, version=n), 5)) for n in (1, 2)]
    assert [scored(TrainingConfig(corpus=n, coined=0.3, **queue)) for n in (1, 2)] == drawn
    assert drawn[0] != drawn[1]
