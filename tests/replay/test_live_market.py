from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorum.candles import candles_from_frame, clean, timeframe_ms
from quorum.replay.datadir import DataDirectory
from quorum.replay.live.market import LiveMarket, Tape
from quorum.replay.live.path import Bar, price_at, until, waypoints
from quorum.replay.symbols import SymbolSettings
from quorum.replay.synthetic import SyntheticSettings, make_market

HOUR = 3_600_000
SETTINGS = SyntheticSettings(
    start=date(2023, 1, 1),
    end=date(2023, 1, 20),
    bases=("BTC",),
    timeframes=("5m", "1h", "4h", "1d"),
)

prices = st.floats(1.0, 1000.0)


@pytest.fixture(scope="module")
def datadir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live") / "market"
    make_market(SETTINGS, folder)
    return folder


@pytest.fixture(scope="module")
def listing(datadir: Path):
    return LiveMarket(DataDirectory(datadir), SymbolSettings()).listings("futures")["BTCUSDT"]


def ms(text: str) -> int:
    return int(pd.Timestamp(text, tz="UTC").timestamp() * 1000)


@given(st.lists(prices, min_size=4, max_size=4), st.integers(0, HOUR))
def test_the_path_stays_inside_the_candle_and_ends_at_its_close(four: list[float], at: int):
    low, *body, high = sorted(four)
    bar = Bar(0, HOUR, body[0], high, low, body[1], 10.0)
    assert low <= price_at(bar, at) <= high
    assert price_at(bar, 0) == body[0]
    assert price_at(bar, HOUR) == body[1]
    assert {low, high} <= {corner.price for corner in waypoints(bar)}


@given(st.lists(prices, min_size=4, max_size=4), st.integers(0, HOUR), st.integers(0, HOUR))
def test_what_was_seen_of_a_candle_only_grows(four: list[float], first: int, second: int):
    low, *body, high = sorted(four)
    bar = Bar(0, HOUR, body[1], high, low, body[0], 10.0)
    early, late = (until(bar, at) for at in sorted((first, second)))
    assert late.low <= early.low <= early.close <= early.high <= late.high
    assert early.volume <= late.volume
    assert until(bar, HOUR) == bar


@pytest.mark.parametrize("timeframe", ["5m", "1h", "4h", "1d", "1w", "2h"])
@pytest.mark.parametrize("now", ["2023-01-10 00:00", "2023-01-10 07:03:20", "2023-01-11 23:59:59"])
def test_only_candles_that_have_opened_are_there(listing, timeframe: str, now: str):
    candles = listing.trades.seen(timeframe, ms(now))
    assert candles.time[-1] <= ms(now) < candles.time[-1] + timeframe_ms(timeframe)


@pytest.mark.parametrize("timeframe", ["1h", "4h", "1d"])
def test_candles_that_have_closed_are_those_on_record(listing, datadir, timeframe: str):
    now = ms("2023-01-10 07:03:20")
    series = DataDirectory(datadir).find("BTC/USDT:USDT", timeframe, "futures")
    recorded = candles_from_frame(clean(series.read(), timeframe), timeframe)
    seen = listing.trades.seen(timeframe, now)
    for name in ("time", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(
            getattr(seen, name)[:-1], getattr(recorded, name)[: len(seen) - 1]
        )


def test_the_candle_in_progress_is_made_of_the_finer_ones(listing):
    now = ms("2023-01-10 07:33:20")
    fine = listing.trades.seen("5m", now)
    inside = fine.tail(int(np.searchsorted(fine.time, ms("2023-01-10 07:00"))))
    hour = listing.trades.seen("1h", now)
    assert hour.open[-1] == inside.open[0]
    assert hour.high[-1] == inside.high.max()
    assert hour.low[-1] == inside.low.min()
    assert hour.close[-1] == inside.close[-1] == listing.price(now)
    assert hour.volume[-1] == pytest.approx(inside.volume.sum())


def test_every_timeframe_and_the_ticker_end_at_the_same_price(listing):
    for minute in range(0, 3000, 17):
        now = ms("2023-01-10") + minute * 60_000
        price = listing.price(now)
        ends = [listing.trades.seen(tf, now).close[-1] for tf in ("5m", "1h", "4h", "1d", "1w")]
        assert ends == [price] * 5
        assert listing.ticker(now).last == price


def test_the_future_does_not_change_what_was_seen(listing, datadir: Path, tmp_path: Path):
    now = ms("2023-01-12 10:20")
    (tmp_path / "futures").mkdir()
    for series in DataDirectory(datadir).series:
        frame = series.read()
        length = pd.Timedelta(milliseconds=timeframe_ms(series.timeframe))
        # The candle in progress is kept: what it will be is on record, what is seen of it is not.
        keep = frame["date"] <= pd.Timestamp(now, unit="ms", tz="UTC") + 0 * length
        frame[keep].to_feather(tmp_path / series.path.relative_to(datadir))
    cut = LiveMarket(DataDirectory(tmp_path), SymbolSettings()).listings("futures")["BTCUSDT"]
    for timeframe in ("1h", "4h", "1d"):
        a, b = listing.trades.seen(timeframe, now), cut.trades.seen(timeframe, now)
        assert (a.time.tolist(), a.close.tolist()) == (b.time.tolist(), b.close.tolist())


def test_in_a_gap_the_last_price_stands(tmp_path: Path):
    dates = pd.to_datetime(["2023-01-01 00:00", "2023-01-01 05:00"], utc=True)
    frame = pd.DataFrame({"date": dates, "open": [1.0, 3.0], "high": [2.5, 4.0]})
    frame = frame.assign(low=[0.5, 2.5], close=[2.0, 3.5], volume=1.0)
    frame.to_feather(tmp_path / "X_USDT-1h.feather")
    tape = Tape(DataDirectory(tmp_path), "X/USDT", "spot", 0)
    assert tape.price(ms("2023-01-01 03:00")) == 2.0
    corners = list(tape.corners(ms("2023-01-01 00:59"), ms("2023-01-01 05:00")))
    assert [corner.price for corner in corners] == [2.0, 3.0]


def test_a_shift_by_weeks_moves_candles_and_keeps_weekdays(datadir: Path):
    week = 7 * 24 * HOUR
    directory = DataDirectory(datadir)
    now = ms("2023-01-10 07:03:20")
    plain = LiveMarket(directory, SymbolSettings()).listings("futures")["BTCUSDT"]
    moved = LiveMarket(directory, SymbolSettings(), 50 * week).listings("futures")["BTCUSDT"]
    for timeframe in ("1h", "1d", "1w"):
        a = plain.trades.seen(timeframe, now)
        b = moved.trades.seen(timeframe, now + 50 * week)
        np.testing.assert_array_equal(a.time + 50 * week, b.time)
        np.testing.assert_array_equal(a.close, b.close)
    np.testing.assert_array_equal(plain.funding[0] + 50 * week, moved.funding[0])
