"""``quorum record`` on the local exchange's streams: everything kept once, every fault told."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from quorum.recorder import feed, session
from quorum.recorder.channels import BOOKS, GAPS, INTEREST, LIQUIDATIONS, MARKS, TRADES
from quorum.recorder.parquet import ParquetSink
from quorum.recorder.session import open_exchange, record
from quorum.recorder.settings import RecorderSettings
from quorum.replay.live.flow import TRADE_MS, liquidation_at, trade_at
from quorum.replay.live.service import LiveExchange
from quorum.replay.synthetic import SyntheticSettings, make_market

PAIR, PEER = "BTC/USDT:USDT", "ETH/USDT:USDT"
#: Seconds of the exchange per second.
SPEED = 120.0
START = 1_673_308_800_000  # 2023-01-10
ALWAYS = (0, 4_102_444_800_000)
SETTINGS = RecorderSettings(book_seconds=0.1, poll_seconds=1.0)
MARKET = SyntheticSettings(
    start=date(2023, 1, 1), end=date(2023, 1, 20), bases=("BTC", "ETH"), timeframes=("5m", "1h")
)


@pytest.fixture(scope="module")
def datadir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recorder") / "market"
    make_market(MARKET, folder)
    return folder


class Recorded:
    """A live exchange with streams, and a folder that is recorded to."""

    def __init__(self, live: LiveExchange, folder: Path) -> None:
        self.live, self.folder = live, folder

    def config(self) -> dict[str, Any]:
        return self.live.config_overlay("futures", [PAIR, PEER])

    def record(self, enough: Callable[[ParquetSink], bool], pairs=(PAIR,), seconds=25.0) -> None:
        """Record until there is enough."""

        async def run() -> None:
            stop = asyncio.Event()
            sink = ParquetSink(self.folder)
            exchange = open_exchange(self.config(), futures=True)
            recording = asyncio.create_task(record(exchange, pairs, [sink], SETTINGS, stop))
            ends = time.monotonic() + seconds
            while time.monotonic() < ends and not recording.done() and not enough(sink):
                await asyncio.sleep(0.2)
            stop.set()
            await recording

        asyncio.run(run())

    def rows(self, channel, pair: str = PAIR) -> list[dict[str, Any]]:
        return ParquetSink(self.folder).read(channel, pair, *ALWAYS).to_pylist()

    def numbers(self) -> list[int]:
        return sorted(int(row["id"]) for row in self.rows(TRADES))


@pytest.fixture
def recorded(datadir, tmp_path, monkeypatch) -> Iterator[Recorded]:
    with LiveExchange(datadir, START, SPEED) as live:
        # The recorder's clock is the exchange's, as in a bot that is started by the exchange.
        for module in (feed, session):
            monkeypatch.setattr(module, "_now", live.exchange.clock.now)
        monkeypatch.setattr(feed, "RETRY", 0.1)
        yield Recorded(live, tmp_path / "flow")


def trades(count: int) -> Callable[[ParquetSink], bool]:
    return lambda sink: len(sink.read(TRADES, PAIR, *ALWAYS)) >= count


@contextmanager
def fault(recorded: Recorded, kind: str, **more: Any) -> Iterator[None]:
    number = recorded.live.exchange.faults.add({"kind": kind, **more})
    yield
    recorded.live.exchange.faults.clear(number)


def test_every_channel_is_recorded_with_both_times(recorded):
    def enough(sink: ParquetSink) -> bool:
        channels = (TRADES, BOOKS, MARKS, INTEREST)
        return all(len(sink.read(c, p, *ALWAYS)) > 3 for c in channels[:3] for p in (PAIR, PEER))

    recorded.record(enough, (PAIR, PEER))
    listing = recorded.live.exchange.market.listings("futures")["BTCUSDT"]
    found = recorded.rows(TRADES)
    for row in found:
        truth = trade_at(listing, int(row["id"]))
        assert (row["exchange_at"], row["price"]) == (truth.time, truth.price)
        assert row["amount"] == pytest.approx(truth.amount)
        assert row["taker_buys"] is not truth.taker_sells
        assert row["received_at"] >= row["exchange_at"]
        assert row["backfilled"] is False
    assert recorded.numbers() == list(range(int(found[0]["id"]), int(found[-1]["id"]) + 1))
    for book in recorded.rows(BOOKS):
        assert len(book["bid_price"]) == len(book["ask_size"]) == 20
        assert book["bid_price"] == sorted(book["bid_price"], reverse=True)
        assert book["ask_price"] == sorted(book["ask_price"])
        assert book["bid_price"][0] <= book["ask_price"][0]
    marks = recorded.rows(MARKS, PEER)
    assert all(row["mark"] > 0 and row["index"] > 0 for row in marks)
    assert recorded.rows(INTEREST)
    assert recorded.rows(GAPS) == []


def test_liquidations_are_recorded_with_the_side_that_was_liquidated(recorded):
    listing = recorded.live.exchange.market.listings("futures")["BTCUSDT"]
    numbers = range(START // TRADE_MS, START // TRADE_MS + 86_400)
    first = next(n for n in numbers if liquidation_at(listing, n) is not None)
    clock = recorded.live.shared_clock
    assert clock is not None
    clock.advance_to((first - 12) * TRADE_MS)
    recorded.record(lambda sink: len(sink.read(LIQUIDATIONS, PAIR, *ALWAYS)) > 0)
    rows = recorded.rows(LIQUIDATIONS)
    assert rows
    for row in rows:
        order = liquidation_at(listing, row["exchange_at"] // TRADE_MS)
        assert order is not None
        assert row["of_longs"] is (order["S"] == "SELL")
        assert (str(row["price"]), row["amount"]) == (order["p"], float(order["q"]))


def test_lost_trades_are_told_as_a_gap_and_asked_for(recorded):
    with fault(recorded, "stream_lost", path="@aggTrade", rate=0.3):
        recorded.record(trades(60))
    numbers = recorded.numbers()
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), "nothing is missing"
    late = [row for row in recorded.rows(TRADES) if row["backfilled"]]
    gaps = [row for row in recorded.rows(GAPS) if row["channel"] == "trades"]
    assert sum(gap["lost"] for gap in gaps) >= len(late) > 0
    assert {gap["reason"] for gap in gaps} == {"sequence"}
    for row in late:
        (gap,) = [g for g in gaps if g["exchange_at"] < row["exchange_at"] < g["ended_at"]]
        assert row["received_at"] >= gap["ended_at"], "known from when it was asked for"


def test_trades_that_come_twice_or_late_are_kept_once(recorded):
    with (
        fault(recorded, "stream_twice", path="@aggTrade", rate=0.5),
        fault(recorded, "stream_swapped", path="@aggTrade", rate=0.2),
    ):
        recorded.record(trades(60))
    served = recorded.live.exchange.faults.served
    assert served["stream_twice"] > 5
    assert served["stream_swapped"] > 2
    numbers = recorded.numbers()
    assert numbers == list(range(numbers[0], numbers[-1] + 1))


def test_a_connection_that_is_closed_is_opened_again_and_the_gap_is_told(recorded):
    with fault(recorded, "stream_closed", count=6, rate=0.02):
        recorded.record(trades(150))
    assert recorded.live.exchange.faults.served["stream_closed"] > 0
    numbers = recorded.numbers()
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    reasons = {row["reason"] for row in recorded.rows(GAPS)}
    assert reasons, "what was missed while it was closed"
    assert reasons <= {"NetworkError", "RequestTimeout", "sequence", "ExchangeClosedByUser"}


def test_a_book_with_a_hole_in_its_updates_is_fetched_anew_and_told(recorded):
    def enough(sink: ParquetSink) -> bool:
        broken = recorded.live.exchange.faults.served["stream_lost"] >= 2
        return broken and len(sink.read(BOOKS, PAIR, *ALWAYS)) > 12

    with fault(recorded, "stream_lost", path="@depth", count=2, rate=0.05):
        recorded.record(enough)
    gaps = [row for row in recorded.rows(GAPS) if row["channel"] == "books"]
    assert gaps
    for gap in gaps:
        assert gap["ended_at"] > gap["exchange_at"]
    for book in recorded.rows(BOOKS):
        assert book["bid_price"] == sorted(book["bid_price"], reverse=True)
        assert book["bid_price"][0] <= book["ask_price"][0], "no level of an older book is left"


def test_a_recorder_that_was_away_asks_for_what_it_missed(recorded):
    recorded.record(trades(10))
    away = 3.0
    time.sleep(away)
    last = recorded.numbers()[-1]
    recorded.record(lambda sink: recorded.numbers()[-1] > last + 40)
    numbers = recorded.numbers()
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    gaps = [row for row in recorded.rows(GAPS) if row["reason"] == "not running"]
    assert [gap["lost"] >= away * SPEED * 1000 / TRADE_MS for gap in gaps] == [True]


def test_the_command_records_until_it_is_told_to_stop_and_survives_being_killed(recorded, tmp_path):
    config = tmp_path / "config.json"
    content = recorded.config() | {"user_data_dir": str(tmp_path)}
    config.write_text(json.dumps(content))

    def start() -> subprocess.Popen[str]:
        call = [sys.executable, "-m", "quorum", "record", "-c", str(config), "--folder", "flow"]
        return subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def until(count: int) -> None:
        ends = time.monotonic() + 40
        while time.monotonic() < ends and len(recorded.rows(TRADES)) < count:
            time.sleep(0.3)

    process = start()
    until(20)
    process.kill()
    process.wait()
    killed = recorded.numbers()
    assert len(killed) >= 20
    process = start()
    until(len(killed) + 20)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    assert "rows written" in output
    numbers = recorded.numbers()
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
