"""Rows to words and pictures: the page of results, the same each time, and what the cut-down sweeps say of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mini_ism.experiments.registry import sweeps
from mini_ism.experiments.rows import Row, read_rows
from mini_ism.experiments.statistics import Claim, Interval, grouped, mean_interval
from mini_ism.experiments.sweep import Sweep
from mini_ism.files import write_together
from mini_ism.paths import data_dir

if TYPE_CHECKING:
    from mini_ism.views import Figure

PICTURES = "docs/results"
"""The pictures' folder, from where the page is; all PNG files in it are the page's."""

SHARP = 100  # dots an inch: letters of a picture are about as large as the page's

HEAD = """\
# Results

Made from the rows in `data/results/` by `python -m mini_ism experiment report`, which also draws the pictures; a test
holds this page to the rows. Each section names the command that makes its rows (it skips what is there: `--out FOLDER`
makes them afresh). `python -m mini_ism experiment run all --cut`, then `python -m mini_ism experiment check`, makes a
small version of them in minutes, the longest trainings apart, and says whether it points the same way.

Intervals are 95%, by Student's t over seeds unless a table says otherwise. A difference is *more* or *less* where its
interval leaves out 0, else a *tie*: not shown to differ, which is not shown to be equal. Where nothing differs, one
comparison in twenty is *more* or *less* all the same.
"""


def results_dir() -> Path:
    """Where the full sweeps' rows are."""
    return data_dir() / "results"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown: the first column to the left, all others to the right."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def claims_table(made: Iterable[Claim], tell: Callable[[Interval], str]) -> str:
    """Comparisons in Markdown: from how many pairs, what was found, and what may be said of it; empty if none is made.

    Args:
        made: the comparisons.
        tell: a difference in its unit.
    """
    lines = [(c.text, str(c.difference.count), tell(c.difference), c.difference.verdict) for c in made]
    return markdown_table(("difference", "pairs", "mean and interval", "so it is"), lines) if lines else ""


def rates_table(
    rows: Iterable[Row],
    setting: Sequence[str],
    best: Mapping[tuple[Any, ...], Sequence[Row]],
    score: Callable[[Row], float],
    *,
    what: str,
    tell: Callable[[float], str],
) -> str:
    """Mean scores at every learning rate in Markdown, under a sentence that says so: how each group's was chosen.

    Args:
        rows: of a sweep.
        setting: the keys of a row's config that make a group.
        best: rows at the chosen rate, by group, as :func:`~mini_ism.experiments.statistics.at_best_rate` finds them.
        score: of a row, ``math.inf`` if the run diverged.
        what: the score is, in words.
        tell: a mean in its unit.
    """
    rows = list(rows)
    tried, rates = grouped(rows, (*setting, "lr")), sorted({row.config["lr"] for row in rows})
    lines = []
    for group, chosen in best.items():
        cells = []
        for rate in rates:
            same = tried.get((*group, rate), [])
            star = "\\*" if rate == chosen[0].config["lr"] else ""
            mean = mean_interval(map(score, same)).mean if same else math.nan
            cells.append(f"{tell(mean) if mean < math.inf else 'diverged'} ({len(same)}){star}" if same else "")
        lines.append((*setting_cells(group), *cells))
    return (
        f"{what} at every rate (in brackets the seeds; \\* chosen, on the seeds that all have, and of those with more "
        f"again on theirs; *diverged* if one did):\n\n"
        f"{markdown_table((*setting, *(f'{rate:g}' for rate in rates)), lines)}"
    )


def setting_cells(group: Iterable[Any]) -> tuple[str, ...]:
    """A group's values as cells of a table."""
    return tuple(f"{value:,}" if isinstance(value, int) else str(value) for value in group)


def markdown_picture(file: str, alt: str) -> str:
    """A picture in Markdown; its text alternative may hold anything."""
    told = " ".join(alt.split()).replace("[", "(").replace("]", ")")
    return f"![{told}]({file})\n"


def pictures(sweep: Sweep, rows: list[Row]) -> dict[str, Figure]:
    """A sweep's pictures by their files, as the page names them; none if nothing has been run."""
    drawn = sweep.figures(rows) if rows and sweep.figures is not None else {}
    return {f"{PICTURES}/{sweep.name}-{name}.png": figure for name, figure in drawn.items()}


def section(sweep: Sweep, rows: list[Row], drawn: dict[str, Figure]) -> str:
    """A sweep's part of the report, with its pictures; empty if nothing has been run."""
    if not rows or sweep.tables is None:
        return ""
    minutes = math.fsum(row.seconds for row in rows) / 60
    known = {name: value for row in rows for name, value in row.versions.items()}
    told = ", ".join(f"{name} {value}" for name, value in known.items() if name in ("python", "torch"))
    missing = len(sweep.configs) - len(rows)
    unfinished = f" {missing} of {len(sweep.configs)} runs are still to be made." if missing > 0 else ""
    shown = "".join(f"{markdown_picture(file, figure.alt)}\n" for file, figure in drawn.items())
    return (
        f"## {sweep.title or sweep.name}\n\n"
        f"`python -m mini_ism experiment run {sweep.name}` ({len(rows)} runs, {minutes:.0f} minutes in all, {told})."
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
    """The page alone."""
    return page(folder)[0]


def write_report(path: Path, folder: Path | None = None) -> list[Path]:
    """Write the page and its pictures, and remove pictures that it shows no longer.

    Args:
        path: of the page; the pictures' folder is beside it.
        folder: of the rows, by default the committed.

    Returns:
        What has been written, the page first.
    """
    from mini_ism.views import png_bytes  # here, so that a chat need not wait for matplotlib

    text, shown = page(folder or results_dir())
    files = {path: text.encode()} | {path.parent / file: png_bytes(drawn, SHARP) for file, drawn in shown.items()}
    write_together(files)
    for picture in (path.parent / PICTURES).glob("*.png"):
        if picture not in files:
            picture.unlink()
    return list(files)


def check(cut: Path, full: Path | None = None) -> list[tuple[str, bool | None]]:
    """Whether the cut-down sweeps point where the full ones do.

    Args:
        cut: the folder of the cut-down sweeps' rows.
        full: of the full ones', by default the committed.

    Returns:
        A line for each claim, and whether its sign is the same; ``None`` if the cut-down sweep does not make it. A
        difference keeps its sign if the means have the same; a tie, if the interval still holds 0, or the mean lies
        within the full one's: two seeds that happen to agree make an interval of no width. A difference smaller than
        its claim's least may also become a tie.
    """
    told: list[tuple[str, bool | None]] = []
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
                told.append((f"{line}; not in the cut-down sweep", None))
                continue
            same, word = _agrees(claim, here)
            told.append((f"{line}; cut down {here.text(3)}: {word}", same))
    return told


def _agrees(claim: Claim, here: Interval) -> tuple[bool, str]:
    """Whether a cut-down sweep's difference agrees with the full one's claim, and how that is told."""
    there = claim.difference
    tied = here.verdict == "tie" or there.low <= here.mean <= there.high
    same = tied if there.verdict == "tie" else here.mean * there.mean > 0
    if same:
        return True, "the same sign"
    if tied and there.verdict != "tie" and abs(there.mean) < claim.least:
        return True, "a tie, as so small a difference may be here"
    return False, "NOT the same sign"
