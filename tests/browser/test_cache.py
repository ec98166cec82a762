"""The cache player and the chat in a browser: by keyboard and mouse, what they say and what they paint, both themes."""

import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, expect

from tests.browser.harness import LabPage, LabServer, sliders, until, write_notebooks

NAME = "06_cache_reuse"
PLAYER = """\
from mini_ism.widgets import CachePlayer

CachePlayer([
    {"role": "user", "content": "In the queue are Ella and Finn. Who is first?"},
    {"role": "assistant", "content": "Ella."},
    {"role": "user", "content": "Ella is served. Who is first?"},
    {"role": "assistant", "content": "Finn."},
])"""
SLOW = 1500  # milliseconds a step
FILM = f"""\
from mini_ism.widgets import CachePlayer

film = CachePlayer()
film.player.interval = {SLOW}
film"""
CHAT = """\
from mini_ism import load_model
from mini_ism.widgets import ChatWidget

ChatWidget({name: load_model(name) for name in ("causal", "prefix", "ism")}, ["Who is first?"])"""


@pytest.fixture(scope="module")
def small_server(browser: Browser, tmp_path_factory: pytest.TempPathFactory, offline: Path) -> Iterator[LabServer]:
    """Notebooks of one widget each."""
    sources = {"player": PLAYER, "film": FILM, "chat": CHAT}
    notebooks = write_notebooks(tmp_path_factory.mktemp("cache"), sources)
    with LabServer(notebooks, tmp_path_factory.mktemp("cache_lab"), offline) as server:
        yield server


@pytest.fixture
def small_lab(browser: Browser, small_server: LabServer, screenshots: Path) -> Iterator[LabPage]:
    window = LabPage(browser, small_server, screenshots)
    yield window
    window.close()


def run(lab: LabPage, name: str, kind: str) -> Locator:
    lab.open_notebook(name)
    lab.run_all()
    lab.wait_done()
    assert lab.cell_errors() == []
    widget = lab.widgets(kind).first
    expect(widget.get_by_role("status")).to_be_visible()
    return widget


def assert_clean(lab: LabPage) -> None:
    assert lab.cell_errors() == []
    assert lab.outside == []
    assert lab.errors == []


def share(of: Locator, colour: str) -> float:
    """How much of an element is painted in one of the page's named colours."""
    hexadecimal = of.evaluate(f"element => getComputedStyle(element).getPropertyValue('--mi-{colour}')").strip()
    wanted = tuple(int(hexadecimal[n : n + 2], 16) for n in (1, 3, 5))
    with Image.open(BytesIO(of.screenshot())) as picture:
        counted = picture.convert("RGB").getcolors(picture.width * picture.height) or []
        return sum(count for count, shown in counted if shown == wanted) / (picture.width * picture.height)


def within(outer: Locator) -> Callable[[Locator], bool]:
    """Whether an element lies in another from left to right."""

    def lies(inner: Locator) -> bool:
        box, frame = inner.bounding_box(), outer.bounding_box()
        if box is None or frame is None:  # it was drawn anew in the meantime
            return False
        return frame["x"] - 1 <= box["x"] and box["x"] + box["width"] <= frame["x"] + frame["width"] + 1

    return lies


@pytest.mark.colab
def test_the_player_by_keyboard_and_mouse(small_lab: LabPage) -> None:
    lab = small_lab
    player = run(lab, "player", "mi-cache")
    said, slider = player.get_by_role("status"), sliders(player).first
    strip = player.locator("svg.mi").first
    expect(said).to_contain_text("Nothing has been read yet")

    slider.focus()
    while "throws away" not in (now := said.inner_text()):
        lab.page.keyboard.press("ArrowRight")
        expect(said).not_to_have_text(now)
    expect(said).to_contain_text("Turn 2, the question arrives")
    expect(said).to_contain_text("prefix throws away 17")
    expect(player.locator("rect.mi-discarded")).to_have_count(1)
    expect(player.locator("rect.mi-reused")).to_have_count(2)
    assert share(strip, "stale") == 0

    player.get_by_label("break it: prefix keeps its stale cache").click()
    expect(said).to_contain_text("prefix blindly keeps 17 stale")
    expect(said).to_contain_text("are off by up to")
    expect(player.locator("rect.mi-stale")).to_have_count(1)
    expect(player.locator("rect.mi-discarded")).to_have_count(0)
    expect(player.get_by_role("row").filter(has_text="stale cache")).to_be_visible()
    for theme in ("dark", "light"):
        lab.set_theme(theme)
        strip.scroll_into_view_if_needed()
        lab.screenshot(f"player_{theme}", player)
        assert share(strip, "stale") > 0.01  # painted in the theme's own colour

    player.get_by_role("button", name=re.compile("Step$")).click()  # an icon comes before the word
    expect(said).to_contain_text("the question is read")
    expect(player.get_by_role("img").last).to_have_attribute("aria-label", re.compile("turn 2, prefix: 17 kept, 17 of"))
    player.get_by_role("button", name=re.compile("Back$")).click()
    expect(said).to_contain_text("the question arrives")
    slider.focus()
    lab.page.keyboard.press("End")
    expect(said).to_contain_text("Turn 2, the answer is written")
    player.get_by_label("break it: prefix keeps its stale cache").press("Space")
    expect(player.locator("rect.mi-stale")).to_have_count(0)
    until(lambda: share(strip, "stale") == 0, "the stale cells to go", lab.page)
    assert_clean(lab)


@pytest.mark.colab
def test_a_click_and_a_drag_go_to_a_moment_on_a_narrow_page(small_lab: LabPage) -> None:
    lab = small_lab
    player = run(lab, "player", "mi-cache")
    said, mouse = player.get_by_role("status"), lab.page.mouse
    lab.page.set_viewport_size({"width": 800, "height": 1000})
    line = player.locator('[data-drag="film"]')
    line.scroll_into_view_if_needed()
    assert line.locator("[data-step]").last.is_visible()  # as wide as the page, whatever that is
    box = line.bounding_box()
    assert box is not None
    height = box["y"] + box["height"] - 8
    mouse.move(box["x"] + box["width"] - 3, height)
    mouse.down()
    expect(said).to_contain_text("Turn 2, the answer is written")
    mouse.move(box["x"] + box["width"] / 2, height, steps=5)
    mouse.move(box["x"] + 1, height, steps=5)
    mouse.up()
    expect(said).to_contain_text("Nothing has been read yet")
    player.locator('[data-token="0"]').click()
    expect(said).to_contain_text("Turn 1, the question is read. causal reads 4; prefix reads 4; ism reads 4.")
    lab.page.keyboard.press("ArrowRight")  # the next token is of the same step
    for _ in range(4):
        lab.page.keyboard.press("ArrowRight")
    expect(said).to_contain_text("Tokens computed so far: causal 8, prefix 8, ism 8")
    lab.screenshot("player_narrow", player)
    assert_clean(lab)


@pytest.mark.colab
def test_beside_the_file_browser_one_sees_what_is_computed(small_lab: LabPage) -> None:
    lab = small_lab
    lab.page.set_viewport_size({"width": 800, "height": 1000})
    player = run(lab, "player", "mi-cache")
    lanes, numbers = player.locator(".mi-scrolls").first, player.locator(".mi-scrolls:has(.mi-bars)")
    slider = sliders(player).first
    slider.focus()
    for key in ("ArrowRight", "End"):
        lab.page.keyboard.press(key)
        expect(player.locator(".mi-touched")).to_have_count(3)
        until(lambda: all(map(within(lanes), player.locator(".mi-touched").all())), "the cells to be seen", lab.page)
    lab.screenshot("player_beside_the_file_browser", player)
    assert lanes.evaluate("box => box.scrollLeft") > 0
    expect(numbers).to_have_attribute("tabindex", "0")
    expect(numbers).to_have_attribute("aria-label", re.compile("^What each turn cost"))
    assert within(player)(player.get_by_role("note", name="Legend"))
    assert_clean(lab)


@pytest.mark.colab
def test_the_film_plays_and_pauses(small_lab: LabPage) -> None:
    player = run(small_lab, "film", "mi-cache")
    said = player.get_by_role("status")
    player.locator(".widget-play button:has(.fa-play)").click()
    expect(said).to_contain_text("Turn 1")
    player.locator(".widget-play button:has(.fa-pause)").click()  # the same button, or (ipywidgets 7) its neighbour
    stopped = [""]

    def stands() -> bool:
        stopped[:] = [said.inner_text()]
        small_lab.page.wait_for_timeout(3 * SLOW)  # what was on its way has come, and nothing new has
        return said.inner_text() == stopped[0]

    until(stands, "the film to stop", small_lab.page)
    assert "Turn 2, the answer is written" not in stopped[0]
    assert_clean(small_lab)


@pytest.mark.colab
def test_the_chat_by_keyboard_and_mouse(small_lab: LabPage) -> None:
    lab = small_lab
    chat = run(lab, "chat", "mi-chat")
    said, entry = chat.get_by_role("status"), chat.get_by_role("textbox")
    entry.click()
    lab.page.keyboard.type("The cup is in the <b>oven</b>. Where is the cup?\n")
    expect(said).to_contain_text("Turn 1: causal kept 0")
    expect(entry).to_have_value("")
    for log in chat.get_by_role("log").all():
        expect(log).to_contain_text("<b>oven</b>")
        expect(log).to_contain_text("first token")
    bars = chat.locator("svg.mi-bars")
    expect(bars).to_contain_text("1st token ms")
    assert share(bars, "reused") == 0

    lab.page.keyboard.type("What is my name?\n")
    expect(said).to_contain_text(re.compile("^Turn 2: .* prefix kept 0 "))
    assert share(bars, "reused") > 0.005
    chat.get_by_label("Side by side").select_option("ism's weights, under causal, prefix, ism")
    expect(chat).to_contain_text("prefix: ism's weights")
    expect(said).to_contain_text("Turn 2: causal kept")
    for theme in ("dark", "light"):
        lab.set_theme(theme)
        lab.screenshot(f"chat_{theme}", chat)
        assert share(bars, "reused") > 0.005

    chat.get_by_role("button", name="Who is first?").click()
    expect(said).to_contain_text("Turn 3: causal kept")
    expect(chat.get_by_role("log").first).to_contain_text("Who is first?")
    entry.click()
    lab.page.keyboard.press("Enter")
    expect(chat.get_by_role("alert")).to_contain_text("empty")
    chat.get_by_role("button", name="Start over").focus()
    lab.page.keyboard.press("Enter")
    expect(said).to_contain_text("Nobody has said anything")
    expect(bars).to_have_count(0)
    assert_clean(lab)


@pytest.mark.colab
def test_what_is_typed_into_the_chat_is_not_lost(small_lab: LabPage) -> None:
    lab = small_lab
    chat = run(lab, "chat", "mi-chat")
    said, entry, alert = chat.get_by_role("status"), chat.get_by_role("textbox"), chat.get_by_role("alert")
    log = chat.get_by_role("log").first
    entry.click()
    lab.page.keyboard.type("My name is Zoe.\nWhat is my name?")  # without a pause, faster than Python hears
    expect(entry).to_have_value("What is my name?")
    expect(said).to_contain_text("Turn 1")
    chat.get_by_role("button", name="Send").click()
    expect(said).to_contain_text("Turn 2")
    expect(entry).to_have_value("")
    expect(log).to_contain_text("My name is Zoe.")
    expect(log).to_contain_text("What is my name?")

    long = "cup " * 1000
    entry.click()
    lab.page.keyboard.insert_text(long)
    lab.page.keyboard.press("Enter")
    expect(alert).to_contain_text("make it shorter")
    expect(entry).to_have_value(long)
    lab.screenshot("chat_refused", chat)

    entry.fill("")
    entry.focus()
    lab.page.keyboard.type("The cup is in the oven.")
    lab.page.keyboard.press("Shift+Enter")
    lab.page.keyboard.type("Where is the cup?")
    expect(entry).to_have_value("The cup is in the oven.\nWhere is the cup?")
    expect(entry).to_be_focused()
    for theme in ("dark", "light"):
        lab.set_theme(theme)
        lab.screenshot(f"chat_two_lines_{theme}", chat)
    entry.focus()
    lab.page.keyboard.press("Enter")
    expect(said).to_contain_text("Turn 3")
    expect(log).to_contain_text("The cup is in the oven. Where is the cup?")
    assert_clean(lab)


def test_the_notebook_runs_and_its_player_is_broken(lab: LabPage) -> None:
    player = run(lab, NAME, "mi-cache")
    sliders(player).first.focus()
    lab.page.keyboard.press("End")
    said = re.compile(r"prefix uses \d+ stale positions.* It answers “.*”; with everything read anew it answers")
    expect(player.get_by_role("status")).to_contain_text(said)
    expect(player.get_by_label(re.compile("^break it"))).to_be_checked()
    for picture in player.locator("svg.mi").all():  # an earlier picture on the page has the same patterns
        picture.scroll_into_view_if_needed()
        assert share(picture, "stale") > 0.005
    chat = lab.widgets("mi-chat").first
    expect(chat.get_by_role("status")).to_contain_text("Turn 2: causal kept")
    for kind, widget in (("player", player), ("chat", chat)):
        widget.scroll_into_view_if_needed()
        lab.screenshot(f"{NAME}_{kind}", widget)
    assert_clean(lab)
