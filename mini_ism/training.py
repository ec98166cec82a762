"""Training: a configuration, a schedule, and one readable loop, the same for every mask.

Each step takes the same dialogues whatever the mask, drawn afresh from the endless corpus. Causal, ISM and any other
rule whose turns do not change what earlier turns saw learn all of a dialogue in one pass; a prefix mask needs one
sample per turn (the triplet expansion of 2408.00539), and the metrics count what that costs in tokens. The loss is on
answers only: a query token that reads both ways sees its own target.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mini_ism.ahead import prepared_ahead
from mini_ism.batching import turns_independent
from mini_ism.checkpoints import save_model
from mini_ism.checks import ABOVE_0, COUNT, FROM_0, SHARE, check_fields, check_kind, one_of, option, whole_number
from mini_ism.corpus import LATEST, Dialogue, generate
from mini_ism.devices import get_device
from mini_ism.dialogue import EncodedDialogue
from mini_ism.distributed import ALONE, Team, unsynced
from mini_ism.evaluation import Score, evaluate
from mini_ism.interrupts import uninterrupted
from mini_ism.masks import get_mask
from mini_ism.metrics import Measurement
from mini_ism.model import GPT
from mini_ism.run_files import RunFiles
from mini_ism.sources import Source, as_source
from mini_ism.speed import PRECISIONS, autocast, compile_blocks
from mini_ism.storage import BITS
from mini_ism.trainable import check_trainable

EASY_1 = {"recall": 4.0, "persona": 1.0, "queue": 1.0}
EASY_WEIGHTS = {1: EASY_1, 2: {**EASY_1, "about_me": 1.0, "whereabouts": 1.0}}  # by version of the corpus
EASY_DRAWS = 3

# -- configuration and schedule --------------------------------------------------------------------


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that determines a run: the same configuration on the same machine gives the same weights.

    Of the control skills, queue is learned last and recall fails last, hence the default weights. To repeat a name that
    it has never seen, a model must copy it piece by piece, hence as many made-up words as known ones, twice the frozen
    splits' share. The easy steps cheaply teach what everything else builds on; without them the plateau before recall
    is several times longer.

    Raises:
        TypeError: a value is not of its default's type; a whole number or a NumPy number is accepted for a float.
        ValueError: a value is out of range or not finite; a skill is unknown, or the corpus has no words for it.
    """

    mask: str = option("ism", "the rule to train with, by name or expression")
    preset: str = option("tiny", "the model's size")
    seed: int = option(0, "a number that decides the first weights and the dialogues", least=0, most=2**63 - 1)
    steps: int = option(28000, "optimiser steps", **COUNT)
    dialogues: int = option(16, "dialogues drawn for each step", **COUNT)
    skills: str = option("all", 'what the dialogues are about: "all", or names joined by commas')
    weights: str = option(
        "recall=4.5,persona=3.5,queue=8,revision=3",
        'how often skills are drawn where that differs from the corpus, as "name=weight" joined by commas',
    )
    coined: float = option(0.5, "share of made-up words", **SHARE)
    corpus: int = option(LATEST, "the version of the corpus: 1 for a small world of common words", least=1, most=LATEST)
    easy: float = option(
        0.2,
        "share of the steps, at the start, that sees short dialogues of the control skills only: the shortest of "
        f"{EASY_DRAWS} times as many",
        **SHARE,
    )
    lr: float = option(3e-3, "peak learning rate, after the warm-up; then cosine down to a fiftieth", **ABOVE_0)
    warmup: float = option(0.05, "share of the steps in which the learning rate rises to its peak", **SHARE)
    weight_decay: float = option(0.05, "weight decay of the matrices (AdamW, 1711.05101)", **FROM_0)
    clip: float = option(1.0, "largest norm of the gradient; 0 = no clipping", **FROM_0)
    micro_batches: int = option(1, "parts in which a step is computed one after the other, to save memory", **COUNT)
    validate: int = option(500, "steps between two scores by skill; the last step is always scored", **COUNT)
    validation_size: int = option(200, "how many validation dialogues a score is taken on, at most", **COUNT)
    save: int = option(250, "steps between two saves to resume from", **COUNT)
    # A setting, since it changes the numbers; the number of processes and compiling only change how they are rounded.
    precision: str = option("float32", 'what matrix products and attention are computed in: "float32", or "bf16"')

    def __post_init__(self) -> None:
        check_fields(self)
        one_of("precision", self.precision, PRECISIONS)
        # Raises for an unknown skill or one that the corpus's version lacks, or a bad weight or share.
        generate(self.seed, "train", self.skill_names, self.skill_weights, coined=self.coined, version=self.corpus)

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
            weights = {name.strip(): float(weight) for name, _, weight in pairs}
        except ValueError:
            weights = {}
        if len(weights) < len(pairs):
            raise ValueError(f'weights are "name=weight" joined by commas, each name once, got {self.weights!r}')
        return weights

    def draw(self, step: int) -> list[Dialogue]:
        """The dialogues of a step, the same for every mask; a function of the step alone, so that a run can resume."""

        def drawn(skills: Iterable[str] | None, weights: Mapping[str, float], count: int) -> list[Dialogue]:
            found = generate(self.seed, "train", skills, weights, step * count, coined=self.coined, version=self.corpus)
            return list(islice(found, count))

        if not self.is_easy(step):
            return drawn(self.skill_names, self.skill_weights, self.dialogues)
        easy = EASY_WEIGHTS[self.corpus]
        short = drawn(easy, easy, EASY_DRAWS * self.dialogues)
        return sorted(short, key=lambda d: sum(len(m["content"]) for m in d.messages))[: self.dialogues]


# -- the loop --------------------------------------------------------------------------------------


def loss_on_answers(model: nn.Module, batch: EncodedDialogue, mask: Tensor, targets: float | None = None) -> Tensor:
    """Mean cross-entropy of the targets, a scalar; logits are computed only for them. ``ValueError`` if there are none.

    Args:
        model: the one to train, a :class:`GPT` or a team's wrapper around it.
        batch: rows ``[B, T]``.
        mask: BoolTensor ``[B, T, T]``, True = may attend.
        targets: how many targets to average over, where a step is computed in several batches; default, this batch's.
    """
    model.train()
    predicts = batch.loss_mask.roll(-1, dims=1)  # position t - 1 predicts target t; no row starts with one
    logits = model(batch.tokens, mask, logits_at=predicts).float()  # (N, V)
    wanted = batch.tokens[batch.loss_mask]  # (N)
    if not (total := len(wanted) if targets is None else targets):
        raise ValueError("nothing to learn: the batch has no target")
    return F.cross_entropy(logits, wanted, reduction="sum") / total


def make_optimizer(model: GPT, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW, with weight decay on matrices only; fused, which takes a fifth of the time even on a CPU."""
    matrices = {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": config.weight_decay}
    others = {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0}
    return torch.optim.AdamW([matrices, others], lr=config.lr, betas=(0.9, 0.98), fused=True)


def training_step(
    models: Sequence[nn.Module],
    optimizer: torch.optim.Optimizer,
    losses: Sequence[Callable[[], Tensor]],
    *,
    lr: float | Sequence[float],
    clip: float,
    accumulate: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Tensor:
    """One optimiser step; every training run in this project takes its steps here.

    Args:
        models: the models being trained; usually one.
        optimizer: of their parameters.
        losses: forward passes that return a scalar each; their sum is the loss. Using several saves memory.
        lr: the step's learning rate, or one for each of the optimiser's groups.
        clip: largest norm of a model's gradient (1211.5063); 0 = no clipping.
        accumulate: makes a context manager for every forward and backward pass but the last.

    Returns:
        The loss before the step, detached, on the CPU.
    """
    groups = optimizer.param_groups
    for group, rate in zip(groups, lr if isinstance(lr, Sequence) else [lr] * len(groups), strict=True):
        group["lr"] = rate
    optimizer.zero_grad()
    total = torch.zeros(())
    for number, loss in enumerate(losses, start=1):
        with accumulate() if number < len(losses) else nullcontext():
            value = loss()
            value.backward()
        total = total + value.detach().cpu()
    for model in models if clip else ():
        nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return total


class Run:
    """A training run in a folder: its model, its optimiser, its progress and its measurements.

    The folder holds what :mod:`mini_ism.run_files` keeps to resume from and, once training has ended, the model for
    :func:`~mini_ism.checkpoints.load_model`.

    Args:
        config: what to train.
        folder: where the run is kept; one that is found there resumes where it stopped.
        device: where to compute.
        bits: per stored weight of the final model, 32, 16 or 8.
        compiled: compile the model's blocks with ``torch.compile``.
        team: the processes that train it together; each step's dialogues are divided among them.
        source: your own dialogues, tokenizer or initial weights.
        workers: processes that prepare the next steps' batches in the background; they do not change the results.

    Raises:
        CheckpointError: the folder holds a run with another configuration, or a damaged one.
        NotTrainableError: see :func:`~mini_ism.trainable.check_trainable`.
        TypeError, ValueError: an argument does not fit; an unknown mask, preset or device; compiling fails here; a
            step has fewer dialogues than processes, or these see other folders; config and source do not fit together.
    """

    def __init__(
        self,
        config: TrainingConfig,
        folder: str | Path,
        device: str | torch.device = "cpu",
        *,
        bits: int = 32,
        compiled: bool = False,
        team: Team = ALONE,
        source: Source | None = None,
        workers: int = 0,
    ) -> None:
        check_kind("config", config, TrainingConfig, "as in Run(TrainingConfig(steps=100), folder)")
        self.config, self.folder, self.device = config, Path(folder), get_device(device)
        self.bits, self.workers = one_of("bits", bits, BITS), whole_number("workers", workers, 0)
        self.team, self.parts = team, team.parts(config.dialogues, config.micro_batches)
        self.source = as_source(source)
        self.mask, self.tokenizer = get_mask(config.mask), self.source.tokenizer
        torch.manual_seed(config.seed)
        self.model = self.source.new_model(config, self.mask.name)
        if compiled:
            compile_blocks(self.model.blocks, self.device)
        self.called = team.wrap(self.model, self.model.blocks, self.device)
        self.optimizer = make_optimizer(self.model, config)
        sample = self.source.sample(config)
        self.expand = not turns_independent(self.mask, sample, self.tokenizer)
        check_trainable(self.mask, sample, self.tokenizer, expand=self.expand)
        self.batches = partial(self.source.batches, config, team.share, self.parts, self.expand)
        self.facts = {**asdict(config), **self.source.facts}
        self.files = RunFiles(self.folder, team)
        self.progress, self.metrics = self.files.resume(self.model, self.optimizer, config=self.facts)

    def train(self, report: Callable[[Measurement], None] = lambda line: None) -> GPT:
        """Train to the end. Ctrl-C saves first, so that nothing is lost; no step is ever saved half done.

        Args:
            report: called with each line of metrics as it is measured.

        Raises:
            DivergedError: a loss or a weight is not finite; what was saved before is untouched.
            FolderInUseError: another run is training in this folder.
            CheckpointError: another run has trained in this folder since this one was opened.
            OSError: a save failed; what was saved before is untouched.
        """
        c, p = self.config, self.progress
        with self.files.held(), self.team.interrupts() as stop:
            try:
                if self._score():  # if an interruption has left it out
                    report(self.metrics[-1])
                ahead = prepared_ahead(self.batches, range(p.step, c.steps), self.workers)
                while p.step < c.steps:
                    with uninterrupted():
                        self.metrics.append(self._step(ahead, c.rate(p.step)))
                    self._score()
                    report(self.metrics[-1])
                    if p.step % c.save == 0 and p.step < c.steps:
                        self.save()
                    stop()
            except KeyboardInterrupt:
                self.save()
                raise
            self.save()
            save_model(self.model, self.folder, self.tokenizer, training=self.about, bits=self.bits, team=self.team)
        return self.model.eval()

    def _score(self) -> bool:
        """Measure how many answers are right, if that is due and not done yet; returns whether it was."""
        c, p = self.config, self.progress
        due = p.step > 0 and (p.step % c.validate == 0 or p.step == c.steps)
        if not due or "exact" in self.metrics[-1]:
            return False
        if not (exact := {name: [s.right, s.total] for name, s in self.validate().items()}):
            return False
        self.metrics[-1] = {**self.metrics[-1], "exact": exact}  # a new line: another thread may be reading the old
        return True

    def _step(self, ahead: Iterator[list[EncodedDialogue]], lr: float) -> Measurement:
        """Take one step on the next batches with the whole team, and count it."""
        c, p, team, clock = self.config, self.progress, self.team, time.perf_counter()
        batches = [batch.to(self.device) for batch in next(ahead)]
        targets, tokens = team.sum(sum(int(b.loss_mask.sum()) for b in batches), sum(b.token_count for b in batches))

        def loss(batch: EncodedDialogue) -> Tensor:
            # Divided by a process's mean share of the targets, since the team averages its processes' gradients.
            with autocast(c.precision, self.device):
                return loss_on_answers(self.called, batch, self.mask.dense(batch.segments), targets / team.size)

        losses, accumulate = [partial(loss, batch) for batch in batches], partial(unsynced, self.called)
        share = training_step([self.model], self.optimizer, losses, lr=lr, clip=c.clip, accumulate=accumulate).item()
        value = team.sum(share)[0] / team.size
        if not math.isfinite(value):
            raise self.files.diverged(f"the loss is {value} at step {p.step + 1}")
        p.step += 1
        p.tokens += int(tokens)
        p.seen += c.dialogues
        p.seconds += time.perf_counter() - clock
        return {"step": p.step, "seconds": p.seconds, "tokens": p.tokens, "seen": p.seen, "loss": value, "lr": lr}

    @property
    def about(self) -> dict[str, object]:
        """How the model was made: the configuration, the progress and the environment."""
        return {
            **self.facts,
            **asdict(self.progress),
            "parameters": self.model.parameter_count(),
            "threads": torch.get_num_threads(),
            "processes": self.team.size,
            "torch": torch.__version__,
        }

    def validate(self) -> dict[str, Score]:
        """Exact match by skill on the source's validation dialogues; empty if it has none."""
        dialogues = self.source.scored(self.config)
        return evaluate(self.model, self.tokenizer, dialogues, self.mask, team=self.team) if dialogues else {}

    def save(self) -> None:
        """Save everything the run needs to resume as if it had never stopped."""
        about = {"config": self.facts, "progress": asdict(self.progress)}
        self.files.save(self.model, self.optimizer, **about, metrics=self.metrics)
