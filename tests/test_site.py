"""The site: its contents name every page, its check finds what a visitor would miss, and it builds where Sphinx is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

import mini_ism
from tools.course import COURSE, repository
from tools.site_links import faults

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "docs" / "site"


# -- what is on it ---------------------------------------------------------------------------------


def listed(file: str, directive: str) -> list[str]:
    """The entries of a page's directives of that name."""
    text = (SITE / file).read_text(encoding="utf-8")
    blocks = re.findall(rf"{directive}(?:}}|::)\n(.*?)```", text, re.DOTALL)
    lines = (line.strip() for block in blocks for line in block.splitlines())
    return [line for line in lines if line and not line.startswith(":")]


def test_the_contents_name_every_notebook_and_guide() -> None:
    """The notebooks by a pattern, whose order is the course's."""
    pattern, *pages = listed("index.md", "toctree")
    assert pattern == "/notebooks/*"
    assert sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")) == [*COURSE]
    guides = {f"/docs/{path.stem}" for path in (ROOT / "docs").glob("*.md")}
    assert {page for page in pages if page.startswith("/docs/")} == guides
    for page in pages:
        assert (ROOT / f"{page[1:]}.md" if page.startswith("/") else SITE / f"{page}.md").is_file(), page


def test_the_parts_of_the_readme_that_it_shows_follow_one_another() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    index = (SITE / "index.md").read_text(encoding="utf-8")
    starts, ends = (re.findall(rf':{option}: "(.+)"', index) for option in ("start-after", "end-before"))
    assert readme.startswith(f"{starts[0]}\n")
    assert starts[1:] == ends[:-1]  # nothing between them is left out
    for heading in ends:
        assert readme.count(heading) == readme.count(f"\n{heading}\n") == 1
    assert all(f"\n{heading}\n" in index for heading in starts[1:])


def test_the_reference_has_every_module_and_every_public_name() -> None:
    entries = listed("api.md", "autosummary")
    assert len(entries) == len(set(entries))
    folder = Path(mini_ism.__file__).parent
    modules = [*folder.glob("[!_]*.py"), *(package.parent for package in folder.glob("*/__init__.py"))]
    assert {f"mini_ism.{module.stem}" for module in modules} <= set(entries)
    names = {f"~mini_ism.{name}" for name in mini_ism.__all__ if name != "__version__"}
    assert {entry for entry in entries if entry.startswith("~")} == names


def test_only_the_job_that_publishes_may_and_only_from_main() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "pages.yml").read_text(encoding="utf-8"))
    assert workflow[True]["push"] == {"branches": ["main"]}  # YAML 1.1 reads the key `on` as true
    assert workflow["permissions"] == {"contents": "read"}
    build, deploy = workflow["jobs"]["build"], workflow["jobs"]["deploy"]
    assert "permissions" not in build
    assert deploy["permissions"] == {"pages": "write", "id-token": "write"}
    assert deploy["if"] == "github.event_name == 'push'"
    (path,) = (step["with"]["path"] for step in build["steps"] if "upload-pages" in step.get("uses", ""))
    commands = [line.split() for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()]
    (sphinx,) = (command for command in commands if command[1:3] == ["-m", "sphinx"])
    assert sphinx[-1] == path
    assert "-W" in sphinx


# -- its check -------------------------------------------------------------------------------------

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A site of one page with this in it, and beside it a page, a picture and a style."""

    def made(body: str, style: str = "") -> Path:
        site = tmp_path / "site"
        (site / "more").mkdir(parents=True)
        (site / "index.html").write_text(f'<link rel="stylesheet" href="site.css">{body}', encoding="utf-8")
        (site / "more" / "index.html").write_text('<h1 id="größe">x</h1><a name="old">y</a>', encoding="utf-8")
        (site / "a picture.png").touch()
        (site / "site.css").write_text(style, encoding="utf-8")
        (tmp_path / "outside.html").touch()
        return site

    return made


GOOD = (
    '<a href="more/index.html#gr%C3%B6%C3%9Fe">x</a>',
    '<a href="more/#old">x</a>',
    '<a href="#">x</a> <a href="#top">x</a> <a href="">x</a>',
    '<b id="here"></b><a href="#here">x</a>',
    '<a href="https://example.invalid/">x</a> <a href="mailto:somebody@example.invalid">x</a>',
    '<img src="a%20picture.png?1"> <img srcset="a%20picture.png 2x, data:image/png;base64,AA== 3x">',
    '<svg xmlns="http://www.w3.org/2000/svg"><use href="#here"/></svg>',
    "<p>url(https://example.invalid/) in words</p>",
)
BAD = (
    ('<a href="gone.html">x</a>', "gone.html is not there"),
    ('<a href="more/#size">x</a>', "more/#size has no such anchor"),
    ('<a href="#size">x</a>', "#size has no such anchor"),
    ('<a href="../outside.html">x</a>', "../outside.html is outside of the site"),
    ('<img src="gone.png">', "gone.png is not there"),
    ('<img srcset="a%20picture.png, gone.png 2x">', "gone.png is not there"),
    ('<script src="https://example.invalid/x.js"></script>', "https://example.invalid/x.js is loaded from the network"),
    ('<script src="//example.invalid/x.js"></script>', "//example.invalid/x.js is loaded from the network"),
    ('<link rel="stylesheet" href="http://example.invalid/x">', "http://example.invalid/x is loaded from the network"),
    ("<style>@import 'http://example.invalid/x';</style>", "http://example.invalid/x is loaded from the network"),
    ('<p style="background: url(//example.invalid)">x</p>', "//example.invalid is loaded from the network"),
)


@pytest.mark.parametrize("body", GOOD)
def test_what_is_there_is_no_fault(make: Make, body: str) -> None:
    assert faults(make(body, "/* url(gone.png) */ a { background: url('a%20picture.png') }")) == []


@pytest.mark.parametrize(("body", "fault"), BAD)
def test_what_is_missing_or_not_its_own_is_named(make: Make, body: str, fault: str) -> None:
    assert faults(make(body)) == [f"index.html: {fault}"]


@pytest.mark.parametrize(
    ("style", "fault"),
    [
        ('@import "https://example.invalid/font.css";', "https://example.invalid/font.css is loaded from the network"),
        ("b { background: url( 'gone.png' ) }", "gone.png is not there"),
    ],
)
def test_style_sheets_are_read_too(make: Make, style: str, fault: str) -> None:
    assert faults(make("", style)) == [f"site.css: {fault}"]


# -- the whole -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(find_spec("myst_nb") is None, reason="needs the extra docs: pip install -e '.[docs]'")
def test_it_builds_without_a_warning(tmp_path: Path) -> None:
    """As `make docs` does: with every warning an error, and its check at the end."""
    site = tmp_path / "site"
    options = ("-q", "-W", "-c", "docs/site", "-d", str(tmp_path / "trees"))
    command = [sys.executable, "-m", "sphinx", *options, ".", str(site)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    def leads(page: str, *targets: str) -> None:
        text = (site / page).read_text(encoding="utf-8")
        assert not [target for target in targets if f'href="{target}"' not in text]

    leads("index.html", "notebooks/00_start_here.html", "docs/site/index.html", repository())
    leads("notebooks/03_dialogues.html", "../index.html", "../docs/your-own-dialogues.html")
    leads("data/checkpoints/README.html", "../../RESULTS.html", f"{repository()}/blob/main/data/dialogues/README.md")
    leads("docs/hugging_face.html", f"{repository()}/blob/main/docs/upstream/hrm_text_every_turn.patch")
    leads("docs/site/api/mini_ism.chat.html", "mini_ism.mask.html#mini_ism.mask.Mask")
    assert "<math " in (site / "notebooks" / "08_theory.html").read_text(encoding="utf-8")
