"""A training run on a terminal: a progress bar, and its scores in one line."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from tqdm.auto import tqdm

from mini_ism.evaluation import CONTROL_SKILLS
from mini_ism.metrics import Measurement
from mini_ism.model import GPT
from mini_ism.training import Run


def summary(exact: Mapping[str, list[int]]) -> str:
    """Scores of some skills in one line: the control skills together, then all others together, if there are both."""
    control = [exact[name] for name in exact if name in CONTROL_SKILLS]
    others = [exact[name] for name in exact if name not in CONTROL_SKILLS]
    parts = (("control", control), ("others" if control else "exact", others))
    return ", ".join(
        f"{name} {sum(r for r, _ in scores) / sum(t for _, t in scores):.1%}" for name, scores in parts if scores
    )


def train_with_progress(run: Run) -> GPT:
    """Train with a progress bar, or a plain line now and then if the output is not a terminal."""
    total, live = run.config.steps, sys.stderr.isatty()
    with tqdm(total=total, initial=run.progress.step, desc=run.mask.name, unit="step", disable=not live) as bar:

        def report(line: Measurement) -> None:
            bar.update(line["step"] - bar.n)  # a score that was still due is not a step
            if live:
                bar.set_postfix(loss=f"{line['loss']:.3f}", refresh=False)
            if "exact" in line or (not live and line["step"] % 100 == 0):
                message = (
                    f"{run.mask.name}: step {line['step']}/{total}  {line['seconds']:.0f} s  loss {line['loss']:.3f}"
                )
                bar.write(message + (f"  {summary(line['exact'])}" if "exact" in line else ""), file=sys.stderr)

        return run.train(report)
