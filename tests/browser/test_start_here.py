"""The first notebook as a newcomer meets it: opened, run from the menu, played with."""

from playwright.sync_api import expect

from tests.browser.harness import LabPage, each, sliders

NAME = "00_start_here"


def test_run_all_then_a_slider_moves_the_picture(lab: LabPage) -> None:
    lab.open_notebook(NAME)
    lab.run_all()
    lab.wait_done()
    assert lab.cell_errors() == []

    expect(lab.widgets().get_by_role("status").first).to_be_visible()
    for status in each(lab.widgets().get_by_role("status")):
        expect(status).not_to_be_empty()

    widget = lab.widgets("mi-mask").first
    widget.scroll_into_view_if_needed()
    status = widget.get_by_role("status").first
    said = status.inner_text()
    before = lab.screenshot("start_here_before", widget).read_bytes()
    slider = sliders(widget).nth(1)
    slider.focus()
    slider.press("ArrowRight")
    expect(status).not_to_have_text(said)
    assert lab.screenshot("start_here_after", widget).read_bytes() != before

    assert lab.outside == []
    assert lab.errors == []


def test_dark_theme_keeps_every_view_readable(lab: LabPage) -> None:
    lab.open_notebook(NAME)
    lab.run_all()
    lab.wait_done()
    expect(lab.widgets().get_by_role("status").first).to_be_visible()
    for theme in ("dark", "light"):
        lab.set_theme(theme)
        for number, widget in enumerate(each(lab.widgets())):
            expect(widget.get_by_role("status").first).to_be_visible()
            lab.screenshot(f"start_here_{theme}_{number}", widget)
    assert lab.errors == []


def test_the_widgets_answer_to_keys_and_typing(lab: LabPage) -> None:
    """One run, three widgets: rows and steps by arrow key, a rule and a message by typing."""
    lab.open_notebook(NAME)
    lab.run_all()
    lab.wait_done()

    explorer = lab.widgets("mi-mask").first
    said = explorer.get_by_role("status")
    token = sliders(explorer).nth(1)
    token.focus()
    token.press("Home")
    expect(said).to_contain_text("(0) sees 0..")
    token.press("ArrowRight")
    expect(said).to_contain_text("(1) sees 0..")
    rule = explorer.get_by_label("Rule", exact=True)
    rule.fill("ism &")
    expect(explorer.get_by_role("alert")).to_contain_text("cannot read mask")
    expect(said).to_contain_text("(1) sees 0..")
    rule.fill("causal")
    expect(explorer.get_by_role("alert")).to_have_count(0)
    expect(said).to_contain_text("(1) sees 0..1 (2 of")
    explorer.get_by_label("Preset", exact=True).select_option("prefix")
    expect(rule).to_have_value("prefix")
    box = explorer.get_by_label("user", exact=True).first
    box.fill("<b>Where</b>?")
    expect(explorer.locator("svg[aria-label^='Mask prefix: ']")).to_be_visible()
    expect(explorer.locator("svg b")).to_have_count(0)

    player = lab.widgets("mi-cache").first
    said = player.get_by_role("status")
    expect(said).to_contain_text("Nothing has been read yet")
    sliders(player).first.focus()
    while "throws away" not in (now := said.inner_text()):
        lab.page.keyboard.press("ArrowRight")
        expect(said).not_to_have_text(now)
    expect(said).to_contain_text("Turn 2, the question arrives")
    expect(player.locator("rect.mi-discarded")).to_have_count(1)
    expect(player.locator("rect.mi-reused")).to_have_count(2)

    chat = lab.widgets("mi-chat").first
    chat.get_by_role("button", name="Start over").click()
    expect(chat.get_by_role("status")).to_contain_text("Nobody has said anything")
    entry = chat.get_by_role("textbox")
    entry.click()
    lab.page.keyboard.type("The cup is in the <b>oven</b>. Where is the cup?\n")
    expect(chat.get_by_role("status")).to_contain_text("Turn 1: causal kept 0")
    expect(entry).to_have_value("")
    for log in chat.get_by_role("log").all():
        expect(log).to_contain_text("<b>oven</b>")
        expect(log).to_contain_text("first token")
    lab.page.keyboard.press("Enter")
    expect(chat.get_by_role("alert")).to_contain_text("empty")

    assert lab.cell_errors() == []
    assert lab.outside == []
    assert lab.errors == []
