"""The page in a real browser: it draws, it is fast with many trades, it fits a phone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from browsers import chromium, needs_chromium
from page_runs import made_run
from test_page import inputs

from quorum.report.page.blocks import MINUS
from quorum.report.page.compose import lay_out, render, write_page
from quorum.report.page.run import PageSettings

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs the dev extra: pip install playwright"
)
pytestmark = needs_chromium
SETTINGS = PageSettings(runs=100)
MEGABYTES = 15
SECONDS = 5.0


@pytest.fixture(scope="module")
def browser():
    with chromium(playwright) as found:
        yield found


@pytest.fixture(scope="module")
def page_file(tmp_path_factory) -> Path:
    """A page with every section."""
    path = tmp_path_factory.mktemp("page") / "run.html"
    run = made_run(120).noting(f"/{'a-long-name' * 12}.feather is not there any more.")
    write_page(path, render(lay_out(run, inputs(), SETTINGS), SETTINGS))
    return path


@pytest.fixture
def opened(browser, page_file):
    """Open the page; what the console says of errors fails the test."""
    with_errors: list[str] = []
    contexts = []

    def open_it(width: int = 1280, scheme: str = "light", path: Path = page_file):
        context = browser.new_context(
            viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        tab = context.new_page()
        tab.on("pageerror", lambda error: with_errors.append(str(error)))
        tab.on(
            "console",
            lambda said: with_errors.append(said.text) if said.type in ("error", "warning") else 0,
        )
        tab.on("request", lambda r: with_errors.append(r.url) if r.url.startswith("http") else 0)
        tab.goto(path.as_uri())
        tab.wait_for_selector("html[data-ready=yes]", state="attached")
        return tab

    yield open_it
    for context in contexts:
        context.close()
    assert with_errors == []


def overflow(tab) -> int:
    """Return by how many pixels the page is wider than the window."""
    return tab.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


def draw_every_chart(tab) -> None:
    """Draw all charts, also those of models that are not shown at first."""
    tab.evaluate("quorum.drawAll()")
    for button in tab.locator("#choice-models [role=tab]").all():
        button.click()
        tab.evaluate("quorum.drawAll()")


def test_every_section_is_there_and_every_chart_is_drawn(opened):
    tab = opened()
    draw_every_chart(tab)
    anchors = tab.evaluate("[...document.querySelectorAll('section[id]')].map((s) => s.id)")
    assert anchors == [
        "random", "account", "confidence", "heads", "sources", "walk", "models", "trades",
    ]  # fmt: skip
    plots = tab.locator(".plot")
    assert plots.count() >= 8
    for i in range(plots.count()):
        marks = plots.nth(i).locator("path.js-line, path.point, .point path, .points path")
        assert marks.count() > 0, plots.nth(i).get_attribute("data-figure")


def test_charts_are_drawn_when_they_come_near(opened):
    tab = opened()
    tab.click("#choice-models button:has-text('meta')")
    last = tab.locator(".plot:visible").last
    assert last.get_attribute("data-figure") == "model-2"
    last.scroll_into_view_if_needed()
    tab.wait_for_selector(f".plot[data-figure='{last.get_attribute('data-figure')}'][data-drawn]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(opened, width, scheme):
    tab = opened(width, scheme)
    draw_every_chart(tab)
    assert overflow(tab) <= 0
    tab.locator("#trade-list tbody tr").first.click()
    assert tab.locator("dialog svg").is_visible()
    card = tab.locator("dialog").evaluate("(card) => card.scrollWidth - card.clientWidth")
    assert card <= 0
    assert overflow(tab) <= 0


def test_light_and_dark_follow_the_system_and_the_button(opened):
    tab = opened(scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = tab.evaluate(paper)
    tab.click("#theme")
    light = tab.evaluate(paper)
    assert sum(map(int, dark[4:-1].split(","))) < 120 < 600 < sum(map(int, light[4:-1].split(",")))


def test_groupings_change_with_their_tabs(opened):
    tab = opened()
    tab.click("#choice-groups button:has-text('weekday')")
    assert tab.locator("#choice-groups table:visible th:has-text('Monday')").count() == 1
    assert tab.locator("#choice-groups [role=tabpanel]:visible").count() == 1


def test_trades_are_sorted_filtered_and_turned_over(opened):
    tab = opened()
    rows = tab.locator("#trade-list tbody tr")
    assert rows.count() == 40
    tab.click("#trade-list th[data-sort=profit]")
    profits = [
        float(t.replace(MINUS, "-"))
        for t in tab.locator("#trade-list td:last-child").all_inner_texts()
    ]
    assert profits == sorted(profits, reverse=True)
    tab.select_option("select[data-filter=result]", "lost")
    losses = [
        float(t.replace(MINUS, "-"))
        for t in tab.locator("#trade-list td:last-child").all_inner_texts()
    ]
    assert max(losses) <= 0
    tab.click("#pager button[data-page='1']")
    assert "2 of" in tab.locator("#pager").inner_text()


def test_a_card_shows_candles_levels_votes_and_what_happened(opened):
    run = made_run(120)
    tab = opened()
    tab.click("#trade-list tbody tr[data-trade='3']")
    card = tab.locator("dialog")
    text = card.inner_text()
    trade = run.trades[2]
    assert trade.pair.split(":")[0] in text
    assert f"{trade.signal.stop_loss:,.4f}"[:6] in text
    for word in ("entry", "stop", "votes", "technical", "ladder 1", "trailing stop loss", "70 %"):
        assert word in text
    candles = card.locator("svg path").nth(0).get_attribute("d").count("M") // 2
    assert candles > 10
    tab.keyboard.press("ArrowRight")
    assert card.locator("h3").inner_text().startswith("4.")
    tab.keyboard.press("Escape")
    assert not card.is_visible()


def test_a_link_to_a_trade_opens_its_card(opened, page_file):
    tab = opened()
    tab.goto(page_file.as_uri() + "#trade-7")
    tab.reload()
    tab.wait_for_selector("dialog[open]")
    assert tab.locator("dialog h3").inner_text().startswith("7.")


@pytest.mark.parametrize("count", [0, 1])
def test_a_run_of_hardly_any_trades_opens_without_errors(opened, tmp_path, count):
    run = made_run(max(count, 1))
    run = run if count else type(run)(**{**vars(run), "trades": (), "refused": {}})
    write_page(tmp_path / "few.html", render(lay_out(run, None, SETTINGS), SETTINGS))
    tab = opened(path=tmp_path / "few.html")
    tab.evaluate("quorum.drawAll()")
    assert overflow(tab) <= 0


def test_five_thousand_trades_are_light_enough_and_ready_in_time(opened, tmp_path):
    path = tmp_path / "many.html"
    run = made_run(5000, candles=20_000, pairs=5)
    write_page(path, render(lay_out(run, None, SETTINGS), SETTINGS))
    assert path.stat().st_size <= MEGABYTES * 1e6
    started = time.perf_counter()
    tab = opened(path=path)
    ready = time.perf_counter() - started
    busy = tab.evaluate("performance.now()") / 1000
    assert min(ready, busy) <= SECONDS
    assert tab.locator("#trade-count").inner_text().startswith("5,000 trades")
    tab.evaluate("quorum.drawAll()")
    tab.click("#trade-list tbody tr")
    assert tab.locator("dialog svg path").count() > 4
