"""Fixtures: one browser and one JupyterLab a session, one window a test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.harness import CHROMIUM_ARGUMENTS, LabPage, LabServer, find_chromium
from tools.run_notebooks import NOTEBOOKS

BROWSER_DIRECTORY = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the browser."""
    for item in items:
        if BROWSER_DIRECTORY in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium. Missing: a skip, or a failure if ``MINI_ISM_REQUIRE_BROWSER`` is set."""
    chromium = find_chromium()
    if chromium is None:
        missing = "no Chromium on PATH (Debian: apt-get install chromium) nor in MINI_ISM_CHROMIUM"
        if os.environ.get("MINI_ISM_REQUIRE_BROWSER", "0") not in ("", "0"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go: ``MINI_ISM_SCREENSHOTS`` if set, else a directory of this run."""
    chosen = os.environ.get("MINI_ISM_SCREENSHOTS")
    return Path(chosen).resolve() if chosen else tmp_path_factory.mktemp("screenshots")


@pytest.fixture(scope="session")
def lab_server(browser: Browser, tmp_path_factory: pytest.TempPathFactory, offline: Path) -> Iterator[LabServer]:
    """JupyterLab over a copy of ``notebooks/``, or of ``MINI_ISM_NOTEBOOKS`` if set."""
    notebooks = Path(os.environ.get("MINI_ISM_NOTEBOOKS", NOTEBOOKS))
    if not notebooks.is_dir():
        pytest.fail(f"no directory of notebooks at {notebooks}")
    with LabServer(notebooks, tmp_path_factory.mktemp("lab"), offline) as server:
        yield server


@pytest.fixture
def lab(browser: Browser, lab_server: LabServer, screenshots: Path) -> Iterator[LabPage]:
    """A fresh window on the notebooks; its kernels end with the test."""
    window = LabPage(browser, lab_server, screenshots)
    yield window
    window.close()
