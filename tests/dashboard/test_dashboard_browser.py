"""The dashboard in a real browser: every page, on a phone and on a desk, light and dark."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsers import chromium, needs_chromium
from journaled_bots import BOT, PAIR, PEER, STARTUP, JournaledBot, frames
from served import TOKEN, backtest_source, server

from quorum.dashboard.source import BotSource, Places
from quorum.guards import SqlStore
from quorum.settings import Settings
from quorum.state import Store

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs the dev extra: pip install playwright"
)
pytestmark = needs_chromium
PAGES = (
    "/", "/trades", "/trades/3", "/pairs/BTC/USDT:USDT", "/portfolio", "/guards", "/performance",
    "/models", "/health",
)  # fmt: skip
WIDTHS = (360, 1400)
#: Contrast that text of usual size needs (WCAG 2.1, AA).
CONTRAST = 4.5
CONTRASTS = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser():
    with chromium(playwright) as found:
        yield found


@pytest.fixture(scope="module")
def finished():
    """A server of a finished run, one pair of which is named like a script."""
    with server(backtest_source(60, hostile=True)) as url:
        yield url


@pytest.fixture
def opened(browser):
    """Open a page as one who has given the token; what goes wrong in it fails the test."""
    wrong: list[str] = []
    contexts = []

    def open_it(url: str, width: int = 1400, scheme: str = "light"):
        context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
        contexts.append(context)
        tab = context.new_page()
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on(
            "console",
            lambda said: wrong.append(said.text) if said.type in ("error", "warning") else 0,
        )
        tab.on("request", lambda r: 0 if r.url.startswith(url) else wrong.append(r.url))
        tab.goto(f"{url}/login#{TOKEN}")
        tab.wait_for_url(f"{url}/")
        return tab

    yield open_it
    for context in contexts:
        context.close()
    assert wrong == []


def ready(tab, address: str):
    tab.goto(address)
    tab.wait_for_selector("html[data-ready=yes]", state="attached")
    return tab


def overflow(tab) -> int:
    return tab.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_fits_is_drawn_and_can_be_read(opened, finished, width, scheme):
    tab = opened(finished, width, scheme)
    for path in PAGES:
        ready(tab, finished + path)
        tab.evaluate("quorum.drawAll()")
        for box in tab.locator("[data-lines], [data-chart]").all():
            assert box.get_attribute("data-drawn") == "yes", path
            assert box.locator("canvas").count() > 0, path
        assert overflow(tab) <= 0, path
        assert tab.evaluate(CONTRASTS, CONTRAST) == [], path


def test_a_wrong_token_is_told_and_a_right_one_opens_what_was_asked_for(browser, finished):
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(f"{finished}/guards")
    tab.fill("#token", "wrong-but-long-enough")
    tab.press("#token", "Enter")
    tab.wait_for_selector("text=That is not the token")
    tab.goto(f"{finished}/guards")
    tab.fill("#token", TOKEN)
    tab.press("#token", "Enter")
    tab.wait_for_selector("h1:has-text('Guards')")
    assert TOKEN not in tab.url
    context.close()


def test_a_hostile_name_is_text(opened, finished):
    tab = opened(finished)
    tab.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    for path in ("/", "/trades", "/trades/61", "/health", "/performance"):
        ready(tab, finished + path)
    ready(tab, finished)
    assert tab.locator("h3:has-text('<script>alert(1)</script>')").count() == 1


def test_everything_is_reached_with_the_keyboard(opened, finished):
    tab = opened(finished)
    ready(tab, finished)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "to the content"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "content"
    for _ in range(40):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    tab.keyboard.press("Enter")
    assert tab.locator("details[open] .votes").count() == 1


def test_light_and_dark_change_with_the_button_and_are_remembered(opened, finished):
    tab = ready(opened(finished, scheme="dark"), f"{finished}/portfolio")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = tab.evaluate(paper)
    tab.click("#theme")
    light = tab.evaluate(paper)
    assert dark != light
    ready(tab, f"{finished}/trades/3")
    assert tab.evaluate(paper) == light


@pytest.mark.parametrize("width", WIDTHS)
def test_a_new_candle_appears_by_itself(opened, tmp_path, width):
    state = f"sqlite:///{tmp_path / 'state.sqlite'}"
    bot = JournaledBot(state, frames())
    bot.close_candle(STARTUP)
    source = BotSource(
        Places(
            database=f"sqlite:///{tmp_path / 'none.sqlite'}", bot=BOT,
            guards=SqlStore(Store(state, readonly=True), BOT), settings=Settings(),
            timeframe="1h", pairs=(PAIR, PEER), capital=1000.0,
            models=tmp_path / "models", user_data=tmp_path, backtest=lambda: None,
            history=lambda pair: None,
        )
    )  # fmt: skip
    with server(source) as url:
        tab = ready(opened(url, width), url)
        tab.wait_for_selector("#link[data-link=yes]")
        assert tab.locator("article.pair").count() == 1
        tab.locator("article.pair summary").first.click()
        bot.close_candle(STARTUP, PEER)
        tab.wait_for_selector(f"article.pair:has-text('{PEER}')")
        tab.wait_for_selector("#said:has-text('candle closed')")
        assert tab.locator(f"article[aria-label='{PAIR}'] details[open]").count() == 1
        ready(tab, f"{url}/pairs/{PAIR}")
        tab.wait_for_selector("#link[data-link=yes]")
        bot.close_candle(STARTUP + 1)
        tab.wait_for_selector("#earlier tbody tr")
        assert overflow(tab) <= 0
        tab.close()
