"""Build the playground, a folder of static files that any browser opens: `python -m tools.build_playground`.

What the page shows comes from the package: weights, tokenizer, example messages, colours, the front end of the widgets.
So the same data give the same bytes, and `docs/playground/` need not be committed: most of it is a copy of the models.
"""

from __future__ import annotations

import argparse
from base64 import b64encode
from pathlib import Path

from matplotlib import colormaps

from mini_ism.checkpoints import MODEL, load_model
from mini_ism.corpus.topics import ABOUT, EXAMPLES, HARD, MANY_PIECES, word_lists
from mini_ism.files import write_atomically
from mini_ism.masks import COURSE_MASKS
from mini_ism.paths import data_dir
from mini_ism.strict_json import from_json, to_json
from mini_ism.tokenizer import load_tokenizer
from mini_ism.tokenizer_files import default_path, read_ranks
from mini_ism.views.attention_colours import DIFFERENCES, WEIGHTS
from mini_ism.views.cache_styles import STATES
from mini_ism.views.descriptions import WHY_IT_STOPPED
from mini_ism.views.styles import DARK, LIGHT
from mini_ism.widgets import surface as widget
from mini_ism.widgets.chat_guide import NAMES
from mini_ism.widgets.chat_lane import LONGEST_ANSWER
from mini_ism.widgets.panel import EXAMPLE
from mini_ism.widgets.rule_panel import PRESETS

ROOT = Path(__file__).parent.parent
SOURCES = Path(__file__).parent / "playground"
BUILT = ROOT / "docs" / "playground"
SURFACE = Path(widget.__file__)
"""The script and the style of the widgets' front end are in the same folder."""
LESSON = ("tokenizer", "masks", "expressions", "gpt", "chat")
"""The scripts of the model and its engine, in reading order; they need no page."""
PAGE = (
    *("svg", "next_words", "cache_strip", "mask_map", "attention_map"),
    *("state", "rule_text", "lanes", "film", "mask_view", "attention_view", "tour", "main"),
)
"""The scripts of the page, from the ground up."""
HEAD = "// Written by `python -m tools.build_playground`; its sources are in tools/playground/.\n"


def read(*path: str) -> str:
    """The text of a source file."""
    return SOURCES.joinpath(*path).read_text(encoding="utf-8")


def lesson() -> str:
    """The model and its engine, as one classic script."""
    return HEAD + "\n".join(read("model", f"{name}.js") for name in LESSON)


def surface() -> str:
    """The widgets' front end without what only anywidget needs: `mount(host, html, onPick)`."""
    source, adapter, _ = SURFACE.with_suffix(".js").read_text(encoding="utf-8").partition("\nexport default {")
    if not adapter or source.count("export function mount") != 1:
        raise ValueError(f"{SURFACE.with_suffix('.js')} has no `export function mount` before its `export default`")
    return source.replace("export function mount", "function mount")


def page() -> str:
    """The page's script, as one function, so that it leaves no names behind."""
    parts = [surface(), *(read("page", f"{name}.js") for name in PAGE)]
    return HEAD + '(() => {\n"use strict";\n' + "\n".join(parts) + "})();\n"


def variables(colours: dict[str, str]) -> str:
    """Named colours as CSS variables."""
    return "".join(f"  --mi-{name}: {value};\n" for name, value in colours.items())


def style() -> str:
    """The page's style: the widgets' colours, the widgets' style, then its own."""
    dark = ':root[data-theme="dark"]'
    colours = f":root {{\n{variables(LIGHT)}}}\n{dark} {{\n{variables(DARK)}}}\n"
    return colours + SURFACE.with_suffix(".css").read_text(encoding="utf-8") + read("playground.css")


def palette(name: str) -> str:
    """255 colours of a map as base64 of their red, green and blue; one value of a byte is left for 'transparent'."""
    colours = colormaps[name].resampled(255)(range(255), bytes=True)[:, :3]
    return b64encode(colours.tobytes()).decode("ascii")


def data() -> str:
    """Weights as they are stored, the tokenizer, and what the page says and offers."""
    ranks = read_ranks(default_path())
    about = from_json(default_path().with_suffix(".json").read_bytes())
    content = {
        "tokenizer": {"ranks": ranks.decode("ascii"), "about": about},
        "opening": [message["content"] for message in EXAMPLE if message["role"] == "user"],
        "about": ABOUT,
        "examples": EXAMPLES,
        "names": NAMES,
        "words": word_lists(),
        "many_pieces": MANY_PIECES,
        "hard": HARD,
        "longest_answer": LONGEST_ANSWER,
        "presets": PRESETS,
        "states": {state: text for state, text in STATES.items() if state != "stale"},
        "why_it_stopped": WHY_IT_STOPPED,
        "palettes": {"weights": palette(WEIGHTS), "differences": palette(DIFFERENCES)},
    }
    lines = "".join(f'  "{name}": "{weights(name)}",\n' for name in COURSE_MASKS)
    return f"{HEAD}const SHIPPED = {to_json(content)};\nSHIPPED.models = {{\n{lines}}};\n"


def weights(name: str) -> str:
    """A shipped model's file as base64, after checking that it is intact and uses the shipped tokenizer."""
    if load_model(name)[1]._mergeable_ranks != load_tokenizer()._mergeable_ranks:
        raise ValueError(f"the model {name!r} has a tokenizer of its own; the page has one for all three")
    return b64encode((data_dir() / "checkpoints" / name / MODEL).read_bytes()).decode("ascii")


def build() -> dict[str, bytes]:
    """The files of the folder by name."""
    files = {
        "index.html": read("index.html"),
        "playground.css": style(),
        "data.js": data(),
        "model.js": lesson(),
        "playground.js": page(),
    }
    return {name: text.encode("utf-8") for name, text in files.items()}


def write(folder: Path = BUILT) -> Path:
    """Build the folder; returns its first page."""
    for name, content in build().items():
        write_atomically(folder / name, content)
    return folder / "index.html"


def main() -> None:
    """Write the folder, and say where."""
    argparse.ArgumentParser(description="Build docs/playground/.").parse_args()
    print(f"open {write()} in a browser")


if __name__ == "__main__":
    main()
