"""The pages that report what was found, made from rows, the same every time; and whether cut-down sweeps agree."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from html import escape
from pathlib import Path

from mini_ism.files import write_atomically
from mini_ism.results import Claim, Interval, Row, read_rows, results_dir
from mini_ism.results.smollm2 import CONTRASTS
from mini_ism.views import Figure, png_bytes
from research.headlines import HEADLINES
from research.markdown import markdown_picture
from research.registry import sweeps
from research.statements import Evidence, fill
from research.sweep import Sweep
from research.verdicts import verdicts

PICTURES = "docs/results"
"""The folder of the pictures, relative to the pages; all PNG files in it belong to them."""
VERDICTS = "docs/results/verdicts.csv"
TEMPLATES = Path(__file__).parent / "templates"

DPI = 100  # text in a picture is about as large as the page's


def pictures(sweep: Sweep, rows: list[Row]) -> dict[str, Figure]:
    """The pictures of a sweep by file name, as on the page; none if nothing has been run."""
    drawn = sweep.figures(rows) if rows and sweep.figures is not None else {}
    return {f"{PICTURES}/{sweep.name}-{name}.png": figure for name, figure in drawn.items()}


def section(sweep: Sweep, rows: list[Row], drawn: dict[str, Figure]) -> str:
    """The part of the page about a sweep, with its pictures, folded; empty if nothing has been run."""
    if not rows or sweep.tables is None:
        return ""
    minutes = math.fsum(row.seconds for row in rows) / 60
    known = {name: value for row in rows for name, value in row.versions.items()}
    software = ", ".join(f"{name} {value}" for name, value in known.items() if name in ("python", "torch"))
    wanted = len(sweep.wanted(rows))
    missing = wanted - len(rows)
    unfinished = f" {missing} of {wanted} runs are still to be made." if missing > 0 else ""
    shown = "".join(f"{markdown_picture(file, first_sentence(figure.alt))}\n" for file, figure in drawn.items())
    return (
        f"<details><summary>{escape(sweep.title or sweep.name)}</summary>\n\n"
        f"`python -m research run {sweep.name}` ({len(rows)} runs, {minutes:.0f} minutes in all, {software})."
        f"{unfinished}\n\n{shown}{sweep.tables(rows).strip()}\n\n</details>\n"
    )


def first_sentence(text: str) -> str:
    """A picture's alt text up to its first full stop: the numbers after it are in the tables below."""
    return re.split(r"(?<=[^\W\d])\.\s", text, maxsplit=1)[0].rstrip(".") + "."


def write_report(root: Path, folder: Path | None = None, templates: Path | None = None) -> list[Path]:
    """Write the pages, their pictures and the list of verdicts, and remove pictures that no page shows.

    Args:
        root: of the pages: ``README.md``, ``RESULTS.md``, and ``docs/results/``.
        folder: of the rows, by default the committed ones.
        templates: the folder of the pages' templates, by default the committed ones.

    Returns:
        The files written.

    Raises:
        ValueError: there are no rows, or a template asks for a number that nothing computes.
    """
    files = {root / name: content for name, content in report(folder or results_dir(), templates).items()}
    for file, content in files.items():
        write_atomically(file, content)
    for picture in (root / PICTURES).glob("*.png"):
        if picture not in files:
            picture.unlink()
    return list(files)


def report(folder: Path, templates: Path | None = None) -> dict[str, bytes]:
    """All files of the report for the rows in a folder, by their names: pages, pictures and verdicts."""
    sections: list[str] = []
    shown: dict[str, Figure] = {}
    found: dict[str, list[Claim]] = {}
    for sweep in sweeps():
        rows = read_rows(folder / f"{sweep.name}.jsonl")
        drawn = pictures(sweep, rows)
        sections.append(section(sweep, rows, drawn))
        shown |= drawn
        if rows and sweep.claims is not None:
            found[sweep.name] = sweep.claims(rows)
    if not any(sections):
        raise ValueError(f"there are no rows in {folder}, so there is nothing to report; name another folder by --rows")
    evidence = Evidence(folder)
    blocks: dict[str, Callable[[], str]] = {"sweeps": lambda: "\n".join(filter(None, sections)).strip()}
    for name, draw in HEADLINES.items():
        blocks[f"picture {name}"] = partial(_headline, shown, name, draw, evidence)
    pages = {
        path.name: fill(path.read_text(encoding="utf-8"), evidence, blocks)
        for path in sorted((templates or TEMPLATES).glob("*.md"))
    }
    return {
        **{page: text.encode() for page, text in pages.items()},
        VERDICTS: verdicts(found, {"smollm2": len(CONTRASTS)}).encode(),
        **{file: png_bytes(figure, DPI) for file, figure in shown.items()},
    }


def _headline(shown: dict[str, Figure], name: str, draw: Callable[[Evidence], Figure], evidence: Evidence) -> str:
    """Draw one of the three pictures that stand above the fold, and return its place on the page."""
    file = f"{PICTURES}/{name}.png"
    shown[file] = draw(evidence)
    return markdown_picture(file, shown[file].alt).strip()


def check(cut: Path, full: Path | None = None) -> list[tuple[str, bool | None]]:
    """Whether the cut-down sweeps find differences of the same sign as the full ones.

    Args:
        cut: the folder of the cut-down sweeps' rows.
        full: the folder of the full sweeps' rows, by default the committed ones.

    Returns:
        A line for each claim, and whether its sign is the same; ``None`` if the cut-down sweep does not make it. A
        difference keeps its sign if both means have the same sign. A tie stays one if the interval still holds 0, or
        the mean lies within the full sweep's interval: two seeds that happen to agree make an interval of zero width. A
        difference smaller than its claim's ``least`` may also become a tie.
    """
    lines: list[tuple[str, bool | None]] = []
    for sweep in sweeps():
        rows = read_rows((full or results_dir()) / f"{sweep.name}.jsonl")
        if sweep.claims is None or not rows:
            continue
        small = read_rows(cut / f"{sweep.name}.jsonl")
        found = {claim.text: claim.difference for claim in sweep.claims(small)} if small else {}
        for claim in sweep.claims(rows):
            there, here = claim.difference, found.get(claim.text)
            line = f"{sweep.name}: {claim.text}: {there.text(3)}, {there.verdict}"
            if here is None:
                lines.append((f"{line}; not in the cut-down sweep", None))
                continue
            same, word = _agrees(claim, here)
            lines.append((f"{line}; cut down {here.text(3)}: {word}", same))
    return lines


def _agrees(claim: Claim, here: Interval) -> tuple[bool, str]:
    """Whether the difference of a cut-down sweep agrees with the full sweep's claim, and the same in words."""
    there = claim.difference
    tied = here.verdict == "tie" or there.low <= here.mean <= there.high
    same = tied if there.verdict == "tie" else here.mean * there.mean > 0
    if same:
        return True, "the same sign"
    if tied and there.verdict != "tie" and abs(there.mean) < claim.least:
        return True, "a tie, as so small a difference may be here"
    return False, "NOT the same sign"
