"""What all exercises share: a verdict that can display itself, and a registry."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from typing import Any, Literal

from mini_ism.views.figures import Figure, png_bytes
from mini_ism.views.picture import Bundle, Picture, bundle, image
from mini_ism.views.svg import FAINT, FONT, INK, colour
from mini_ism.views.tables import Table

State = Literal["right", "wrong", "todo"]
Shown = Picture | Figure | None
Judge = Callable[[Any], "Verdict"]

CHAPTERS = {
    "masks": "01_masks",
    "gpt": "02_gpt_from_scratch",
    "dialogues": "03_dialogues",
    "training": "04_training",
    "attention": "05_attention_maps",
    "cache": "06_cache_reuse",
    "paging": "06_cache_reuse",
    "quality": "07_quality_and_latency",
    "theory": "08_theory",
}
"""The modules of this package that hold exercises, each with its notebook, in the order of the course."""

STYLES: dict[State, tuple[str, str, str]] = {
    "right": ("✓", "Right", colour("assistant")),
    "wrong": ("✗", "Not yet right", colour("discarded")),
    "todo": ("…", "Not done yet", FAINT),
}
"""Sign, words and colour of each state; no state relies on colour alone."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """The result of a check. A notebook displays it below the cell that ends with it.

    Args:
        state: ``"right"``, ``"wrong"`` or ``"todo"``.
        message: what is wrong and where, or what is worth noticing now that it is right.
        yours: a picture of the answer, if there is one.
        target: a picture of what it should have been.
        titles: the headings of the two pictures.
    """

    state: State
    message: str
    yours: Shown = None
    target: Shown = None
    titles: tuple[str, str] = ("yours", "target")

    def __str__(self) -> str:
        sign, words, _ = STYLES[self.state]
        return f"{sign} {words}: {self.message}"

    __repr__ = __str__

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        sign, words, ink = STYLES[self.state]
        both = zip(self.titles, (self.yours, self.target), strict=True)
        shown = [(name, picture) for name, picture in both if picture]
        panels = "".join(
            f'<figure style="margin:0;flex:1 1 300px;max-width:560px">'
            f'<figcaption style="color:{FAINT};font-size:13px;font-weight:600">{name}</figcaption>'
            f"{_html(picture)}</figure>"
            for name, picture in shown
        )
        line = f'<b style="color:{ink}">{sign} {words}.</b> {escape(self.message)}'
        html = (
            f'<div class="mi"><div role="status" style="{FONT};font-size:14px;line-height:1.5;color:{INK};'
            f'border-left:4px solid {ink};padding:2px 10px;white-space:pre-line;overflow-wrap:anywhere">{line}</div>'
            + (f'<div style="display:flex;flex-wrap:wrap;gap:16px;margin-top:8px">{panels}</div>' if panels else "")
            + "</div>"
        )
        described = "".join(f"\n{name}: {_alt(picture)}" for name, picture in shown)
        return bundle(str(self) + described, html)


def _alt(picture: Picture | Figure) -> str:
    return picture.alt


def _html(picture: Picture | Figure) -> str:
    return picture.still() if isinstance(picture, Picture) else image(png_bytes(picture), picture.alt)


def right(message: str, *, yours: Shown = None, target: Shown = None) -> Verdict:
    """The answer is right; the message says what is worth noticing."""
    return Verdict("right", message, yours, target)


def wrong(message: str, *, yours: Shown = None, target: Shown = None) -> Verdict:
    """The answer is wrong; the message says what is wrong, where, and why."""
    return Verdict("wrong", message, yours, target)


class Slip(BaseException):
    """Something is wrong with an answer, whatever the task; the message continues "your answer ...".

    No ``Exception``, since it may have to pass through code that reports any exception as its own, as a mask does with
    those of its rule.
    """


# -- the registry ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Args:
        name: what ``check`` knows it by.
        difficulty: 1 to 3.
        task: what to do, in a sentence.
        notebook: the notebook it belongs to.
        judge: takes an answer, gives a verdict.
    """

    name: str
    difficulty: int
    task: str
    notebook: str
    judge: Judge

    @property
    def dots(self) -> str:
        """The difficulty as ``●●○``."""
        return "●" * self.difficulty + "○" * (3 - self.difficulty)


_EXERCISES: dict[str, Exercise] = {}


def exercise(name: str, *, difficulty: int) -> Callable[[Judge], Judge]:
    """Register a judge as an exercise. The first paragraph of its docstring is the task.

    Raises:
        ValueError: the name is taken, the difficulty is not 1, 2 or 3, or the judge has no docstring.
    """

    def register(judge: Judge) -> Judge:
        if difficulty not in (1, 2, 3):
            raise ValueError(f"exercise {name!r}: difficulty must be 1, 2 or 3, got {difficulty!r}")
        task = " ".join((inspect.getdoc(judge) or "").split("\n\n")[0].split())
        if not task:
            raise ValueError(f"exercise {name!r} needs a docstring that says what to do")
        known = _EXERCISES.get(name)
        if known is not None and known.judge.__module__ != judge.__module__:
            raise ValueError(f"there is an exercise {name!r} already, in {known.judge.__module__}")
        chapter = judge.__module__.rpartition(".")[2]
        _EXERCISES[name] = Exercise(name, difficulty, task, CHAPTERS.get(chapter, chapter), judge)
        return judge

    return register


def _chapters() -> Iterable[str]:
    """The chapters that exist, in course order, imported one after the other."""
    for chapter in CHAPTERS:
        module = f"{__package__}.{chapter}"
        if find_spec(module) is not None:
            importlib.import_module(module)
            yield chapter


def find(name: str) -> Exercise:
    """An exercise by its name; chapters are imported until it is found.

    Raises:
        ValueError: there is no such exercise.
    """
    if name not in _EXERCISES:
        for _ in _chapters():
            if name in _EXERCISES:
                break
        else:
            raise ValueError(f"there is no exercise {name!r}; exercises are {', '.join(sorted(_EXERCISES))}")
    return _EXERCISES[name]


class Overview(tuple[Exercise, ...]):
    """Exercises as a table: text in a terminal, HTML in a notebook."""

    HEADER = ("exercise", "notebook", "difficulty", "task")

    @property
    def table(self) -> Table:
        """A row for each exercise."""
        rows = [(each.name, each.notebook, each.dots, each.task) for each in self]
        return Table(self.HEADER, rows, frozenset(range(4)))

    def __repr__(self) -> str:
        return str(self.table)

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


def exercises() -> Overview:
    """All exercises of the course, notebook by notebook."""
    for _ in _chapters():
        pass
    return Overview(sorted(_EXERCISES.values(), key=lambda each: each.notebook))
