"""The measured numbers that notebooks state in a sentence: each such sentence, with the names of its numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from research.statements import Evidence, fill

SENTENCES: dict[str, tuple[str, ...]] = {
    "00_start_here": (
        "more than ten times as long** for its first word: {{first token prefix ms}} ms instead of "
        "{{first token ism ms}}",
    ),
    "07_quality_and_latency": (
        "prefix waits {{first token prefix/ism}} times as long as ISM for the first token of turn 8.",
        "whole conversations take prefix only {{whole turns prefix/ism}} times as long.",
    ),
    "08_theory": (
        "Four layers end within {{regression longest prefix}} times ridge regression's error under prefix, "
        "{{regression longest ism}} under ISM, {{regression longest causal}} under causal.",
    ),
}
"""By notebook. Numbers that are not measurements (a paper's, an exercise's, a setting) are in :data:`PLAIN`."""

PLAIN = re.compile(
    r"```.*?```|`[^`]*`|\$[^$]*\$|\]\([^)]*\)|\[[^\]]*\d{4}\.\d{4,5}[^\]]*|Exercise \d\.\d"
    r"|95% (?:intervals?|of the)|Wilson's \*?\*?95% interval|scores 90%|get 90%|standard deviation of 0\.3"
    r"|transformers \d\.\d+",
    flags=re.DOTALL,
)
"""What may hold a decimal point or a percent sign without being measured here."""

NUMBER = re.compile(r"\d[\d,]*\.\d+%?|\d+%|\d+(?= ms\b)")


def prose(notebook: Path) -> str:
    """The words of a notebook: its Markdown, with each run of whitespace collapsed to one space."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n".join(" ".join("".join(cell["source"]).split()) for cell in cells if cell["cell_type"] == "markdown")


def untold(notebook: Path, rows: Evidence) -> Iterator[str]:
    """What is wrong with the numbers of a notebook.

    Args:
        notebook: its file.
        rows: the evidence.

    Yields:
        Each sentence of :data:`SENTENCES`, with the numbers of the rows, that the notebook does not contain; then each
        number that is in no such sentence.
    """
    text = prose(notebook)
    for sentence in SENTENCES.get(notebook.stem, ()):
        filled = fill(sentence, rows, {})
        if filled not in text:
            yield filled
        text = text.replace(filled, "")
    yield from NUMBER.findall(PLAIN.sub("", text))
