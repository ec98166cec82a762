"""The training monitor: masks train side by side, and you watch, pause, stop and resume."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import ipywidgets as w
import torch

from mini_ism.evaluation import CONTROL_SKILLS
from mini_ism.masks import COURSE_MASKS, get_mask
from mini_ism.metrics import Measurement
from mini_ism.training import TrainingConfig
from mini_ism.views.curves import AGAINST, curve_figure, curve_picture, curves
from mini_ism.views.figures import Figure
from mini_ism.views.tables import Table
from mini_ism.widgets.layout import legible
from mini_ism.widgets.panel import Panel, put
from mini_ism.widgets.sample_answers import answers_html, answers_table
from mini_ism.widgets.surface import Surface
from mini_ism.widgets.training_worker import TrainingWorker

REDRAW_SECONDS = 0.4  # between two redraws while it trains
ANSWERS: dict[str, tuple[str, ...] | None] = {"control skills": CONTROL_SKILLS, "all skills": None}
"""Whose answers the second curve counts; runs on skills of their own have no others."""
OPENINGS = {
    "ready": "Ready: press Start",
    "running": "Training",
    "paused": "Paused, and saved",
    "stopped": "Stopped, and saved",
    "done": "Done",
    "failed": "Stopped by an error",
}
OPEN: WeakValueDictionary[Path, TrainingWorker] = WeakValueDictionary()
"""The worker that last opened each folder: when a cell runs again, its old worker must release the folder."""


class TrainingMonitor(Panel):
    """Live curves of runs that train in turn in a thread, with buttons to start, pause, resume and stop.

    Below the curves are a few questions with each model's current answers: asked before the first step, and again at
    each validation. The kernel stays free: cells can run, and buttons work, during training. All is saved to a folder
    every few steps; a monitor opened on the same folder resumes from there, in this kernel or another.

    Args:
        configs: what to train, by name; default: the three masks, few steps.
        folder: each run gets its own subfolder in it.
        turn: how many steps one run trains before the next one's turn.
        device: where to train.

    Attributes:
        worker: the :class:`~mini_ism.widgets.training_worker.TrainingWorker` behind it.

    Raises:
        ValueError: no config, an unknown mask, or a name that is not a valid folder name. (Problems with the folder
            itself, and masks that cannot be trained, are shown in place.)
    """

    def __init__(
        self,
        configs: Mapping[str, TrainingConfig] | None = None,
        folder: str | Path = "runs/monitor",
        *,
        turn: int = 10,
        device: str | torch.device = "cpu",
    ) -> None:
        super().__init__("mi-training")
        if configs is None:
            configs = {mask: TrainingConfig(mask=mask, steps=60, dialogues=8, validate=20) for mask in COURSE_MASKS}
        if not configs:
            raise ValueError('nothing to train; give some runs by name: {"ism": TrainingConfig(mask="ism")}')
        for config in configs.values():
            get_mask(config.mask)
        self._drawing = threading.RLock()
        self._drawn, self._drawn_state = 0.0, ("", "")
        self._sure = False
        self.worker = TrainingWorker(configs, folder, turn=turn, device=device, changed=self._refresh)
        self._make_controls()
        self._take_over()
        self._refresh()

    def _make_controls(self) -> None:
        self.go = w.Button(description="Start", icon="play", button_style="primary")
        self.halt = w.Button(description="Stop", icon="stop")
        self.over = w.Button(description="Start over", icon="undo")
        self.against = w.Dropdown(
            options=[(words, key) for key, words in AGAINST.items()],
            description="Against",
            layout=w.Layout(width="260px"),
        )
        own = all(config.skills != "all" for config in self.worker.configs.values())
        self.answers = w.Dropdown(
            options=["all skills"] if own else [*ANSWERS], description="Answers of", layout=w.Layout(width="240px")
        )
        self.bars = {
            name: w.IntProgress(
                min=0,
                max=config.steps,
                description=name,
                style={"description_width": "70px"},
                layout=w.Layout(width="260px"),
            )
            for name, config in self.worker.configs.items()
        }
        self.picture, self.samples = Surface(), w.HTML()
        self.go.on_click(lambda _: self._go_or_pause())
        self.halt.on_click(lambda _: self.stop())
        self.over.on_click(lambda _: self._start_over())
        for control in (self.against, self.answers):
            control.observe(lambda _: self._redraw(), "value")
        wrap = w.Layout(flex_flow="row wrap")
        self.box.children = [
            self._style,
            w.HBox([self.go, self.halt, self.over], layout=wrap),
            self._error,
            self._status,
            w.HBox(list(self.bars.values()), layout=wrap),
            w.HBox([self.against, self.answers], layout=wrap),
            self.picture,
            self.samples,
        ]

    def _take_over(self) -> None:
        """Open the folder, unless this worker has it; one that trains there (the cell ran twice) releases it first."""
        place = self.worker.folder.resolve()
        other = OPEN.get(place)
        if other is self.worker:
            return
        if other is not None:
            other.let_go()
        OPEN[place] = self.worker
        self._try(self.worker.open)

    def _try(self, action: Any) -> None:
        """Do something with the folder; an error, such as a mask that cannot be trained, is shown in place."""
        self._complain("")
        try:
            action()
        except (ValueError, OSError) as error:
            self.worker.error, self.worker.state = error, "failed"

    # -- controls -------------------------------------------------------------------------------

    def start(self) -> None:
        """Start training, or resume from where it stopped."""
        self._sure = False
        self._take_over()  # another worker may have trained further
        self.worker.start()

    def pause(self) -> None:
        """Save after the current step, and wait."""
        self.worker.pause()

    def stop(self) -> None:
        """Save after the current step, and end."""
        self._sure = False
        self.worker.stop()

    def wait(self, seconds: float | None = None) -> None:
        """Block the cell until training is done, paused, stopped or failed; interrupting the kernel pauses it.

        While a cell waits, buttons work if the kernel handles messages during a running cell (JupyterLab 4.4 with
        ipykernel 7, or later). Elsewhere they wait for the cell to end, and the kernel's interrupt button pauses.
        """
        self.worker.wait(seconds)
        self._refresh()

    @property
    def metrics(self) -> dict[str, list[Measurement]]:
        """What was measured so far, for :func:`~mini_ism.views.curves.curve_figure`."""
        return self.worker.metrics

    @property
    def sample_answers(self) -> Table:
        """A few questions of the validation split, the right answers, and what each model answered last."""
        return answers_table(self.worker.questions, self.worker.answers)

    @property
    def state(self) -> str:
        """``"ready"``, ``"running"``, ``"paused"``, ``"stopped"``, ``"done"`` or ``"failed"``."""
        return self.worker.state

    def _go_or_pause(self) -> None:
        if self.worker.state == "running" and self.worker.wish == "run":
            self.pause()
        else:
            self.start()

    def _start_over(self) -> None:
        """Delete the runs when pressed a second time."""
        if self._sure:
            self._try(self.worker.clear)
        self._sure = not self._sure
        self._redraw()

    # -- showing --------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Redraw; throttled while only the step changes. Also called from the worker's thread."""
        same = (self.worker.state, self.worker.wish) == self._drawn_state
        if not same or time.monotonic() - self._drawn >= REDRAW_SECONDS:
            self._redraw()

    def _redraw(self) -> None:
        with self._drawing:
            worker = self.worker
            state, asked, error = worker.state, worker.wish, worker.error
            self._drawn, self._drawn_state = time.monotonic(), (state, asked)
            self._complain("" if error is None else f"{type(error).__name__}: {error}")
            for name, run in worker.runs.items():
                put(self.bars[name], run.progress.step)
            put(self.picture, legible(curve_picture(self.metrics, **self._view)))
            put(self.samples, answers_html(self.sample_answers) if worker.answers else "")
            begun = any(line["step"] for lines in self.metrics.values() for line in lines)
            self._set_buttons(state, asked, begun)
            opening = OPENINGS[state]
            if state == "running" and asked != "run":
                opening = "Pausing after this step" if asked == "pause" else "Stopping after this step"
            elif state == "ready" and begun:
                opening = "Found a run that was not finished: press Resume"
            summaries = [curve.describe() for curve in curves(self.metrics, skills=ANSWERS[self.answers.value])]
            self._say(f"{opening}. {'; '.join(summaries)}." if begun else f"{opening}.")

    def _set_buttons(self, state: str, asked: str, begun: bool) -> None:
        """One button starts, pauses and resumes, so that it keeps the keyboard's focus."""
        trains = state == "running" and asked == "run"
        name, icon = ("Pause", "pause") if trains else ("Resume" if begun and state != "done" else "Start", "play")
        values: list[tuple[Any, str, Any]] = [
            (self.go, "description", name),
            (self.go, "icon", icon),
            (self.go, "disabled", state == "done"),
            (self.halt, "disabled", state not in ("running", "paused")),
            (self.over, "disabled", state == "running" or not (begun or state == "failed")),
            (self.over, "description", "Delete? Press again" if self._sure else "Start over"),
            (self.over, "button_style", "danger" if self._sure else ""),
        ]
        for widget, trait, value in values:
            if getattr(widget, trait) != value:
                setattr(widget, trait, value)

    @property
    def _view(self) -> dict[str, Any]:
        """The chosen options for drawing the curves."""
        return {"against": self.against.value, "skills": ANSWERS[self.answers.value]}

    def figure(self) -> Figure:
        """The curves so far, as a still picture."""
        figure = curve_figure(self.metrics, **self._view)
        figure.alt = f"Training monitor. {self.status} {figure.alt}"
        return figure
