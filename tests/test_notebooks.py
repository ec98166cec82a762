"""The notebooks as a reader gets them: committed outputs that are true, and cells worth reading."""

import pkgutil
import re
import statistics
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from nbconvert import HTMLExporter
from nbformat import NotebookNode

from mini_ism.hf.notebook import MISSING
from tests.small_notebook import write_small_notebook
from tests.still_pictures import IMAGE, STRIPPED, outputs, pictures
from tools.course import COURSE, frame
from tools.jupyter_env import ROOT
from tools.run_notebooks import (
    NOTEBOOKS,
    VARIES,
    WIDGET_VIEW,
    execute,
    is_tagged,
    lacks_extra,
    main,
    normalise,
    read,
)

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
EVERY_NOTEBOOK = pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])

# Things that a second run or another machine would print differently.
ABSOLUTE_PATH = re.compile(r"(?:(?<![\w.:/])/(?:home|root|tmp|usr|opt|Users|var)/)|\b[A-Z]:\\\\?\w")
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")
TIMESTAMP = re.compile(r"\b20\d\d-\d\d-\d\d[ T]\d\d:\d\d")
# "<Figure size 640x480 with 1 Axes>" tells a reader nothing.
REPR = re.compile(r"^\s*<.*>\s*$", re.DOTALL)

MAX_MEDIAN_LINES = 6


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def output_texts(cell: NotebookNode) -> list[str]:
    """All that a cell's outputs say in words, in order."""
    texts: list[str] = []
    for output in cell.outputs:
        if output.output_type == "stream":
            texts.append(output.text)
        elif output.output_type == "error":
            texts.append(f"{output.ename}: {output.evalue}")
        else:
            data = output.data
            texts += [data[kind] for kind in ("text/plain", "text/html") if kind in data]
    return texts


@cache
def committed(path: Path) -> NotebookNode:
    return read(path)


def test_there_are_notebooks() -> None:
    assert PATHS, "notebooks/ holds no notebook"


@pytest.mark.notebook
@EVERY_NOTEBOOK
def test_a_fresh_run_says_what_is_committed(path: Path, tmp_path: Path, offline: Path) -> None:
    fresh = execute(path, tmp_path / "run", offline=offline)
    for number, cell in enumerate(code_cells(fresh), 1):
        for output in cell.outputs:
            assert output.output_type != "error", f"cell {number}: {output.get('evalue')}"
            assert output.get("name") != "stderr", f"cell {number} warns: {output.text}"
            data = output.get("data", {})
            if WIDGET_VIEW in data:
                assert "image/png" in data, f"cell {number}: a widget without a static picture"

    normalise(fresh)
    old, new = code_cells(committed(path)), code_cells(fresh)
    assert [cell.source for cell in old] == [cell.source for cell in new]
    for number, (before, after) in enumerate(zip(old, new, strict=True), 1):
        if lacks_extra(after):
            assert output_texts(after) == [f"{MISSING}\n"], f"cell {number} does not say what it needs"
        elif not is_tagged(after, VARIES):
            assert output_texts(before) == output_texts(after), (
                f"cell {number} prints something else than what is committed; run `make notebooks`"
            )


@EVERY_NOTEBOOK
def test_committed_as_the_tool_writes_it(path: Path) -> None:
    """Normalising a committed notebook changes nothing: no widget state, timings or random ids."""
    notebook = read(path)
    normalise(notebook)
    assert notebook == committed(path), "run `make notebooks`"


def test_the_course_is_what_is_there() -> None:
    assert tuple(path.stem for path in PATHS) == COURSE


@EVERY_NOTEBOOK
def test_opens_in_colab_and_sets_itself_up(path: Path) -> None:
    """Link and set-up cell are those of `tools/course.py`, which builds them from the repository's URL."""
    notebook = read(path)
    frame(notebook, path.stem)
    assert notebook == committed(path), "run `make notebooks`"


@EVERY_NOTEBOOK
def test_committed_after_one_clean_run(path: Path) -> None:
    cells = code_cells(committed(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any(cell.outputs for cell in cells), "no outputs: run `make notebooks`"


@EVERY_NOTEBOOK
def test_outputs_hold_nothing_of_the_machine_that_made_them(path: Path) -> None:
    for number, cell in enumerate(code_cells(committed(path)), 1):
        for text in output_texts(cell):
            for pattern in (ABSOLUTE_PATH, ADDRESS, TIMESTAMP):
                found = pattern.search(text)
                assert found is None, f"cell {number} prints {found}"


@EVERY_NOTEBOOK
def test_every_picture_has_words(path: Path) -> None:
    for number, cell in enumerate(code_cells(committed(path)), 1):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                words = output.data.get("text/plain", "")
                assert words.strip(), f"cell {number}: a picture without a text/plain description"
                assert not REPR.match(words), f"cell {number}: {words!r} describes nothing"
                assert output.metadata["image/png"]["alt"] == words, f"cell {number}: a page reads out other words"


@EVERY_NOTEBOOK
def test_outputs_hold_nothing_that_an_untrusted_page_takes_out(path: Path) -> None:
    """JupyterLab and GitHub show what is left: images that hold their data, and plain HTML."""
    for output in outputs(committed(path)):
        html = output.get("data", {}).get("text/html", "")
        found = STRIPPED.search(html)
        assert found is None, f"{found} in {html[:200]}; make it with mini_ism.views.picture.bundle"
        assert len(IMAGE.findall(html)) == html.count("<img"), html[:200]


@pytest.mark.slow
@EVERY_NOTEBOOK
def test_a_page_made_by_nbconvert_shows_every_picture(path: Path) -> None:
    notebook = committed(path)
    page, _ = HTMLExporter(embed_images=False).from_notebook_node(notebook)
    shown = re.findall(r'<img[^>]* src="data:image/(?:png|svg\+xml);base64,[\w+/]{100}', page)
    assert len(shown) == sum(map(pictures, outputs(notebook))) > 0
    parser = Unnamed()
    parser.feed(page)
    assert not [tag for tag in parser.found if tag.startswith("<img")]


@EVERY_NOTEBOOK
def test_a_notebook_is_light(path: Path) -> None:
    assert path.stat().st_size < 1_500_000


class Unnamed(HTMLParser):
    """Collects pictures in HTML that say nothing to those who do not see them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        named = {"img": told.get("alt"), "svg": told.get("aria-label") or told.get("aria-hidden")}.get(tag, "-")
        if not (named or "").strip():
            self.found.append(self.get_starttag_text() or tag)


@pytest.mark.parametrize(
    ("html", "count"),
    [('<img alt="a map"><svg aria-label="b"><path/></svg><svg aria-hidden="true"/>', 0), ("<img><svg>", 2)],
)
def test_unnamed_pictures_are_found(html: str, count: int) -> None:
    parser = Unnamed()
    parser.feed(html)
    assert len(parser.found) == count


@EVERY_NOTEBOOK
def test_every_picture_inside_html_and_prose_has_words(path: Path) -> None:
    for cell in committed(path).cells:
        parser = Unnamed()
        for output in cell.get("outputs", []):
            parser.feed(output.get("data", {}).get("text/html", ""))
        if cell.cell_type == "markdown":
            parser.feed(cell.source)
            parser.found += re.findall(r"!\[\s*\]\(", cell.source)
        assert parser.found == []


@EVERY_NOTEBOOK
def test_cells_are_short(path: Path) -> None:
    lengths = [len(cell.source.strip().splitlines()) for cell in code_cells(committed(path))]
    assert statistics.median(lengths) <= MAX_MEDIAN_LINES, lengths


@EVERY_NOTEBOOK
def test_more_prose_than_code(path: Path) -> None:
    notebook = committed(path)
    code = sum(len(cell.source.split()) for cell in code_cells(notebook))
    prose = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    prose = re.sub(r"```.*?```", "", prose, flags=re.DOTALL)  # a fenced block is code
    assert len(prose.split()) >= code


@pytest.mark.notebook
def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    """The tool itself, on a small notebook with a widget, a picture, a clock and a stream."""
    path = tmp_path / "small.ipynb"
    write_small_notebook(path)
    assert main([str(path)]) == 0
    first = path.read_bytes()
    assert main([str(path)]) == 0
    assert path.read_bytes() == first
    assert b"\r" not in first
    written = outputs(read(path))
    assert len(written) == 3
    assert not [output for output in written if WIDGET_VIEW in output.get("data", {})]


@pytest.mark.notebook
def test_a_notebook_that_fails_is_named_and_the_others_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, good = tmp_path / "bad.ipynb", tmp_path / "good.ipynb"
    write_small_notebook(bad, "1 / 0")
    write_small_notebook(good)
    before = bad.read_bytes()
    assert main([str(bad), str(good)]) == 1
    told = capsys.readouterr()
    assert "bad.ipynb: failed" in told.err
    assert "ZeroDivisionError" in told.err
    assert bad.read_bytes() == before
    assert told.out == "good.ipynb: rewritten\n"


def test_the_readme_lists_the_course() -> None:
    readme = (NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[`(\w+)`\]\(notebooks/\1\.ipynb\) \|", readme, flags=re.MULTILINE)
    assert listed == [path.stem for path in PATHS]


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(NOTEBOOKS.glob("*.ipynb"))]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_code_that_is_pointed_at_is_there(path: Path) -> None:
    """`mini_ism/reuse.py` is a file, and `mini_ism.reuse.borders` a name."""
    text = path.read_text(encoding="utf-8")
    for file in re.findall(r"`((?:mini_ism|research|tools|tests|benchmarks|data)/[\w./-]+)`", text):
        assert (ROOT / file).exists(), f"{path.name} points at {file}, which is not there"
    for name in re.findall(r"`(mini_ism(?:\.\w+)+)`", text):
        assert pkgutil.resolve_name(name) is not None


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("02_gpt_from_scratch", r"gated: 0 pairs .*\nleaky: [1-9]"),  # a leak is caught
        ("03_dialogues", r"labels +: (\w+ )*mood"),  # the new skill is asked about
        ("06_cache_reuse", r"[1-9]\d* of \d+ answers changed"),  # naive hashes do harm
    ],
)
def test_a_demonstration_shows_what_the_prose_says(name: str, printed: str) -> None:
    outputs = (output for cell in code_cells(read(NOTEBOOKS / f"{name}.ipynb")) for output in cell.outputs)
    assert any(re.search(printed, output.get("text", "")) for output in outputs)


@EVERY_NOTEBOOK
def test_an_exercise_asks_for_the_name_that_its_stub_has(path: Path) -> None:
    cells = read(path).cells
    for before, cell in pairwise(cells):
        if is_tagged(cell, "exercise") and (asked := re.search(r"Write `(\w+)[`(]", before.source)):
            assert f"def {asked[1]}(" in cell.source
