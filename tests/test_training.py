"""Training: the same numbers however often it is stopped, the loss on answers only, and errors that say what to do."""

import json
import operator
import random
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.killed import mismatches, train_in_pieces, train_whole
from mini_ism import GPT, GPTConfig, encode_dialogue, get_mask, load_model, load_tokenizer, training
from mini_ism.batching import collate, make_batch, turns_independent
from mini_ism.corpus import Dialogue
from mini_ism.metrics import Measurement
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


@pytest.mark.parametrize(
    ("at", "call"),
    [
        *(("make_batch", n) for n in (1, 4)),
        *(("loss_on_answers", n) for n in (1, 4)),
        *(("torch.Tensor.backward", n) for n in (1, 4)),
        *(("torch._fused_adamw_", n) for n in (1, 2, 5)),  # in the middle of an optimiser's step
        *(("torch.optim.AdamW.step", n) for n in (1, 4, 6)),
        *(("evaluate", n) for n in (1, 2)),
        *(("save_run", n) for n in (1, 2)),
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
    assert [line["step"] for line in again.metrics] == [1, 2, 3, 4, 5, 6]
    assert [line["loss"] for line in again.metrics] == [line["loss"] for line in undisturbed.metrics]


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


@pytest.mark.parametrize(("scale", "norm"), [(100.0, 0.5), (1e-3, None)])
def test_a_step_clips_the_gradient_and_nothing_else(scale: float, norm: float | None) -> None:
    """With plain gradient descent at rate 1 the weights move by the gradient, clipped where it is long."""
    model = torch.nn.Linear(3, 2, bias=False)
    before, x = model.weight.detach().clone(), torch.randn(5, 3)
    gradient = torch.autograd.grad(model(x).square().sum() * scale, model.weight)[0]
    optimizer = torch.optim.SGD(model.parameters(), lr=9.0)
    loss = training_step([model], optimizer, [lambda: model(x).square().sum() * scale], lr=1.0, clip=0.5)
    moved = before - model.weight.detach()
    expected = gradient if norm is None else gradient / gradient.norm() * norm
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=1e-4)
    assert not loss.requires_grad


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
        torch.testing.assert_close(divided.model.state_dict()[name], value, atol=1e-4, rtol=0)
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
    run = Run(TrainingConfig(mask="causal & sliding_window(16)", **TINY), tmp_path, half=True)
    run.train()
    model, _ = load_model(tmp_path)
    assert model.config.mask == run.mask.name
    for name, value in model.state_dict().items():
        assert torch.equal(value, run.model.state_dict()[name].half().float())


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    run = Run(TrainingConfig(steps=30, dialogues=4, validate=30, validation=2, save=30), tmp_path)
    run.train()
    losses = [line["loss"] for line in run.metrics]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"lr": 0.0}, "lr must be above 0, got 0.0"),
        ({"easy": 1.5}, "easy is a share of the steps, 0 up to 1, got 1.5"),
        ({"precision": "fp8"}, "precision is one of float32, bf16, got 'fp8'"),
        ({"skills": "recall,juggling"}, "no skill named 'juggling'"),
    ],
)
def test_bad_configs(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**changes)


def test_bad_runs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown mask 'izm'"):
        Run(TrainingConfig(mask="izm"), tmp_path)
    with pytest.raises(ValueError, match="unknown preset 'huge'"):
        Run(TrainingConfig(preset="huge"), tmp_path)
    with pytest.raises(ValueError, match="unknown device 'abacus'"):
        Run(TrainingConfig(), tmp_path, "abacus")
