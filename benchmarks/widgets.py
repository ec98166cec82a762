"""How quickly the mask explorer answers: in the kernel, and from a key press to changed pixels in Chromium.

``python -m benchmarks.widgets`` draws a mask of 128 x 128, moves the token slider by keyboard, and reports medians and
the slowest of ten per cent. The browser's figure runs from the key's event to the first frame painted after the picture
changed: kernel, messages, layout and paint.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
from playwright.sync_api import Page, sync_playwright

from mini_ism.corpus import load_split
from mini_ism.dialogue import Message, encode_dialogue
from mini_ism.tokenizer import load_tokenizer
from mini_ism.widgets import MaskExplorer
from tests.browser.harness import CHROMIUM_ARGUMENTS, LabPage, LabServer, find_chromium
from tools.jupyter_env import ROOT

TOKENS = 128

SHOW = """\
from benchmarks.widgets import dialogue
from mini_ism.widgets import MaskExplorer

MaskExplorer(dialogue())"""

# Leaves a promise of the milliseconds from the next key press to the second frame after the map changed: by then the
# first is on the screen.
WATCH = """() => {
    const maps = [...document.querySelectorAll('.jp-OutputArea-output .mi-mask svg')];
    const largest = maps.sort((a, b) => a.clientWidth - b.clientWidth).at(-1);
    window.answered = new Promise(done => {
        let pressed;
        document.addEventListener('keydown', event => { pressed = event.timeStamp; }, {once: true, capture: true});
        new MutationObserver((_, observer) => {
            observer.disconnect();
            requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - pressed)));
        }).observe(largest.parentElement, {subtree: true, childList: true, characterData: true});
    });
}"""


def dialogue() -> list[Message]:
    """A frozen dialogue, the last message padded so that it has 128 tokens."""
    tokenizer = load_tokenizer()

    def length(messages: Sequence[Message]) -> int:
        return len(encode_dialogue(messages, tokenizer))

    messages = next(
        d.messages[:end]
        for d in load_split("long")
        for end in range(2, len(d.messages), 2)
        if d.messages[0]["role"] == "user" and TOKENS - 30 <= length(d.messages[:end]) <= TOKENS
    )
    last = messages[-1]["content"]
    while length(messages) < TOKENS:
        last += " the"
        messages = [*messages[:-1], {**messages[-1], "content": last}]
    return list(messages)


def in_kernel(rounds: int) -> list[float]:
    """Milliseconds to redraw the map for another row."""
    explorer = MaskExplorer(dialogue())
    times = []
    for turn in range(rounds):
        start = time.perf_counter()
        explorer.row.value = 10 + turn % 100
        times.append(1000 * (time.perf_counter() - start))
    return times


def in_browser(rounds: int) -> list[float]:
    """Milliseconds from a key press on the token slider to changed pixels, in JupyterLab."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, sync_playwright() as playwright:
        scratch = Path(name)
        (scratch / "lab").mkdir()
        (scratch / "source").mkdir()
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SHOW)])
        notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
        nbformat.write(notebook, scratch / "source" / "explorer.ipynb")
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_ARGUMENTS)
        with LabServer(scratch / "source", scratch / "lab", ROOT / "tests" / "offline") as server:
            lab = LabPage(chromium, server, scratch)
            lab.open_notebook("explorer")
            lab.run_all()
            lab.wait_done()
            times = [_press(lab.page) for _ in range(rounds)]
            lab.close()
        chromium.close()
    return times


def _press(page: Page) -> float:
    page.evaluate(WATCH)
    page.locator(".mi-mask").get_by_role("slider").nth(1).press("ArrowRight")  # the token slider; this focuses it, too
    milliseconds: float = page.evaluate("window.answered")
    return milliseconds


def tell(what: str, times: list[float]) -> None:
    """Print a line: the median, and how slow the slowest tenth is."""
    print(
        f"{what}: median {statistics.median(times):.1f} ms, 9 in 10 within {sorted(times)[9 * len(times) // 10]:.1f} ms"
    )


def main() -> None:
    """Measure both and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.widgets", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="key presses (default: 50)")
    rounds = parser.parse_args().rounds
    size = f"{TOKENS} x {TOKENS}"
    tell(f"redraw of a {size} mask in the kernel", in_kernel(rounds))
    tell(f"key press to changed pixels, {size}, in JupyterLab", in_browser(rounds))


if __name__ == "__main__":
    main()
