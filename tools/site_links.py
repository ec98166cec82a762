"""Check a built site as a browser would see it: every link leads somewhere, and it loads only its own files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = re.compile(r"""@import\s+["']([^"']+)|url\(\s*["']?([^"')]+)""")
"""What a style sheet loads."""
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def styled(text: str) -> Iterator[str]:
    """The addresses that a style sheet loads."""
    for found in LOADED.finditer(COMMENT.sub("", text)):
        yield found[1] or found[2]


class Page(HTMLParser):
    """A page's anchors, what it links, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors = {"", "top"}  # both are the beginning, in any page
        self.linked: list[str] = []
        self.loaded: list[str] = []
        self._in_style = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record what a tag names, links and loads."""
        self._in_style = tag == "style"
        for name, value in attrs:
            if value is None:
                continue
            if name == "id" or (tag, name) == ("a", "name"):
                self.anchors.add(value)
            elif name in ("href", "xlink:href"):
                (self.linked if tag in ("a", "area") else self.loaded).append(value)
            elif name in ("src", "poster", "data", "action"):
                self.loaded.append(value)
            elif name == "srcset":
                self.loaded += [choice.split()[0] for choice in re.split(r",\s+", value)]
            elif name == "style":
                self.loaded += styled(value)

    def handle_data(self, data: str) -> None:
        """Record what a style sheet in the page loads."""
        if self._in_style:
            self.loaded += styled(data)

    def handle_endtag(self, tag: str) -> None:
        """A style sheet ends."""
        self._in_style = False


@cache
def read_page(file: Path) -> Page:
    """The page in a file."""
    return Page(file.read_text(encoding="utf-8"))


def fault(site: Path, file: Path, address: str, loads: bool) -> str | None:
    """What is wrong with an address in a file of the site, or None."""
    parts = urlsplit(address)
    if parts.scheme == "data":
        return None
    if parts.scheme or parts.netloc:
        return "is loaded from the network" if loads else None
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if not target.is_relative_to(site):
        return "is outside of the site"
    if target.is_dir():
        target = target / "index.html"
    if not target.is_file():
        return "is not there"
    if target.suffix == ".html" and not loads and unquote(parts.fragment) not in read_page(target).anchors:
        return "has no such anchor"
    return None


def faults(site: Path) -> list[str]:
    """What is wrong with a built site, one line each: broken links and anchors, and loads of files not its own.

    Links that lead elsewhere are not followed.
    """
    site, found = site.resolve(), []
    read_page.cache_clear()
    for file in sorted(site.rglob("*")):
        if file.suffix == ".html":
            page = read_page(file)
            addresses = [(address, False) for address in page.linked] + [(address, True) for address in page.loaded]
        elif file.suffix == ".css":
            addresses = [(address, True) for address in styled(file.read_text(encoding="utf-8"))]
        else:
            continue
        for address, loads in dict.fromkeys(addresses):
            wrong = fault(site, file, address, loads)
            if wrong:
                found.append(f"{file.relative_to(site).as_posix()}: {address} {wrong}")
    return found
