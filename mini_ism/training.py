"""Training: one readable loop, the same for every mask.

Each step takes the same dialogues whatever the mask, drawn afresh from the endless corpus. Causal,
ISM and any other rule whose turns do not change what earlier turns saw learn all of a dialogue in
one pass; a prefix mask needs one sample a turn (the triplet expansion of 2408.00539), and the
metrics count what that costs in tokens. The loss is on answers only: a query token that reads both
ways sees its own target.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import tiktoken
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from tqdm.auto import tqdm

from mini_ism.checkpoints import CheckpointError, save_model
from mini_ism.corpus import Dialogue, generate, load_split
from mini_ism.devices import get_device
from mini_ism.dialogue import EncodedDialogue, pack
from mini_ism.evaluation import CONTROL_SKILLS, Score, evaluate, one_pass, samples
from mini_ism.files import sha256, write_atomically
from mini_ism.interrupts import uninterrupted
from mini_ism.masks import Mask, get_mask
from mini_ism.model import GPT, GPTConfig
from mini_ism.tokenizer import load_tokenizer

EASY_WEIGHTS = {"recall": 4.0, "persona": 1.0, "queue": 1.0}
EASY_DRAWS = 3


@dataclass(frozen=True)
class TrainingConfig:
    """All that decides a run: the same config on the same machine gives the same weights.

    Args:
        mask: the rule to train with, by name or expression.
        preset: the model's size.
        seed: of the weights and the dialogues.
        steps: optimiser steps.
        dialogues: drawn for each step.
        skills: what the dialogues are about: ``"all"``, or names joined by commas.
        weights: how often skills are drawn where that differs from the corpus's own shares, as ``"name=weight"``
            joined by commas. Of the control skills the queue is learned last; recall fails last where something was
            swapped before, hence the revisions.
        coined: share of made-up words, twice that of the frozen splits: to copy a word piece by piece is learned late.
        easy: the share of the steps, at the start, that sees short dialogues of the control skills only: of
            ``EASY_DRAWS`` times as many, the shortest. What everything else stands on is learned first, where it is
            cheap; without it the plateau before recall is several times longer.
        lr: peak learning rate, reached after the ``warmup`` share of the steps; then cosine down to a fiftieth.
        warmup: see ``lr``.
        weight_decay: of the matrices (AdamW, 1711.05101).
        clip: largest norm of the gradient.
        validate: steps between two scores by skill on ``validation`` dialogues of the validation split; the last step
            always.
        validation: see ``validate``.
        save: steps between two checkpoints to resume from.

    Raises:
        ValueError: a value is out of its range, or a skill is unknown.
    """

    mask: str = "ism"
    preset: str = "tiny"
    seed: int = 0
    steps: int = 28000
    dialogues: int = 16
    skills: str = "all"
    weights: str = "recall=4.5,persona=3.5,queue=8,revision=3"
    coined: float = 0.16
    easy: float = 0.2
    lr: float = 3e-3
    warmup: float = 0.05
    weight_decay: float = 0.05
    clip: float = 1.0
    validate: int = 500
    validation: int = 200
    save: int = 250

    def __post_init__(self) -> None:
        for name in ("steps", "dialogues", "validate", "validation", "save"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.lr > 0:
            raise ValueError(f"lr must be above 0, got {self.lr}")
        for name in ("warmup", "easy"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is a share of the steps, 0 up to 1, got {getattr(self, name)}")
        # Raises for an unknown skill, or a bad weight or share.
        generate(self.seed, "train", self.skill_names, self.skill_weights, coined=self.coined)

    def rate(self, step: int) -> float:
        """The learning rate of a step: linear warm-up, then cosine (1608.03983)."""
        warm = max(1, round(self.warmup * self.steps))
        if step < warm:
            return self.lr * (step + 1) / warm
        through = (step - warm) / max(1, self.steps - warm)
        return self.lr * (0.02 + 0.98 * (1 + math.cos(math.pi * through)) / 2)

    def is_easy(self, step: int) -> bool:
        """Whether a step is one of the first, which see short dialogues only; see ``easy``."""
        return step < self.easy * self.steps

    @property
    def skill_names(self) -> list[str] | None:
        """The skills to draw from, ``None`` for all."""
        return None if self.skills == "all" else [name.strip() for name in self.skills.split(",")]

    @property
    def skill_weights(self) -> dict[str, float]:
        """The weights by skill."""
        pairs = [pair.partition("=") for pair in self.weights.split(",") if pair.strip()]
        try:
            return {name.strip(): float(weight) for name, _, weight in pairs}
        except ValueError:
            raise ValueError(f'weights are "name=weight" joined by commas, got {self.weights!r}') from None

    def draw(self, step: int) -> list[Dialogue]:
        """The dialogues of a step, the same for every mask; a function of the step alone, so that a run can resume."""

        def drawn(skills: Iterable[str] | None, weights: Mapping[str, float], count: int) -> list[Dialogue]:
            endless = generate(self.seed, "train", skills, weights, start=step * count, coined=self.coined)
            return list(islice(endless, count))

        if not self.is_easy(step):
            return drawn(self.skill_names, self.skill_weights, self.dialogues)
        short = drawn(CONTROL_SKILLS, EASY_WEIGHTS, EASY_DRAWS * self.dialogues)
        return sorted(short, key=lambda d: sum(len(m["content"]) for m in d.messages))[: self.dialogues]


def make_batch(dialogues: list[Dialogue], tokenizer: tiktoken.Encoding, *, expand: bool) -> EncodedDialogue:
    """Dialogues as packed rows ``[B, T]``, T the longest's.

    Longest first, so that they pack well.
    """
    encoded = sorted((s for s, _ in samples(dialogues, tokenizer, expand=expand)), key=len, reverse=True)
    return pack(encoded, tokenizer, length=len(encoded[0]))


def loss_on_answers(model: GPT, batch: EncodedDialogue, mask: Tensor) -> Tensor:
    """Mean cross-entropy of the target tokens.

    Logits are computed where one is predicted, nowhere else.
    """
    predicts = batch.loss_mask.roll(-1, dims=1)  # position t - 1 predicts target t; no row starts with one
    logits = model(batch.tokens, mask, at=predicts)  # (N, V)
    return F.cross_entropy(logits, batch.tokens[batch.loss_mask])


def make_optimizer(model: GPT, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW, with weight decay on matrices only."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.98))


def prepare_step(
    model: GPT, optimizer: torch.optim.Optimizer, batch: EncodedDialogue, mask: Mask, *, lr: float, clip: float
) -> Tensor:
    """All of a step but the step: the rate is set, the clipped gradient is there. Returns the loss."""
    for group in optimizer.param_groups:
        group["lr"] = lr
    model.train()
    loss = loss_on_answers(model, batch, mask.dense(batch.segments))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    return loss


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: steps done.
        seconds: time spent in steps, over all sittings.
        tokens: positions computed so far, padding left out.
        seen: dialogues seen so far.
    """

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    seen: int = 0


class Run:
    """A training run in a folder: its model, its optimiser, how far it is, and what it measured.

    Files: ``state.safetensors`` (to resume from), ``metrics.jsonl`` (a line a measurement), and in
    the end ``config.json`` and ``model.safetensors`` for :func:`~mini_ism.checkpoints.load_model`.

    Args:
        config: what to train.
        folder: where; a run found there goes on where it stopped.
        device: where to compute.
        half: store the final weights as float16.

    Raises:
        CheckpointError: the folder holds a run with another config, or a damaged one.
        ValueError: an unknown mask, preset or device.
    """

    def __init__(
        self, config: TrainingConfig, folder: str | Path, device: str | torch.device = "cpu", *, half: bool = False
    ) -> None:
        self.config, self.folder, self.device, self.half = config, Path(folder), get_device(device), half
        self.mask, self.tokenizer = get_mask(config.mask), load_tokenizer()
        torch.manual_seed(config.seed)
        shape = GPTConfig.preset(config.preset, vocab_size=self.tokenizer.n_vocab, mask=self.mask.name)
        self.model = GPT(shape).to(self.device)
        self.optimizer = make_optimizer(self.model, config)
        self.expand = not one_pass(self.mask, config.draw(config.steps - 1), self.tokenizer)
        self.progress = Progress()
        self.metrics: list[dict[str, Any]] = []
        if self.state_file.exists():
            self._resume()

    @property
    def state_file(self) -> Path:
        """What the run resumes from."""
        return self.folder / "state.safetensors"

    @property
    def metrics_file(self) -> Path:
        """What the run measured, a line a step."""
        return self.folder / "metrics.jsonl"

    def train(self, report: Callable[[dict[str, Any]], None] = lambda line: None) -> GPT:
        """Train to the end. Ctrl-C saves first, so that nothing is lost; no step is ever saved half done.

        Args:
            report: called with each line of metrics as it is measured.
        """
        c, p = self.config, self.progress
        try:
            while p.step < c.steps:
                clock = time.perf_counter()
                dialogues = c.draw(p.step)
                batch = make_batch(dialogues, self.tokenizer, expand=self.expand).to(self.device)
                loss = prepare_step(self.model, self.optimizer, batch, self.mask, lr=c.rate(p.step), clip=c.clip)
                with uninterrupted():
                    self.optimizer.step()
                    value = loss.item()  # waits for the device, so that the clock is honest
                    p.step += 1
                    p.tokens += batch.token_count
                    p.seen += len(dialogues)
                    p.seconds += time.perf_counter() - clock
                    line: dict[str, Any] = {**asdict(p), "loss": value, "lr": c.rate(p.step - 1)}
                    self.metrics.append(line)
                if p.step % c.validate == 0 or p.step == c.steps:
                    line = {**line, "exact": {name: [s.right, s.total] for name, s in self.validate().items()}}
                    self.metrics[-1] = line  # a new one: another thread may be reading the old
                report(line)
                if p.step % c.save == 0 and p.step < c.steps:
                    self.save()
        except KeyboardInterrupt:
            self.save()
            raise
        self.save()
        save_model(self.model, self.folder, training=self.about, half=self.half)
        return self.model.eval()

    @property
    def about(self) -> dict[str, Any]:
        """What made the model: the config, how far it came, and on what."""
        return {
            **asdict(self.config),
            **asdict(self.progress),
            "parameters": self.model.parameter_count(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }

    def validate(self) -> dict[str, Score]:
        """Exact match by skill on the first dialogues of the validation split."""
        dialogues = load_split("validation")[: self.config.validation]
        return evaluate(self.model, self.tokenizer, dialogues, self.mask)

    def save(self) -> None:
        """Write all that the run needs to go on as if it had never stopped."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
        tensors = {key: value.cpu().contiguous() for key, value in tensors.items()}
        about = {
            "config": json.dumps(asdict(self.config)),
            "progress": json.dumps(asdict(self.progress)),
        }
        about["sha256"] = _fingerprint(tensors, about)
        lines = "".join(json.dumps(line) + "\n" for line in self.metrics)
        # Measurements first: those that are ahead of the state are dropped on resuming.
        write_atomically(self.metrics_file, lines.encode())
        write_atomically(self.state_file, save(tensors, about))

    def _resume(self) -> None:
        remedy = "choose another folder with --out, or delete this one to start afresh"
        file = self.state_file
        try:
            with safe_open(file, "pt") as content:
                about = content.metadata() or {}
                # Copies, or the optimiser would go on living in the file, which Windows then refuses to replace.
                tensors = {key: content.get_tensor(key).clone() for key in content.keys()}  # noqa: SIM118
            config, progress = json.loads(about["config"]), json.loads(about["progress"])
            if about.get("sha256", "") not in ("", _fingerprint(tensors, about)):
                raise ValueError("its content has changed since it was saved")
            file = self.metrics_file
            lines = list(map(json.loads, file.read_text(encoding="utf-8").splitlines()))
            self.metrics = [line for line in lines if line["step"] <= progress["step"]]
        except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            raise CheckpointError(f"{file} is damaged or not a training run ({error}); {remedy}") from None
        ours = asdict(self.config)
        odd = {name: (config.get(name), ours.get(name)) for name in ours | config if config.get(name) != ours.get(name)}
        if odd:
            told = ", ".join(f"{name}={there!r} there, {here!r} now" for name, (there, here) in odd.items())
            raise CheckpointError(f"{self.folder} holds a run with another config: {told}; {remedy}")
        self.progress = Progress(**progress)
        self.model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, index, name = key.split(".")
                state.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})


def _fingerprint(tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> str:
    """A hash of all that a run resumes from."""
    parts = [key.encode() + tensors[key].numpy().tobytes() for key in sorted(tensors)]
    return sha256(b"".join([about["config"].encode(), about["progress"].encode(), *parts]))


def summary(exact: Mapping[str, list[int]]) -> str:
    """Scores of some skills in one line: the control skills together, then all others together."""
    control = [exact[name] for name in exact if name in CONTROL_SKILLS]
    others = [exact[name] for name in exact if name not in CONTROL_SKILLS]
    parts = (("control", control), ("others", others))
    return ", ".join(
        f"{name} {sum(r for r, _ in scores) / sum(t for _, t in scores):.1%}" for name, scores in parts if scores
    )


def train_with_progress(run: Run) -> GPT:
    """Train with a progress bar, or a plain line now and then where the output is no terminal."""
    total, live = run.config.steps, sys.stderr.isatty()
    with tqdm(total=total, initial=run.progress.step, desc=run.mask.name, unit="step", disable=not live) as bar:

        def report(line: dict[str, Any]) -> None:
            bar.update()
            if live:
                bar.set_postfix(loss=f"{line['loss']:.3f}", refresh=False)
            if "exact" in line or (not live and line["step"] % 100 == 0):
                told = f"{run.mask.name}: step {line['step']}/{total}  {line['seconds']:.0f} s  loss {line['loss']:.3f}"
                bar.write(
                    told + (f"  {summary(line['exact'])}" if "exact" in line else ""),
                    file=sys.stderr,
                )

        return run.train(report)
