"""A real JupyterLab, driven by a real browser, with the outside world shut off.

:class:`LabServer` runs JupyterLab on 127.0.0.1 over a copy of some notebooks; :class:`LabPage` is a
reader at a browser: opens a notebook, runs it, changes the theme, moves a slider by keyboard.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from urllib.parse import urlsplit

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Route,
    WebSocketRoute,
    expect,
)

from tools.jupyter_env import fresh_environment

__all__ = [
    "CHROMIUM_ARGUMENTS",
    "PATIENCE",
    "LabPage",
    "LabServer",
    "bare_page",
    "each",
    "find_chromium",
    "map_cell",
    "sliders",
    "tab_stops",
    "until",
    "write_notebooks",
]

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
HERE = "127.0.0.1"
LOCAL_SCHEMES = ("about", "blob", "data")
FONT_PROBE = "about:blank"  # MathJax of JupyterLab 3 asks there for a font, to see what happens

PROMPTS = """() => [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')]
    .filter(cell => cell.querySelector('.cm-content, .CodeMirror-code')?.textContent.trim() !== '')
    .map(cell => cell.querySelector('.jp-InputPrompt')?.textContent ?? '')"""
WATCH_LAST_PROMPT = f"""() => {{
    window.lastCellQueued = false;
    const prompts = {PROMPTS};
    new MutationObserver((changes, observer) => {{
        if (prompts().at(-1)?.includes('*')) {{
            window.lastCellQueued = true;
            observer.disconnect();
        }}
    }}).observe(document.querySelector('.jp-Notebook'),
                {{subtree: true, childList: true, characterData: true}});
}}"""

PATIENCE = float(os.environ.get("MINI_ISM_PATIENCE", "60"))
"""Seconds that anything may take on a busy machine; only a test that fails anyway waits so long."""
START_SECONDS = KERNEL_SECONDS = 3 * PATIENCE
RUN_SECONDS = 10 * PATIENCE
PORTS_TRIED = 3

expect.set_options(timeout=1000 * PATIENCE)


def find_chromium() -> str | None:
    """The browser's path: ``MINI_ISM_CHROMIUM`` if set, else the first usual name on ``PATH``."""
    chosen = os.environ.get("MINI_ISM_CHROMIUM")
    return chosen or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def write_notebooks(folder: Path, sources: Mapping[str, str]) -> Path:
    """Notebooks of one cell each, by name; returns the folder."""
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    for name, source in sources.items():
        notebook = new_notebook(cells=[new_code_cell(source)], metadata={"kernelspec": kernel})
        nbformat.write(notebook, folder / f"{name}.ipynb")
    return folder


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        port: int = probe.getsockname()[1]
        return port


class LabServer:
    """JupyterLab over a copy of ``notebooks``, in an environment that holds nothing of the user's.

    Args:
        notebooks: a directory of notebooks; it is copied, so a test can save what it likes.
        scratch: an empty directory for the copy, Jupyter's files and the server's log.
        offline: a directory whose ``sitecustomize.py`` blocks the network in server and kernels.
    """

    def __init__(self, notebooks: Path, scratch: Path, offline: Path) -> None:
        self.source, self.root = notebooks, scratch / "notebooks"
        self.log = scratch / "jupyterlab.log"
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None
        shutil.copytree(notebooks, self.root, ignore=shutil.ignore_patterns("runs"))
        (scratch / "jupyter").mkdir()
        self._env = fresh_environment(scratch / "jupyter", offline=offline)

    def __enter__(self) -> "LabServer":
        for _ in range(PORTS_TRIED):
            if self._start():
                return self
            self._stop()
        log_text = self.log.read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"JupyterLab did not start; its log ends:\n{log_text[-3000:]}")

    def _start(self) -> bool:
        """Start it on a port that is free now; false if it ended (somebody was faster) or is too slow."""
        port = _free_port()
        self.url = f"http://{HERE}:{port}"
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        command += [f"--ip={HERE}", f"--port={port}", "--ServerApp.port_retries=0"]
        command += [f"--ServerApp.root_dir={self.root}", "--IdentityProvider.token="]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        return True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def get(self, path: str) -> Any:
        """The JSON that the server's REST interface answers with."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=PATIENCE) as answer:
            return json.load(answer)

    def session(self, name: str) -> dict[str, Any] | None:
        """The running session of a notebook, or ``None``."""
        sessions: list[dict[str, Any]] = self.get("/api/sessions")
        return next((session for session in sessions if session["path"] == name), None)

    def _answers(self) -> bool:
        try:
            self.get("/api/status")
        except (OSError, urllib.error.URLError):
            return False
        return True

    def _stop(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None


class LabPage:
    """One reader's browser window. Close it when done.

    Attributes:
        page: Playwright's page, for what has no method here.
        outside: every address asked for that is not this machine's (each was refused).
        errors: every console error and uncaught exception, in order.
    """

    def __init__(self, browser: Browser, server: LabServer, screenshots: Path) -> None:
        self.server = server
        self.screenshots = screenshots
        self.outside: list[str] = []
        self.errors: list[str] = []
        self.name = ""
        self._context = browser.new_context(viewport={"width": 1400, "height": 1500})
        self._context.set_default_timeout(1000 * PATIENCE)
        self._context.route("**/*", self._guard)
        self._context.route_web_socket(re.compile("."), self._guard_socket)
        self.page: Page = self._context.new_page()
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))

    def close(self) -> None:
        """Close the window and shut its kernels down."""
        cookies = {cookie["name"]: cookie["value"] for cookie in self._context.cookies()}
        for session in self.server.get("/api/sessions"):
            self._context.request.delete(
                f"{self.server.url}/api/sessions/{session['id']}",
                headers={"X-XSRFToken": cookies.get("_xsrf", "")},
                fail_on_status_code=True,
                timeout=1000 * PATIENCE,
            )
        self._context.close()

    # -- what a reader does ------------------------------------------------------------------

    def open_notebook(self, name: str) -> None:
        """Open ``name`` (with or without ``.ipynb``) and wait until its kernel can run a cell."""
        self.name = name if name.endswith(".ipynb") else f"{name}.ipynb"
        if not (self.server.root / self.name).is_file():
            raise FileNotFoundError(f"no notebook {self.name!r} among those served")
        # JupyterLab saves by itself, widgets of a kernel that is gone included: start from the committed file.
        shutil.copy2(self.server.source / self.name, self.server.root / self.name)
        self.page.goto(f"{self.server.url}/lab/tree/{self.name}?reset")
        # The status bar alone is not enough: it says Idle before the page has joined the kernel,
        # and cells run in that moment are skipped.
        self._wait_for_kernel()
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=1000 * KERNEL_SECONDS)
        self._wait_for_splash()

    def run_all(self) -> None:
        """Run > Run All Cells, by mouse."""
        self.page.evaluate(WATCH_LAST_PROMPT)
        self._menu("Run", "Run All Cells")

    def wait_done(self, seconds: float = RUN_SECONDS) -> None:
        """Wait until every code cell has run; an error in one ends the wait, and fails it.

        A committed notebook opens with its numbers in place, so the last prompt must first have
        been seen to turn to ``[*]``.
        """
        deadline = time.monotonic() + seconds
        while True:
            prompts = self.prompts()
            if not self.page.evaluate("window.lastCellQueued") or "[*]:" in prompts:
                pass
            elif prompts[-1].strip("[]: ").isdigit():
                return
            elif self.cell_errors():
                raise AssertionError(f"{self.name} stopped at an error: {self.cell_errors()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} still runs after {seconds:.0f} s: {prompts}")
            self.page.wait_for_timeout(200)

    def interrupt(self) -> None:
        """Kernel > Interrupt Kernel, by mouse."""
        self._menu("Kernel", "Interrupt Kernel")

    def set_theme(self, theme: Literal["dark", "light"]) -> None:
        """Settings > Theme > JupyterLab Dark or JupyterLab Light."""
        self._menu("Settings", "Theme", f"JupyterLab {theme.capitalize()}")
        light = "true" if theme == "light" else "false"
        expect(self.page.locator("body")).to_have_attribute("data-jp-theme-light", light)
        self._wait_for_splash()

    def screenshot(self, name: str, of: Locator | None = None) -> Path:
        """Save the window, or one element of it, as ``name.png``; returns the file's path."""
        path = self.screenshots / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        (of or self.page).screenshot(path=path)
        return path

    def still(self, name: str, of: Locator) -> bytes:
        """A screenshot that is equal to the next one: what moved (a bar that grows, a pressed button) has come to rest.

        Raises:
            AssertionError: it never comes to rest.
        """
        seen = [b"", self.screenshot(name, of).read_bytes()]

        def rests() -> bool:
            seen[:] = [seen[1], self.screenshot(name, of).read_bytes()]
            return seen[0] == seen[1]

        until(rests, f"{name} to come to rest", self.page)
        return seen[1]

    # -- what a reader sees ------------------------------------------------------------------

    def prompts(self) -> list[str]:
        """The prompt of each non-empty code cell: ``[ ]:``, ``[*]:`` or ``[3]:``."""
        prompts: list[str] = self.page.evaluate(PROMPTS)
        return prompts

    def cell_errors(self) -> list[str]:
        """The last line of each traceback, and of each warning on stderr."""
        outputs = self.page.locator(
            '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"], '
            '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]'
        )
        return [text.strip().splitlines()[-1] for text in outputs.all_text_contents() if text.strip()]

    def widgets(self, kind: str = "mi-widget") -> Locator:
        """The interactive views on the page, by CSS class."""
        return self.page.locator(f".jp-OutputArea-output .{kind}")

    def run_to_widget(self, name: str, kind: str) -> Locator:
        """Open a notebook, run all of it without an error, and scroll to its first view of a kind."""
        self.open_notebook(name)
        self.run_all()
        self.wait_done()
        assert self.cell_errors() == []
        widget = self.widgets(kind).first
        widget.scroll_into_view_if_needed()
        expect(widget.get_by_role("status")).to_be_visible()
        return widget

    # -- how it is done ----------------------------------------------------------------------

    def _menu(self, *path: str) -> None:
        first, *rest = path
        self.page.get_by_role("menubar").get_by_role("menuitem", name=first, exact=True).click()
        for number, label in enumerate(rest):
            item = self.page.locator(".lm-Menu-item").filter(has=self.page.get_by_text(label, exact=True))
            # A submenu opens when its item is hovered over; a click would close it again.
            if number == len(rest) - 1:
                item.click()
            else:
                item.hover()

    def _wait_for_splash(self) -> None:
        expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)

    def _wait_for_kernel(self) -> None:
        deadline = time.monotonic() + KERNEL_SECONDS
        while True:
            session = self.server.session(self.name)
            kernel = session["kernel"] if session else {}
            if kernel.get("execution_state") == "idle" and kernel["connections"]:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"no kernel for {self.name}: {kernel or 'none started'}")
            self.page.wait_for_timeout(200)

    def _guard(self, route: Route) -> None:
        if self._is_local(route.request.url):
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def _guard_socket(self, socket_route: WebSocketRoute) -> None:
        if self._is_local(socket_route.url):
            socket_route.connect_to_server()
        else:
            self.outside.append(socket_route.url)
            socket_route.close()

    @staticmethod
    def _is_local(url: str) -> bool:
        parts = urlsplit(url)
        return parts.scheme in LOCAL_SCHEMES or parts.hostname == HERE

    def _listen(self, message: ConsoleMessage) -> None:
        told = f"{message.text} ({message.location.get('url', '')})"
        if message.type == "error" and FONT_PROBE not in told:
            self.errors.append(told)


@contextmanager
def bare_page(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page without Jupyter in a window of its own, on which no script has failed in the end."""
    context = browser.new_context(viewport={"width": 700, "height": 700}, **options)
    errors: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert errors == []
    context.close()


def sliders(of: Locator) -> Locator:
    """The handles of the sliders, which take keys; those of ipywidgets 7 do not say that they are sliders."""
    return of.locator("[role=slider], .ui-slider-handle")


def tab_stops(widget: Locator, target: Locator, most: int = 40) -> int:
    """How many times Tab must be pressed from just before a widget until a target in it has the focus.

    Raises:
        AssertionError: it is not among the first ``most``.
    """
    widget.locator("button:enabled, input:enabled, select, textarea, [tabindex='0']").first.focus()
    for stops in range(1, most + 1):
        if target.evaluate("element => element === document.activeElement"):
            return stops
        widget.page.keyboard.press("Tab")
    raise AssertionError(f"{target} has no focus after {most} tab stops")


def map_cell(widget: Locator, row: int, column: int) -> tuple[float, float]:
    """Where the middle of a cell of a widget's map lies in the window; the map is scrolled into view."""
    widget.locator(".mi-row").nth(row).scroll_into_view_if_needed()
    x, y = widget.evaluate(
        """(widget, [row, column]) => {
            const rows = widget.querySelectorAll('.mi-row'), box = rows[row].getBoundingClientRect();
            return [box.left + (column + .5) * box.width / rows.length, box.top + box.height / 2];
        }""",
        [row, column],
    )
    return x, y


def until(holds: Callable[[], bool], what: str, page: Page) -> None:
    """Wait for what no locator can say.

    Args:
        holds: tried again and again.
        what: for the message, after "waited in vain for".
        page: goes on living while one waits.

    Raises:
        AssertionError: it did not hold in time.
    """
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        page.wait_for_timeout(100)


def each(locator: Locator) -> Iterator[Locator]:
    """The elements of a locator one by one, each scrolled into view."""
    for index in range(locator.count()):
        element = locator.nth(index)
        element.scroll_into_view_if_needed()
        yield element
