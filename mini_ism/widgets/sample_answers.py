"""A few questions that models are asked repeatedly during training, and their answers side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from mini_ism.corpus import Dialogue
from mini_ism.corpus.registry import ACK
from mini_ism.decoding import answer_all
from mini_ism.dialogue import Message
from mini_ism.training import Run
from mini_ism.views.svg import FAINT, FONT, INK, colour
from mini_ism.views.tables import Table
from mini_ism.widgets.layout import LEGIBLE

QUESTIONS = 3
SPARE = 4  # tokens by which an answer may exceed the longest right one before it is cut off
LONGEST = 160  # characters that are shown of a conversation: its end, with the question


@dataclass(frozen=True)
class Question:
    """A conversation up to a question, and the right answer.

    Args:
        messages: the last one is the question.
        wanted: the right answer.
    """

    messages: Sequence[Message]
    wanted: str

    def __str__(self) -> str:
        text = " … ".join(message["content"] for message in self.messages if message["role"] == "user")
        return text if len(text) <= LONGEST else f"… {text[-LONGEST:]}"


def pick_questions(dialogues: Iterable[Dialogue], count: int = QUESTIONS) -> list[Question]:
    """The first question of each of the first ``count`` dialogues that ask one.

    Turns that only state facts are skipped.
    """
    picked: list[Question] = []
    for dialogue in dialogues:
        answers = [n for n, message in enumerate(dialogue.messages) if message["role"] == "assistant"]
        asked = [n for n, skill in zip(answers, dialogue.skills, strict=True) if skill != ACK]
        if asked and len(picked) < count:
            picked.append(Question(dialogue.messages[: asked[0]], dialogue.messages[asked[0]]["content"]))
    return picked


def ask(run: Run, questions: Sequence[Question]) -> list[str]:
    """What a run's model answers now, with greedy decoding; an answer that does not end is cut off with an ellipsis."""
    longest = SPARE + max((len(run.tokenizer.encode_ordinary(each.wanted)) for each in questions), default=0)
    run.model.eval()
    conversations = [each.messages for each in questions]
    replies = dict(answer_all(run.model, run.tokenizer, conversations, run.mask, max_new_tokens=longest))
    return [f"{replies[n].text}{'' if replies[n].stopped == 'end' else ' …'}" for n in range(len(questions))]


def answers_table(questions: Sequence[Question], answers: Mapping[str, Sequence[str]]) -> Table:
    """The answers as a table: a row for each question, a column for each run, ✓ or ✗ before each answer.

    Args:
        questions: what was asked.
        answers: by the name of the run, one for each question.
    """
    rows = [
        (str(each), each.wanted, *(_judged(given[n], each.wanted) for given in answers.values()))
        for n, each in enumerate(questions)
    ]
    return Table(("question", "right answer", *answers), rows, frozenset(range(2 + len(answers))))


def answers_html(table: Table) -> str:
    """The table in the widgets' style, which follows the page's theme. All text in it is escaped."""

    def cell(text: str, tag: str, ink: str) -> str:
        scope = ' scope="col"' if tag == "th" else ""
        return f'<{tag}{scope} style="{_CELL};color:{ink}">{escape(text)}</{tag}>'

    head = "".join(cell(name, "th", FAINT) for name in table.header)
    body = "".join(f"<tr>{''.join(cell(text, 'td', _ink(text)) for text in row)}</tr>" for row in table.rows)
    caption = f'<caption style="text-align:left;font-weight:600;color:{FAINT};padding-bottom:2px">What they answer now'
    style = f"{FONT};font-size:14px;line-height:1.4;border-collapse:collapse;max-width:840px;min-width:{LEGIBLE}px"
    written = f'<table style="{style}">{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div style="overflow-x:auto">{written}</div>'  # on a narrow page it scrolls rather than breaking words


def _judged(answer: str, wanted: str) -> str:
    return f"{'✓' if answer == wanted else '✗'} {answer}"


def _ink(text: str) -> str:
    return colour("assistant") if text.startswith("✓ ") else INK


_CELL = "text-align:left;font-weight:400;padding:2px 16px 2px 0;vertical-align:top;overflow-wrap:break-word"
