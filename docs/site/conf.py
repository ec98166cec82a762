"""The site's settings for Sphinx: `make docs`, or the two lines that it stands for.

The repository is the source folder, as it lies. So a relative link or picture in a notebook or a guide holds on the
site as it does on GitHub, and nothing is copied to be published.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from types import FunctionType, ModuleType

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import SphinxError
from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.util.logging import getLogger
from sphinx.util.osutil import relative_uri
from sphinx.writers.html5 import HTML5Translator

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT))  # for the tools, which are not installed

from mini_ism import __version__  # noqa: E402
from tools.course import repository  # noqa: E402
from tools.site_links import faults  # noqa: E402

# -- what is on the site ---------------------------------------------------------------------------

project = "mini-ism"
version = release = __version__
author = "the mini-ism developers"
copyright = f"{author}, MIT licence"  # Sphinx wants this name
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.viewcode"]
root_doc = "docs/site/index"
include_patterns = [
    *("docs/site/*.md", "docs/site/api/*.rst", "docs/*.md", "notebooks/*.ipynb"),
    *("RESULTS.md", "benchmarks/RESULTS.md", "data/checkpoints/README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
]
exclude_patterns = [".*", "build"]
templates_path = [str(HERE / "templates")]
nitpicky = True
nitpick_ignore = [("py:class", "DataclassInstance"), ("py:class", "t.Any")]  # which only type checkers can import

nb_execution_mode = "off"  # a page shows what is committed
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
add_module_names = False
python_use_unqualified_type_names = True
maximum_signature_line_length = 88

# -- how it looks ----------------------------------------------------------------------------------

html_theme = "furo"
html_title = project
html_context = {"repository": repository()}
html_extra_path = ["../playground"]  # its index.html is the site's first page
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_math_renderer = "mathml"  # which browsers draw themselves: no script, no font
html_sidebars = {
    "**": [f"sidebar/{part}.html" for part in ("brand", "search", "scroll-start", "around", "navigation", "scroll-end")]
}
pygments_dark_style = "github-dark"
html_theme_options = {
    "source_view_link": f"{repository()}/blob/main/{{filename}}",
    "top_of_page_buttons": ["view"],
    "light_css_variables": {"color-brand-primary": "#005f9e", "color-brand-content": "#005f9e"},
    "dark_css_variables": {"color-brand-primary": "#7cc4f5", "color-brand-content": "#7cc4f5"},
}

# -- links to files of the repository --------------------------------------------------------------

SHOWN = {"README.md": f"{root_doc}.html", "docs/playground/index.html": "index.html"}
"""Files that a page shows without being made from them alone."""


def address(app: Sphinx, file: str) -> str:
    """Where a file of the repository is read: on a page, seen from the site's root, or else on GitHub.

    Raises:
        SphinxError: the repository has no such file.
    """
    if not (ROOT / file).is_file():
        raise SphinxError(f"{file} is linked, but the repository has no such file")
    page = app.env.path2doc(app.srcdir / file)
    if page in app.env.found_docs:
        return str(app.builder.get_target_uri(page))
    return SHOWN.get(file) or f"{repository()}/blob/main/{file}"


def link_files(app: Sphinx, doctree: nodes.document) -> None:
    """Let links to files that have no page of their own lead to :func:`address`; MyST resolves the others."""
    here = app.builder.get_target_uri(app.env.docname)
    for node in [*doctree.findall(addnodes.download_reference), *doctree.findall(addnodes.pending_xref)]:
        if isinstance(node, addnodes.download_reference):
            file = Path(app.env.relfn2path(node["reftarget"])[0]).as_posix()
        elif node["refdomain"] == "doc" and node["reftarget"] not in app.env.found_docs:
            file = f"{node['reftarget']}.md"
        else:
            continue
        to = address(app, file)
        anchor = f"#{node['reftargetid']}" if node.get("reftargetid") else ""
        uri = (to if "://" in to else relative_uri(here, to)) + anchor
        node.replace_self(nodes.reference("", "", *node.children, refuri=uri))


def link_playground(app: Sphinx) -> None:
    """Let the first page's links to files on GitHub lead to :func:`address`, too."""
    page = Path(app.outdir, "index.html")
    on_github = re.compile(rf'(?<=href="){re.escape(repository())}/blob/main/([^"#]+)')
    text = page.read_text(encoding="utf-8")
    page.write_text(on_github.sub(lambda found: address(app, found[1]), text), encoding="utf-8")


# -- names in docstrings ---------------------------------------------------------------------------


def find(name: str) -> object:
    """What is imported by a name with dots, or None."""
    try:
        return resolve_name(name)
    except (AttributeError, ImportError, ValueError):
        return None


@cache
def documented(env: BuildEnvironment) -> dict[int, str]:
    """The names under which the reference has its functions, classes and modules, by what they are names of."""
    things = {name: find(name) for name in env.domains.python_domain.objects}
    return {id(thing): name for name, thing in things.items() if isinstance(thing, (FunctionType, type, ModuleType))}


def link_name(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, text: nodes.TextElement
) -> nodes.Element | None:
    """A link to what a docstring names as its own module knows it; bare text where the reference does not have it.

    So a name that is not there at all remains an error, be it this package's, PyTorch's or Python's.
    """
    if node["refdomain"] != "py":
        return None
    target, here = node["reftarget"], node.get("py:module") or ""
    modules = [module for module in [*sys.modules] if f"{module}.".startswith(f"{here}.")]  # a package shows theirs
    thing = next(filter(None, map(find, [*(f"{module}.{target}" for module in modules), target])), None)
    if thing is not None and id(thing) not in documented(env):
        return text
    node["refspecific"] = thing is None  # then any class or function of that name will do, if there is just one
    target = documented(env).get(id(thing), target)
    python = env.domains.python_domain
    return python.resolve_xref(env, node["refdoc"], app.builder, node["reftype"], target, node, text)


SECTIONS = Config(napoleon_custom_sections=[("Attributes", "params_style")])  # several names may share a line


def read_sections(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Read "Args:" and its like as fields.

    By napoleon, but not by its own hook, which takes "A key" in an attribute's "A key: what it opens." for a type.
    """
    if what not in ("attribute", "data", "property"):
        lines[:] = GoogleDocstring(lines, SECTIONS, app, what, name, thing, options).lines()


def skip_inherited(app: Sphinx, what: str, name: str, thing: object, skip: bool, options: object) -> bool | None:
    """Leave out methods that another package puts into a class."""
    foreign = inspect.isroutine(thing) and not (thing.__module__ or "").startswith("mini_ism")
    return True if foreign else None


def source_module(app: Sphinx, module: str, name: str) -> str | None:
    """The module whose source is shown for a name: its own, unless it is a name for what another package has."""
    defined = getattr(find(f"{module}.{name}"), "__module__", None) or ""
    return None if defined.startswith("mini_ism") else module


# -- notebooks -------------------------------------------------------------------------------------


def fold(app: Sphinx, page: str, source: list[str]) -> None:
    """Fold the code that JupyterLab folds."""
    if page.startswith("notebooks/"):
        notebook = json.loads(source[0])
        for cell in notebook["cells"]:
            if cell["metadata"].get("jupyter", {}).get("source_hidden"):
                cell["metadata"].setdefault("tags", []).append("hide-input")
        source[0] = json.dumps(notebook)


SPELLED = {"dots": r"\ldots", "iff": r"\Longleftrightarrow", "Big": r"\Bigl"}
"""Commands of TeX that docutils knows by another name only."""


def formula(block: bool) -> tuple[Callable[[HTML5Translator, nodes.Element], None], None]:
    """What writes a formula, in a line or in a block, as MathML."""

    def visit(page: HTML5Translator, node: nodes.Element) -> None:
        known = re.sub(rf"\\({'|'.join(SPELLED)})\b", lambda command: SPELLED[command[1]], node.astext())
        page.body.append(tex2mathml(known, as_block=block))
        raise nodes.SkipNode

    return visit, None


# -- the build -------------------------------------------------------------------------------------


def hide_source(app: Sphinx, page: str, template: str, context: dict[str, object], tree: object) -> None:
    """Offer no source of a page that is made while the site is built."""
    if page.startswith("docs/site/api/"):
        context["page_source_suffix"] = ""


def finish(app: Sphinx, failed: Exception | None) -> None:
    """Link the playground to the other pages, then go over all of them, and warn of each fault that is found."""
    if failed is None and app.builder.format == "html":
        link_playground(app)
        for fault in faults(Path(app.outdir)):
            getLogger(__name__).warning(fault)


def setup(app: Sphinx) -> None:
    """Connect the functions above to the steps of a build.

    Raises:
        SphinxError: the playground is not built.
    """
    if not (HERE.parent / "playground" / "data.js").is_file():
        raise SphinxError("docs/playground/data.js is not there: run `python -m tools.build_playground` first")
    listed = (HERE / "api.md").read_text(encoding="utf-8").split()
    for made in HERE.glob("api/*.rst"):
        if made.stem not in listed:
            made.unlink()  # of a module that is gone
    app.add_html_math_renderer("mathml", formula(block=False), formula(block=True))
    app.connect("source-read", fold)
    app.connect("doctree-read", link_files, priority=400)  # before downloads are collected
    app.connect("autodoc-process-docstring", read_sections)
    app.connect("autodoc-skip-member", skip_inherited)
    app.connect("viewcode-follow-imported", source_module)
    app.connect("missing-reference", link_name)
    app.connect("html-page-context", hide_source)
    app.connect("build-finished", finish, priority=900)  # after all that extensions write
