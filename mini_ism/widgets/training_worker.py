"""Several training runs in one thread, a few steps each in turn; can be paused, stopped and resumed at any time."""

from __future__ import annotations

import atexit
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from mini_ism.checkpoints import MODEL
from mini_ism.checks import whole_number
from mini_ism.metrics import Measurement
from mini_ism.run_files import FILES
from mini_ism.training import Run, TrainingConfig
from mini_ism.widgets.sample_answers import Question, ask, pick_questions

State = Literal["ready", "running", "paused", "stopped", "done", "failed"]
Wish = Literal["run", "pause", "stop"]


class _TurnIsOver(KeyboardInterrupt):
    """Raised between two steps to end a run's turn: the run saves, as it does at Ctrl-C."""


class TrainingWorker:
    """Trains runs side by side without holding up the kernel.

    One thread serves all runs: the one that is furthest behind trains to the next multiple of ``turn`` steps, and
    saves. So at most one turn is lost when the process is killed, and nothing at a pause, a stop or an interrupt.
    Taking turns keeps the runs level, and is no slower than a thread per run, as these would share the same cores.

    Args:
        configs: what to train, by the name of the run and of its folder.
        folder: each run has its own subfolder in it; runs found there are resumed.
        turn: how many steps a run trains before the next one's turn.
        device: where to train.
        changed: called from the worker's thread (or the caller's) whenever there is something new to show.

    Attributes:
        questions: a few from the first run's validation dialogues, which every model is asked at each validation.
        answers: each run's latest answers, by the run's name.

    Raises:
        ValueError: a name that is not a plain folder name, or ``turn`` is below 1.
    """

    def __init__(
        self,
        configs: Mapping[str, TrainingConfig],
        folder: str | Path,
        *,
        turn: int = 10,
        device: str | torch.device = "cpu",
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        for name in configs:
            if not name.strip() or Path(name).name != name or name == "..":
                raise ValueError(f"a run is called {name!r}, but its name is a folder's: use letters, digits, - and _")
        self.configs, self.folder = dict(configs), Path(folder)
        self.turn, self.device, self.changed = whole_number("turn", turn, 1), device, changed
        self.runs: dict[str, Run] = {}
        self.questions: list[Question] = []
        self.answers: dict[str, list[str]] = {}
        self.state: State = "ready"
        self.wish: Wish = "stop"
        self.error: Exception | None = None
        self._bell = threading.Condition()
        self._thread: threading.Thread | None = None
        self._measured: dict[str, list[Measurement]] = {}

    def open(self) -> None:
        """Load the runs from their folders, or create them.

        Raises:
            ValueError: a folder holds something else, or a mask cannot be trained.
            OSError: a folder cannot be read.
        """
        self.runs = {name: Run(config, self.folder / name, self.device) for name, config in self.configs.items()}
        first = next(iter(self.runs.values()), None)
        self.questions = pick_questions(first.source.scored(first.config)) if first else []
        self.answers = {name: ask(run, self.questions) for name, run in self.runs.items()}
        if self._furthest_behind() is None:
            self.state = "done"

    @property
    def metrics(self) -> dict[str, list[Measurement]]:
        """What was measured so far, by run."""
        return {name: list(run.metrics) for name, run in self.runs.items()} or self._measured

    # -- requests, from any thread --------------------------------------------------------------

    def start(self) -> None:
        """Start or resume training. Does nothing while it runs or when everything is done."""
        with self._bell:
            if self.state == "done":
                return
            self.wish = "run"
            asleep = self.state in ("running", "paused")
            reopen = self.state in ("stopped", "failed") or not self.runs
            self.state, self.error = "running", None  # set here, so that a wait() right after this waits
            if asleep:
                self._bell.notify_all()
            else:
                self._thread = threading.Thread(
                    target=self._work, args=(reopen,), name="mini-ism training", daemon=True
                )
                self._thread.start()
        self.changed()

    def pause(self) -> None:
        """Save after the current step, and wait."""
        self._ask("pause")

    def stop(self, seconds: float = 30.0) -> None:
        """Save after the current step and end; returns when that is done, or after ``seconds``."""
        self._ask("stop")
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)

    def let_go(self) -> None:
        """Stop, and free the models' memory: what was measured can still be shown, and :meth:`start` goes on."""
        self.stop()
        if self.state not in ("running", "paused"):  # training may take longer to end than stop() waits
            self._measured, self.runs = self.metrics, {}

    def _ask(self, wish: Wish) -> None:
        with self._bell:
            if self.state not in ("running", "paused"):
                return
            self.wish = wish
            self._bell.notify_all()
        self.changed()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until it is done, paused, stopped or failed. Ctrl-C pauses it and loses nothing.

        Args:
            seconds: the longest time to wait.
        """
        end = time.monotonic() + (float("inf") if seconds is None else seconds)
        try:
            while self.state == "running" and time.monotonic() < end:
                time.sleep(0.05)
        except KeyboardInterrupt:
            self.pause()
            raise

    def clear(self) -> None:
        """Delete the runs' files from their folders, and start over.

        Raises:
            OSError: a file could not be deleted.
        """
        self.stop()
        for name in self.configs:
            for file in FILES:
                (self.folder / name / file).unlink(missing_ok=True)
        self.state, self.error, self.runs, self._measured = "ready", None, {}, {}
        self.open()

    # -- the thread -----------------------------------------------------------------------------

    def _work(self, reopen: bool) -> None:
        save = partial(self.stop)  # unique to this thread, so that none unregisters another's
        atexit.register(save)  # saves at kernel shutdown, which would otherwise kill the thread
        try:
            if reopen:
                self.open()
            while self._may_go_on():
                run = self._furthest_behind()
                if run is None:
                    self._become("done")
                    break
                self._train_a_turn(run)
        except Exception as error:  # kept to be shown in the widget: a thread has no cell output
            self.error = error
            self._become("failed")
        finally:
            atexit.unregister(save)  # or no worker would ever be garbage-collected
        self.changed()

    def _become(self, state: State) -> None:
        with self._bell:
            self.state = state

    def _may_go_on(self) -> bool:
        """Whether to continue training; sleeps while paused."""
        while True:
            with self._bell:
                before = self.state
                self.state = {"run": "running", "pause": "paused", "stop": "stopped"}[self.wish]  # type: ignore[assignment]
                now = self.state
            if now != before:
                self.changed()
            if now != "paused":
                return now == "running"
            with self._bell:
                self._bell.wait_for(lambda: self.wish != "pause")

    def _furthest_behind(self) -> Run | None:
        """The unfinished run that has done the fewest steps."""
        unfinished = [run for run in self.runs.values() if not _finished(run)]
        return min(unfinished, key=lambda run: run.progress.step, default=None)

    def _train_a_turn(self, run: Run) -> None:
        goal = (run.progress.step // self.turn + 1) * self.turn

        def report(line: Measurement) -> None:
            if "exact" in line:
                self.answers = {**self.answers, run.folder.name: ask(run, self.questions)}
            self.changed()
            if line["step"] < run.config.steps and (line["step"] >= goal or self.wish != "run"):
                raise _TurnIsOver

        with contextlib.suppress(_TurnIsOver):
            run.train(report)


def _finished(run: Run) -> bool:
    """Whether all steps are done and the model is saved."""
    return run.progress.step >= run.config.steps and (run.folder / MODEL).exists()
