"""The dashboard: its first page, an event on its way to the screen, and fifty open pages.

A bot of ten pairs is made up on disk: two years of trades, sixty days of journal. ``quorum serve``
is a process of its own, as it is in use; what is timed is what a browser would wait for.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from data import BenchData, open_market
from figures import Figure
from freqtrade.persistence import Order, Trade, init_db
from processes import ROOT, BenchmarkError
from sqlalchemy import insert, select

from quorum.bot.candle_journal import CandleJournal
from quorum.candles import timeframe_ms
from quorum.entry import Account, draw_up
from quorum.journal.settings import JournalSettings
from quorum.journal.writing import journal_row
from quorum.pipeline import evaluate
from quorum.settings import Settings
from quorum.signals import SignalTable, signal_table
from quorum.state import Store
from quorum.state.kinds.journal import JOURNAL

BASES = ("BTC", "ETH", "SOL", "BNB", "XRP", "ADA", "LINK", "DOT", "TRX", "ATOM")
PAIRS = tuple(f"{base}/USDT:USDT" for base in BASES)
#: Trades of two years: two a day over all pairs.
TRADES, JOURNAL_DAYS = 1460, 60
TOKEN, BOT = "benchmark-token-0123456789", "benchmark"
PAGES, EVENTS = 50, 20
HISTORY = 1500
FIRST_PAGE, ON_SCREEN = 1.0, 200.0


def figures(
    data: BenchData, runs: int, tell: Callable[[str], None]
) -> tuple[list[Figure], list[Figure]]:
    """Measure the dashboard of a made-up bot."""
    tell("dashboard")
    market, settings = open_market(data, HISTORY)
    table = signal_table(evaluate(market, settings), settings)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        lines = _journal(folder, market, table, settings)
        _trades(folder, market, table, settings)
        with _served(folder) as url:
            reading = {"Authorization": f"Bearer {TOKEN}"}
            with httpx.Client(base_url=url, headers=reading, timeout=60) as client:
                pages = {p: _timed(client, p, runs) for p in ("/", "/trades", "/portfolio")}
                alone = [_analysis(market, settings) for _ in range(runs)]
                seen, crowded = _crowd(url, reading, lines, market, settings)
    late = 1000 * sorted(seen)[int(0.95 * len(seen))]
    beside = f"{len(PAIRS)} pairs, {TRADES:,} trades, {JOURNAL_DAYS} days of journal"
    table_rows = [
        Figure("dashboard: first page", pages["/"], "s", FIRST_PAGE, beside),
        Figure(
            f"dashboard: an event at {PAGES} pages", 1000 * median(seen), "ms", ON_SCREEN,
            f"from the commit to the slowest; 95 %: {late:.0f} ms",
        ),
        Figure(
            f"analysis of a pair, {PAGES} pages open", 1000 * median(crowded), "ms", None,
            f"none open: {1000 * median(alone):.0f} ms",
        ),
    ]  # fmt: skip
    details = [Figure(f"dashboard: {path}", took, "s") for path, took in pages.items()]
    return table_rows, details


def _analysis(market: Any, settings: Settings) -> float:
    """Return how long one pair of a bot takes."""
    began = time.perf_counter()
    evaluate(market, settings)
    return time.perf_counter() - began


def _timed(client: httpx.Client, path: str, runs: int) -> float:
    found = []
    for _ in range(runs):
        began = time.perf_counter()
        client.get(path).raise_for_status()
        found.append(time.perf_counter() - began)
    return median(found)


class Lines:
    """Writes candles of the bot as a bot does."""

    def __init__(self, store: Store, run: dict[str, Any], candle: dict[str, Any]) -> None:
        self.store = store
        self.run = run
        self.candle = candle
        self.opened = int(candle["time"])

    def row(self, pair: str, opened: int, line: dict[str, Any]) -> dict[str, Any]:
        """Return the line of another candle as a row of the journal."""
        day = f"{datetime.fromtimestamp(opened / 1000, UTC):%Y-%m-%d}"
        return journal_row(
            BOT, day, {**line, "pair": pair, "time": opened, "at": opened + 3_605_000}
        )

    def write(self, pair: str) -> float:
        """Write the next candle of a pair; return when it was on disk."""
        self.opened += timeframe_ms("1h")
        with self.store.write() as connection:
            connection.execute(insert(JOURNAL), [self.row(pair, self.opened, self.candle)])
        return time.perf_counter()


def _journal(folder: Path, market: Any, table: SignalTable, settings: Settings) -> Lines:
    """Write sixty days of ten pairs: one real candle, told again under other times and names."""
    store = Store(f"sqlite:///{folder / 'trades.quorum.sqlite'}")
    journal = CandleJournal(store, JournalSettings(), bot=BOT, startup=1400)
    journal.saw(market)
    journal.candle(market.pair, table, settings, settings.head_weights(), settings.consensus)
    journal.close()
    with store.read() as connection:
        bodies = connection.execute(select(JOURNAL.c.kind, JOURNAL.c.body)).all()
    kept = {kind: json.loads(body) for kind, body in bodies}
    lines = Lines(store, kept["run"], kept["candle"])
    hours = 24 * JOURNAL_DAYS
    with store.write() as connection:
        for hour in range(hours):
            opened = lines.opened + hour * timeframe_ms("1h")
            rows = [lines.row(pair, opened, lines.candle) for pair in PAIRS]
            connection.execute(insert(JOURNAL), rows)
    lines.opened += hours * timeframe_ms("1h")
    return lines


def _trades(folder: Path, market: Any, table: SignalTable, settings: Settings) -> None:
    """Write two years of trades with their signals."""
    rows = [int(row) for row in table.entry.nonzero()[0]]
    if not rows:
        raise BenchmarkError("dashboard: these candles give no signal to store with a trade")
    signal = draw_up(
        table, rows[0], market.pair, float(market.candles.close[rows[0]]), Account(1e5), settings
    ).model_dump(mode="json")
    init_db(f"sqlite:///{folder / 'trades.sqlite'}")
    end = datetime.fromtimestamp(int(market.close_time[-1]) / 1000, UTC)
    for n in range(TRADES):
        opened = end - timedelta(hours=12 * (TRADES - n))
        trade = Trade(
            pair=PAIRS[n % len(PAIRS)], stake_amount=1000.0, amount=10.0, amount_requested=10.0,
            open_rate=100.0, open_date=opened, fee_open=5e-4, fee_close=5e-4, exchange="binance",
            is_open=True, is_short=False, leverage=1.0, min_rate=98.0, max_rate=107.0,
            stop_loss=97.0, initial_stop_loss=97.0, strategy="Quorum", timeframe=60,
            stake_currency="USDT",
        )  # fmt: skip
        price = 101.0 if n % 3 else 98.0
        for side, rate, at in (
            ("buy", 100.0, opened),
            ("sell", price, opened + timedelta(hours=9)),
        ):
            trade.orders.append(
                Order(
                    order_id=f"dry_run_{side}_{n}", ft_pair=trade.pair, symbol=trade.pair,
                    ft_order_side=side, side=side, ft_is_open=False, ft_amount=10.0, ft_price=rate,
                    price=rate, average=rate, amount=10.0, filled=10.0, remaining=0.0,
                    status="closed", order_date=at, order_filled_date=at, ft_order_tag="roi",
                )
            )  # fmt: skip
        Trade.session.add(trade)
        trade.close_date = opened + timedelta(hours=9)
        trade.close(price, show_msg=False)
    Trade.commit()
    # The host writes these through a connection of their own.
    for trade in Trade.get_trades([]).all():
        trade.set_custom_data("quorum_signal", signal)
    init_db("sqlite://")


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Serve the bot in a process of its own."""
    config = {
        "exchange": {"name": "binance", "pair_whitelist": list(PAIRS)}, "dry_run": True,
        "dry_run_wallet": 100_000, "db_url": f"sqlite:///{folder / 'trades.sqlite'}",
        "bot_name": BOT, "timeframe": "1h", "trading_mode": "futures", "user_data_dir": str(folder),
    }  # fmt: skip
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    (folder / "token").write_text(TOKEN, encoding="utf-8")
    (folder / "token").chmod(0o600)
    call = [
        sys.executable, "-m", "quorum", "serve", "-c", str(path), "--port", "0", "--token-file",
        str(folder / "token"), "--user-data", str(folder),
    ]  # fmt: skip
    with subprocess.Popen(call, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = next((x for x in process.stdout if "http://" in x), "")
            if not line:
                raise BenchmarkError("quorum serve did not start")
            yield line.split()[0]
        finally:
            process.terminate()


def _crowd(
    url: str, headers: dict[str, str], lines: Lines, market: Any, settings: Settings
) -> tuple[list[float], list[float]]:
    """Open pages that ask for their content at every event; return delays, and analyses beside.

    The delay is from the commit of a candle until the slowest page has its new content.
    """
    arrived: list[float] = []
    ready, ended = threading.Semaphore(0), threading.Event()
    lock = threading.Lock()

    def one() -> None:
        with (
            httpx.Client(base_url=url, headers=headers, timeout=None) as client,
            client.stream("GET", "/api/v1/events") as stream,
        ):
            ready.release()
            for line in stream.iter_lines():
                if ended.is_set():
                    return
                if line.startswith("data:"):
                    with lock:
                        arrived.append(time.perf_counter())

    def reload() -> None:
        with httpx.Client(base_url=url, headers={**headers, "X-Quorum-Part": "1"}) as client:
            while not ended.wait(1.0):
                client.get("/", timeout=60)

    threads = [threading.Thread(target=one, daemon=True) for _ in range(PAGES)]
    threads += [threading.Thread(target=reload, daemon=True) for _ in range(5)]
    for thread in threads:
        thread.start()
    for _ in range(PAGES):
        ready.acquire()
    time.sleep(1.0)
    delays, analyses = [], []
    for n in range(EVENTS):
        arrived.clear()
        written = lines.write(PAIRS[n % len(PAIRS)])
        deadline = time.monotonic() + 30
        while len(arrived) < PAGES:
            if time.monotonic() > deadline:
                raise BenchmarkError(f"dashboard: {len(arrived)} of {PAGES} pages heard of it")
            time.sleep(0.002)
        delays.append(max(arrived) - written)
        analyses.append(_analysis(market, settings))
    ended.set()
    lines.write(PAIRS[0])
    return delays, analyses
