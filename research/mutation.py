"""Does a check guard every number? Each has its last digit changed in turn, and some check must fail."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mini_ism.results import results_dir
from research.lessons import NUMBER, PLAIN, untold
from research.report import report
from research.statements import Evidence

FOLD = "## Every sweep"


def moved(number: str) -> str:
    """A number with a different last digit."""
    at = max(place for place, sign in enumerate(number) if sign.isdigit())
    return f"{number[:at]}{(int(number[at]) + 1) % 10}{number[at + 1 :]}"


def mutants(text: str) -> Iterator[tuple[str, str]]:
    """Each number of a text, and the text with that number moved; numbers that are not measurements are left alone."""
    plain = [match.span() for match in PLAIN.finditer(text)]
    for match in NUMBER.finditer(text):
        if not any(start <= match.start() < end for start, end in plain):
            yield match[0], f"{text[: match.start()]}{moved(match[0])}{text[match.end() :]}"


def survivors(root: Path) -> tuple[int, list[str]]:
    """Move every measured number of README, of the visible part of RESULTS.md and of the notebooks, one at a time.

    Args:
        root: of the checkout.

    Returns:
        How many were moved, and those whose change no check noticed.
    """
    pages = report(results_dir())
    rows = Evidence(results_dir())
    count, escaped = 0, []
    for name in ("README.md", "RESULTS.md"):
        text = (root / name).read_text(encoding="utf-8").split(FOLD)[0]
        right = pages[name].decode().split(FOLD)[0]
        for number, mutant in mutants(text):
            count += 1
            if mutant == right:
                escaped.append(f"{name}: {number}")
    with tempfile.TemporaryDirectory() as folder:
        for notebook in sorted((root / "notebooks").glob("*.ipynb")):
            copy = Path(folder) / notebook.name
            content = json.loads(notebook.read_text(encoding="utf-8"))
            for cell in content["cells"]:
                if cell["cell_type"] != "markdown":
                    continue
                source = cell["source"]
                for number, mutant in mutants(re.sub(r"\s+", " ", "".join(source))):
                    count += 1
                    cell["source"] = mutant
                    copy.write_text(json.dumps(content), encoding="utf-8")
                    if not list(untold(copy, rows)):
                        escaped.append(f"{notebook.name}: {number}")
                cell["source"] = source
    return count, escaped
