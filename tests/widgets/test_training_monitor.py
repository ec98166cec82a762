"""The training monitor without a browser: its thread, its buttons, its folder, its words and its pictures."""

import gc
import json
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mini_ism import ChatSession, load_model
from mini_ism.corpus import Dialogue
from mini_ism.corpus.registry import ACK
from mini_ism.training import Run, TrainingConfig
from mini_ism.views.picture import WIDGET_VIEW
from mini_ism.widgets import TrainingMonitor, training_worker
from mini_ism.widgets.sample_answers import Question, answers_html, answers_table, ask, pick_questions
from mini_ism.widgets.training_worker import TrainingWorker

pytestmark = pytest.mark.slow

TINY: dict[str, Any] = {"steps": 6, "dialogues": 2, "validate": 3, "validation_size": 3, "easy": 0.9}
SECONDS = 600.0  # more than ever needed; a machine may be very busy


def configs(**changes: Any) -> dict[str, TrainingConfig]:
    return {mask: TrainingConfig(mask=mask, **{**TINY, **changes}) for mask in ("causal", "ism")}


def until(condition: Callable[[], bool]) -> None:
    """Wait for the thread, but not for ever."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[TrainingMonitor]:
    made = TrainingMonitor(configs(), tmp_path / "runs", turn=2)
    yield made
    made.stop()


def weights(model: torch.nn.Module) -> list[torch.Tensor]:
    return list(model.state_dict().values())


# -- training ---------------------------------------------------------------------------------------


def test_side_by_side_ends_with_the_weights_of_runs_alone(tmp_path: Path, monitor: TrainingMonitor) -> None:
    monitor.start()
    monitor.wait(SECONDS)
    assert monitor.state == "done", monitor.error
    for name, config in configs().items():
        alone = Run(config, tmp_path / name).train()
        model, _ = load_model(tmp_path / "runs" / name)
        assert all(torch.equal(a, b) for a, b in zip(weights(alone), weights(model), strict=True))
    assert monitor.status.startswith("Done. causal after 6 steps: loss ")
    assert all(bar.value == 6 for bar in monitor.bars.values())
    assert monitor.go.disabled
    assert monitor.halt.disabled


def test_buttons_pause_resume_and_stop_and_lose_nothing(tmp_path: Path) -> None:
    monitor = TrainingMonitor(configs(steps=400, validate=400), tmp_path, turn=2)
    assert monitor.status == "Ready: press Start."
    assert monitor.halt.disabled
    monitor.go.click()
    until(lambda: all(run.progress.step >= 2 for run in monitor.worker.runs.values()))
    assert monitor.go.description == "Pause"
    monitor.go.click()
    until(lambda: monitor.state == "paused")
    until(lambda: monitor.status.startswith("Paused, and saved. causal after "))
    steps = {name: run.progress.step for name, run in monitor.worker.runs.items()}
    for name, step in steps.items():  # all of it is on the disk already
        lines = (tmp_path / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        assert json.loads(lines[-1])["step"] == step
    time.sleep(0.1)
    assert steps == {name: run.progress.step for name, run in monitor.worker.runs.items()}
    assert monitor.go.description == "Resume"
    monitor.go.click()
    until(lambda: sum(run.progress.step for run in monitor.worker.runs.values()) > sum(steps.values()))
    monitor.halt.click()
    assert monitor.state == "stopped"
    assert monitor.status.startswith("Stopped, and saved.")
    monitor.go.click()
    until(lambda: monitor.state == "running")
    monitor.stop()
    assert monitor.error == ""


def test_runs_stay_level(tmp_path: Path) -> None:
    worker = TrainingWorker(configs(), tmp_path, turn=2)
    apart = []

    def look() -> None:
        steps = [run.progress.step for run in worker.runs.values()]
        apart.append(max(steps) - min(steps))

    worker.changed = look
    worker.open()
    worker.start()
    worker.wait(SECONDS)
    assert worker.state == "done"
    assert max(apart) == 2


def test_the_caller_is_free_while_it_trains(monitor: TrainingMonitor) -> None:
    monitor.start()
    assert threading.current_thread() is threading.main_thread()
    assert monitor.state == "running"  # start returned before a step was done
    monitor.wait(SECONDS)


def test_an_interrupt_while_waiting_pauses_and_is_passed_on(
    monitor: TrainingMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monitor.start()
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            monitor.wait()
    until(lambda: monitor.state in ("paused", "done"))
    monitor.start()
    monitor.wait(SECONDS)
    assert monitor.state == "done"


def test_reopening_goes_on(tmp_path: Path) -> None:
    first = TrainingMonitor(configs(), tmp_path, turn=2)
    first.start()
    until(lambda: any(run.progress.step for run in first.worker.runs.values()))
    second = TrainingMonitor(configs(), tmp_path, turn=2)  # as when a cell is run again
    assert first.state in ("stopped", "done")
    if first.state == "stopped":
        assert second.status.startswith("Found a run that was not finished: press Resume. causal after ")
        assert second.go.description == "Resume"
    second.start()
    second.wait(SECONDS)
    assert second.state == "done"
    third = TrainingMonitor(configs(), tmp_path, turn=2)
    assert third.state == "done"
    assert third.metrics == second.metrics


def test_the_older_monitor_may_take_over_again(tmp_path: Path) -> None:
    first = TrainingMonitor(configs(), tmp_path, turn=2)
    second = TrainingMonitor(configs(), tmp_path, turn=2)
    second.start()
    second.wait(SECONDS)
    first.start()
    first.wait(SECONDS)
    assert first.state == "done"
    assert first.metrics == second.metrics


def test_what_is_taken_over_gives_its_memory_back_and_still_shows_its_curves(tmp_path: Path) -> None:
    first = TrainingMonitor(configs(), tmp_path, turn=2)
    first.start()
    first.wait(SECONDS)
    run, metrics = weakref.ref(first.worker.runs["ism"]), first.metrics
    TrainingMonitor(configs(), tmp_path, turn=2)
    gc.collect()
    assert run() is None
    assert first.metrics == metrics
    first.against.value = "tokens"
    assert first.status.startswith("Done. causal after 6 steps: loss ")


def test_a_worker_that_has_ended_can_be_forgotten(tmp_path: Path) -> None:
    worker = TrainingWorker(configs(), tmp_path, turn=2)
    worker.open()
    worker.start()
    worker.stop(SECONDS)
    forgotten = weakref.ref(worker)
    del worker
    gc.collect()
    assert forgotten() is None


def test_starting_over_asks_twice(tmp_path: Path, monitor: TrainingMonitor) -> None:
    assert monitor.over.disabled
    monitor.start()
    monitor.wait(SECONDS)
    mine = tmp_path / "runs" / "causal" / "notes.txt"
    mine.write_text("mine", encoding="utf-8")
    monitor.over.click()
    assert monitor.over.description == "Delete? Press again"
    assert monitor.state == "done"
    monitor.over.click()
    assert monitor.status == "Ready: press Start."
    assert [path.name for path in (tmp_path / "runs" / "causal").iterdir()] == ["notes.txt"]
    monitor.start()
    monitor.wait(SECONDS)
    assert monitor.state == "done"


# -- what can go wrong ------------------------------------------------------------------------------


def test_a_folder_with_another_run_is_told_in_place_and_can_be_cleared(tmp_path: Path) -> None:
    Run(TrainingConfig(mask="causal", **{**TINY, "lr": 0.5}), tmp_path / "causal").save()
    monitor = TrainingMonitor(configs(), tmp_path, turn=2)
    assert "lr=0.5 there" in monitor.error
    assert monitor.status == "Stopped by an error."
    monitor.figure()
    monitor.go.click()  # tries again
    until(lambda: monitor.state == "failed")
    until(lambda: "lr=0.5 there" in monitor.error)
    monitor.over.click()
    monitor.over.click()
    assert monitor.error == ""
    monitor.start()
    monitor.wait(SECONDS)
    assert monitor.state == "done"


def test_what_goes_wrong_in_the_thread_is_told_in_place(monitor: TrainingMonitor, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be", encoding="utf-8")
    monitor.start()
    monitor.wait(SECONDS)
    assert monitor.state == "failed"
    assert re.search(r"(NotADirectory|FileExists|OS)Error", monitor.error)
    assert 'role="alert"' in monitor._error.value
    (tmp_path / "runs").unlink()
    monitor.start()
    monitor.wait(SECONDS)
    assert (monitor.state, monitor.error) == ("done", "")


@pytest.mark.parametrize(
    ("given", "turn", "message"),
    [
        ({}, 1, "nothing to train"),
        ({"a/b": TrainingConfig()}, 1, "a/b"),
        ({"..": TrainingConfig()}, 1, "name is a folder's"),
        ({"ism": TrainingConfig()}, 0, "turn must be at least 1, got 0"),
        ({"ism": TrainingConfig(mask="imz")}, 1, "unknown mask 'imz'"),
        ({"ism": TrainingConfig(mask="ism &")}, 1, "cannot read mask 'ism &'"),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path: Path, given: Any, turn: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingMonitor(given, tmp_path, turn=turn)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ("same_query", "'same_query' leaves position .* nothing to attend"),
        ("bidirectional", "'bidirectional' cannot be trained: position .* Let answers read backwards only"),
    ],
)
def test_a_mask_that_cannot_be_trained_is_told_in_place(tmp_path: Path, mask: str, message: str) -> None:
    monitor = TrainingMonitor({mask: TrainingConfig(mask=mask, steps=2)}, tmp_path)
    assert re.search(message, monitor.error)
    assert monitor.status == "Stopped by an error."
    monitor.start()
    until(lambda: monitor.state == "failed")
    assert list(tmp_path.iterdir()) == []


# -- what it shows ----------------------------------------------------------------------------------


def test_a_still_picture_comes_with_the_widget(monitor: TrainingMonitor) -> None:
    bundle = monitor._repr_mimebundle_()[0]
    assert bundle["text/plain"].startswith("Training monitor. Ready: press Start.")
    assert {"image/png", WIDGET_VIEW} <= set(bundle)


def test_the_view_can_be_chosen(monitor: TrainingMonitor) -> None:
    assert "against steps" in monitor.picture.value
    monitor.against.value = "tokens"
    assert "against tokens computed" in monitor.picture.value
    monitor.answers.value = "all skills"
    assert "answers exactly right, all skills" in monitor.picture.value


# -- sample answers ---------------------------------------------------------------------------------


def test_the_same_questions_are_asked_before_the_first_step_and_at_each_validation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def answer(run: Run, questions: list[Question]) -> list[str]:
        asked.append((run.folder.name, run.progress.step))
        return [f"step {run.progress.step}"] * len(questions)

    monkeypatch.setattr(training_worker, "ask", answer)
    monitor = TrainingMonitor(configs(), tmp_path, turn=2)
    assert monitor.sample_answers.rows[0][2:] == ("✗ step 0", "✗ step 0")
    monitor.start()
    monitor.wait(SECONDS)
    assert asked == [(name, step) for step in (0, 3, 6) for name in configs()]
    assert monitor.sample_answers.rows[0][2:] == ("✗ step 6", "✗ step 6")
    assert "✗ step 6" in monitor.samples.value


def test_a_sample_answer_is_what_the_model_says_in_a_chat(tmp_path: Path) -> None:
    run = Run(TrainingConfig(mask="prefix", **TINY), tmp_path)
    questions = pick_questions(run.source.scored(run.config))
    assert len(questions) == 3
    for question, answer in zip(questions, ask(run, questions), strict=True):
        chat = ChatSession(run.model, run.tokenizer, messages=question.messages[:-1])
        reply = chat.send(question.messages[-1]["content"], max_new_tokens=40)
        assert str(reply).startswith(answer.removesuffix(" …"))


def test_what_a_question_shows_is_escaped_short_and_no_statement() -> None:
    messages = [
        {"role": "user", "content": "The <b>cup</b> is in the jar."},
        {"role": "assistant", "content": "Okay."},
        {"role": "user", "content": f"{'very ' * 60}where is the cup?"},
        {"role": "assistant", "content": "In the jar."},
    ]
    (question,) = pick_questions([Dialogue(messages, [ACK, "recall"])])
    assert question.wanted == "In the jar."
    assert str(question).endswith("where is the cup?")
    assert len(str(question)) < 170
    (short,) = pick_questions([Dialogue(messages[:2], ["recall"])])
    html = answers_html(answers_table([short], {"<ism>": ["<script>"], "right": ["Okay."]}))
    assert "✗ &lt;script&gt;" in html
    assert "&lt;ism&gt;" in html
    assert "✓ Okay." in html
    assert "<b>" not in html


def test_runs_on_skills_of_their_own_have_no_control_skills_to_choose(tmp_path: Path) -> None:
    monitor = TrainingMonitor(configs(skills="recall", weights=""), tmp_path, turn=2)
    assert monitor.answers.options == ("all skills",)
