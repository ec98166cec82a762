"""The page of results, made from rows, the same every time; and whether the cut-down sweeps agree with it."""

from __future__ import annotations

import math
from pathlib import Path

from mini_ism.files import write_atomically
from mini_ism.results import Claim, Interval, Row, read_rows, results_dir
from mini_ism.views import Figure, png_bytes
from research.markdown import markdown_picture
from research.registry import sweeps
from research.sweep import Sweep

PICTURES = "docs/results"
"""The folder of the pictures, relative to the page; all PNG files in it belong to the page."""

DPI = 100  # letters of a picture are about as large as the page's

HEAD = """\
# Results

Made from the rows in `data/results/` by `python -m research report`, which also draws the pictures; a test
holds this page to the rows. Each section names the command that makes its rows (it skips what is there: `--out FOLDER`
makes them afresh). `python -m research run all --cut`, then `python -m research check`, makes a
small version of them in minutes, the longest trainings apart, and says whether it points the same way.

Intervals are 95%, by Student's t over seeds unless a table says otherwise. A difference is *more* or *less* where its
interval leaves out 0, else a *tie*: not shown to differ, which is not shown to be equal. Where nothing differs, one
comparison in twenty is *more* or *less* all the same.
"""


def pictures(sweep: Sweep, rows: list[Row]) -> dict[str, Figure]:
    """The pictures of a sweep by their files, as the page names them; none if nothing has been run."""
    drawn = sweep.figures(rows) if rows and sweep.figures is not None else {}
    return {f"{PICTURES}/{sweep.name}-{name}.png": figure for name, figure in drawn.items()}


def section(sweep: Sweep, rows: list[Row], drawn: dict[str, Figure]) -> str:
    """The part of the page about a sweep, with its pictures; empty if nothing has been run."""
    if not rows or sweep.tables is None:
        return ""
    minutes = math.fsum(row.seconds for row in rows) / 60
    known = {name: value for row in rows for name, value in row.versions.items()}
    software = ", ".join(f"{name} {value}" for name, value in known.items() if name in ("python", "torch"))
    missing = len(sweep.configs) - len(rows)
    unfinished = f" {missing} of {len(sweep.configs)} runs are still to be made." if missing > 0 else ""
    shown = "".join(f"{markdown_picture(file, figure.alt)}\n" for file, figure in drawn.items())
    return (
        f"## {sweep.title or sweep.name}\n\n"
        f"`python -m research run {sweep.name}` ({len(rows)} runs, {minutes:.0f} minutes in all, {software})."
        f"{unfinished}\n\n{shown}{sweep.tables(rows).strip()}\n"
    )


def page(folder: Path) -> tuple[str, dict[str, Figure]]:
    """The page for the rows in a folder, and the pictures that it shows, by their files."""
    sections: list[str] = []
    shown: dict[str, Figure] = {}
    for sweep in sweeps():
        rows = read_rows(folder / f"{sweep.name}.jsonl")
        drawn = pictures(sweep, rows)
        sections.append(section(sweep, rows, drawn))
        shown |= drawn
    return "\n".join([HEAD, *filter(None, sections)]), shown


def report(folder: Path) -> str:
    """The text of the page for the rows in a folder."""
    return page(folder)[0]


def write_report(path: Path, folder: Path | None = None) -> list[Path]:
    """Write the page and its pictures, and remove pictures that it no longer shows.

    Args:
        path: of the page; the folder of the pictures is beside it.
        folder: of the rows, by default the committed ones.

    Returns:
        The files written, the page first.

    Raises:
        ValueError: there are no rows; nothing is written.
    """
    text, shown = page(folder or results_dir())
    if text == HEAD:
        raise ValueError(
            f"there are no rows in {folder}; name a folder that `python -m research run --out` has written"
        )
    files = {path: text.encode()} | {path.parent / file: png_bytes(figure, DPI) for file, figure in shown.items()}
    for file, content in files.items():
        write_atomically(file, content)
    for picture in (path.parent / PICTURES).glob("*.png"):
        if picture not in files:
            picture.unlink()
    return list(files)


def check(cut: Path, full: Path | None = None) -> list[tuple[str, bool | None]]:
    """Whether the cut-down sweeps find differences of the same sign as the full ones.

    Args:
        cut: the folder of the cut-down sweeps' rows.
        full: the folder of the full sweeps' rows, by default the committed.

    Returns:
        A line for each claim, and whether its sign is the same; ``None`` if the cut-down sweep does not make it. A
        difference keeps its sign if both means have the same sign. A tie stays one if the interval still holds 0, or
        the mean lies within the full sweep's interval: two seeds that happen to agree make an interval of no width. A
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
