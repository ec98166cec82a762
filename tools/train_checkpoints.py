"""Train the shipped models, or pick up where training stopped, and write them with their card: `make checkpoints`."""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mini_ism.checkpoints import load_model, save_model
from mini_ism.corpus import load_split
from mini_ism.evaluation import CONTROL_SKILLS, Score, evaluate
from mini_ism.files import write_atomically
from mini_ism.masks import COURSE_MASKS
from mini_ism.metrics import Measurement, write_metrics
from mini_ism.paths import data_dir
from mini_ism.progress import train_with_progress
from mini_ism.training import Run, TrainingConfig
from mini_ism.views import Table
from tools.chat_check import Message, check_messages, check_names, name_lists

RECIPE: dict[str, Any] = {
    "preset": "mini",
    "steps": 14_000,
    "lr": 2e-3,
    "easy": 0.1,
    "weights": "recall=6,persona=3.5,queue=8,revision=2",
}
"""What differs from the defaults, the same for every mask. The larger shape has room for thousands of words."""
TITLES = {
    "test": "Test split",
    "long": "Long split: longer lists and more turns than in training",
    "held_out": "Held-out split: words and wordings that no training dialogue has",
}
"""The splits that the card reports on."""
COMMAND = "python -m tools.train_checkpoints"


def main() -> None:
    """Train each mask with the same recipe, score it on the frozen splits, and write models and card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are kept (default: runs)")
    parser.add_argument("--jobs", type=int, default=2, help="masks trained side by side (default: 2)")
    parser.add_argument("--device", default="cpu", help="where to train (default: cpu)")
    parser.add_argument("--workers", type=int, default=0, help="processes for each mask that lay out its batches")
    options = parser.parse_args()
    folder = data_dir() / "checkpoints"
    # Prefix takes longest by far, so it starts first. Spawned: a forked torch may hang.
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        started = {
            mask: pool.submit(train, mask, options.runs / f"{mask}-seed0", options.device, options.workers)
            for mask in ("prefix", "causal", "ism")
        }
        about = {mask: started[mask].result() for mask in COURSE_MASKS}
    scores: dict[str, dict[str, dict[str, Score]]] = {split: {} for split in TITLES}
    names: dict[str, dict[str, dict[str, Score]]] = {title: {} for title in name_lists()}
    messages: dict[str, list[tuple[Message, str, bool]]] = {}
    for mask in COURSE_MASKS:
        model, tokenizer = load_model(folder / mask)  # as shipped, rounding included
        for split in scores:
            scores[split][mask] = evaluate(model, tokenizer, load_split(split))
        for title, listed in name_lists().items():
            names[title][mask] = check_names(model, tokenizer, listed)
        messages[mask] = check_messages(model, tokenizer)
    text = card(about, scores) + new_to_it(names, messages)
    write_atomically(folder / "README.md", text.encode())


def train(mask: str, runs: Path, device: str = "cpu", workers: int = 0) -> dict[str, Any]:
    """Train a mask with the recipe, or the rest of it, and write the model; returns what the card says about it."""
    torch.set_num_threads(1)  # more threads gain little at this size, and masks can be trained side by side
    run = Run(TrainingConfig(mask=mask, **RECIPE), runs, device, workers=workers)
    trained = train_with_progress(run)
    folder = data_dir() / "checkpoints" / mask
    save_model(trained, folder, training=run.about, bits=16)
    save_metrics(run.metrics, folder)
    return {"model": asdict(trained.config), "training": run.about}


def save_metrics(metrics: Sequence[Measurement], folder: Path) -> None:
    """Write a model's training history next to it, for :func:`~mini_ism.checkpoints.load_metrics`: one line per score.

    Args:
        metrics: of a run, one per step.
        folder: the model's.
    """
    lines: list[Measurement] = []
    losses: list[float] = []
    for line in metrics:
        losses.append(line["loss"])
        if "exact" in line:
            mean = round(sum(losses) / len(losses), 4)
            lines.append({**line, "seconds": round(line["seconds"], 1), "loss": mean, "lr": round(line["lr"], 6)})
            losses = []
    write_metrics(folder / "metrics.jsonl", lines)


def card(about: dict[str, dict[str, Any]], scores: dict[str, dict[str, dict[str, Score]]]) -> str:
    """The model card, every figure from the runs themselves."""
    first = about[COURSE_MASKS[0]]
    model, recipe = first["model"], first["training"]
    more = about["prefix"]["training"]["tokens"] / recipe["tokens"]
    lines = [
        "# Model card: the shipped checkpoints",
        "",
        f"Three GPTs of one shape ({model['layers']} layers, {model['heads']} heads, width {model['width']}, token "
        f"shift {model['token_shift']}, context {model['context']}, {recipe['parameters']:,} parameters), one a mask, "
        "for study. They speak only the small English of the [corpus](../dialogues/README.md).",
        "",
        f"Made by one command, `{COMMAND}` (`make checkpoints`), from seed {recipe['seed']}: steps of "
        f"{recipe['dialogues']} dialogues, AdamW at {recipe['lr']:g}, loss on answers only, stored as float16. "
        f"Prefix needs one sample per turn, {more:.1f} times the tokens; all take the same steps on the same "
        "dialogues. One seed, one learning rate, not the best of each: **these figures do not compare the "
        "masks**; for that, see [RESULTS.md](../../RESULTS.md).",
        "",
        "| mask | steps | dialogues | skills drawn more often | tokens computed | seconds | CPU threads |",
        "|---|---:|---:|---|---:|---:|---:|",
        *(
            f"| {mask} | {t['steps']:,} | {t['seen']:,} | {t['weights'].replace(',', ', ')} | {t['tokens']:,} "
            f"| {t['seconds']:,.0f} | {t['threads']} |"
            for mask, t in ((mask, about[mask]["training"]) for mask in COURSE_MASKS)
        ),
        "",
        "Seconds are wall-clock time, and other work ran beside the training. Where a `metrics.jsonl` lies beside "
        "a model, it has the scores on the validation split in the course of training (`load_metrics`).",
        "",
        "The labels are narrow: `recall` and `persona` ask for what a sentence told second by what it told first "
        '("Where is the key?"); the other way round ("What is in the box?", "Who likes rice?") is `reverse`. `queue` '
        "asks who is first, next or last; who stands behind or in front of somebody is `neighbour`, and "
        '"how old" or "how many points" is `number`.',
        "",
        "Two smaller models beside them, `chains-causal` and `chains-ism`, know one task only: they are runs of the "
        "sweep `words`, told of in [RESULTS.md](../../RESULTS.md), made again by `python -m tools.train_chains`.",
    ]
    for split, by_mask in scores.items():
        skills = sorted(by_mask[COURSE_MASKS[0]], key=lambda name: (name not in CONTROL_SKILLS, name))
        lines += [
            "",
            f"## {TITLES[split]}",
            "",
            "Exact match of the whole answer, greedy, true history; in brackets Wilson's 95% interval over the "
            f"answers. Control skills in bold. `python -m mini_ism eval causal prefix ism --split {split}`",
            "",
            "| skill | answers | " + " | ".join(COURSE_MASKS) + " |",
            "|---|---:|" + "---:|" * len(COURSE_MASKS),
        ]
        for skill in skills:
            cells = []
            for mask in COURSE_MASKS:
                score = by_mask[mask][skill]
                low, high = score.interval
                cells.append(f"{score.share:.1%} ({low:.1%} to {high:.1%})")
            name = f"**{skill}**" if skill in CONTROL_SKILLS else skill
            lines.append(f"| {name} | {by_mask[COURSE_MASKS[0]][skill].total} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def new_to_it(
    names: dict[str, dict[str, dict[str, Score]]], messages: dict[str, list[tuple[Message, str, bool]]]
) -> str:
    """The card's last section: on what no training dialogue contained.

    Args:
        names: scores by list of names, mask and phrasing.
        messages: natural messages, with the last reply and whether it is sensible, by mask.
    """
    lines = [
        "",
        "## What it never saw",
        "",
        "Names that no training dialogue uses, said back as they are typed; and sixty messages in a newcomer's words, "
        "written down before the corpus. `python -m tools.chat_check`",
        "",
    ]
    told = [
        [f"{title} ({first.total})", phrasing, *(f"{by_mask[mask][phrasing].share:.1%}" for mask in COURSE_MASKS)]
        for title, by_mask in names.items()
        for phrasing, first in by_mask[COURSE_MASKS[0]].items()
    ]
    sensible = [f"{sum(ok for *_, ok in messages[mask])} of {len(messages[mask])}" for mask in COURSE_MASKS]
    told.append(["natural messages", "sensible replies", *sensible])
    replied = [
        [" / ".join(rows[0][0].turns), *(f"{'' if ok else '✗ '}{reply}" for _, reply, ok in rows)]
        for rows in zip(*(messages[mask] for mask in COURSE_MASKS), strict=True)
    ]
    lines += [
        Table(["names", "how they are told", *COURSE_MASKS], told, words=frozenset({0, 1})).markdown(),
        "<details><summary>All sixty messages with their replies; ✗ where a reply is not sensible</summary>",
        "",
        Table(["message", *COURSE_MASKS], replied, words=frozenset(range(4))).markdown(),
        "</details>",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
