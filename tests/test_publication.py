"""No loader lets a series be seen before it is published, and the certificate would tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from backtests import ROOT

from quorum import market as market_module
from quorum.bot import source as source_module
from quorum.bot.host import load_config, load_market
from quorum.bot.rebuild import garbled, rebuilding
from quorum.bot.source import Series
from quorum.market import Published
from quorum.records import RecordLoader
from quorum.replay.link import records_files
from quorum.replay.synthetic import SyntheticSettings, make_market
from quorum.settings import Settings, load_settings
from quorum.verify import Certificate, certify

HOUR = 3_600_000
#: Candles after the ones examined: the week is completed in them.
GOES_ON = 8 * 24 - 1
PAIR = "SOL/USDT:USDT"
Given = tuple[dict[str, Any], Settings]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    """Return the configuration and settings of a synthetic market with records."""
    return prepared(tmp_path_factory)


def prepared(
    tmp_path_factory: pytest.TempPathFactory, *, more: tuple[str, ...] = (), spot: bool = True
) -> Given:
    """Write a market with more series of the pair, and news every hour."""
    folder: Path = tmp_path_factory.mktemp("publication") / "market"
    make_market(
        SyntheticSettings(
            bases=("BTC", "ETH", "SOL"), start=date(2023, 1, 1), end=date(2023, 4, 1)
        ),
        folder,
    )
    for kind in more:
        add_series(folder / "futures", kind)
    hours = pd.date_range("2023-01-01", "2023-04-01", freq="1h", tz="UTC")
    scores = np.random.default_rng(2).uniform(-1.0, 1.0, len(hours))
    news = pd.DataFrame({"known_at": hours, "source": "news", "score": scores, "weight": 1.0})
    news.to_feather(records_files(folder)["sentiment"])
    on = {"enabled": True}
    settings = load_settings(
        {
            "market": {"records": records_files(folder), "spot": spot},
            "playbooks": {"trend": on, "washout": on},
        }
    )
    return load_config([ROOT / "config.json"], datadir=folder), settings


def add_series(futures: Path, kind: str) -> None:
    """Write a premium or an index price of the pair."""
    frame = pd.read_feather(futures / "SOL_USDT_USDT-1h-mark.feather")
    noise = np.random.default_rng(1).normal(0.0, 5e-4, len(frame))
    values = noise if kind == "premiumIndex" else frame["close"].to_numpy() * (1 + noise)
    frame[["open", "high", "low", "close"]] = np.column_stack([values] * 4)
    frame.to_feather(futures / f"SOL_USDT_USDT-1h-{kind}.feather")


def examined(given: Given, stretch: int = 4) -> Certificate:
    """Return the certificate of the candles until a day ends, with raw series that go on."""
    config, settings = given
    with rebuilding(config, settings, PAIR) as rebuild:
        market = load_market(config, settings, PAIR)
        market = market.head(len(market) - GOES_ON)
        return certify(market, settings, rebuild=rebuild, stretch=stretch, warmup=600)


def test_a_market_rebuilt_from_raw_series_is_clean(given):
    certificate = examined(given, 30)
    assert certificate.moments == 25  # Both ends, and a settlement between them.
    assert certificate.early == certificate.rewritten == 0
    assert certificate.clean


def shifted(published: Published, by: int) -> Published:
    return Published(published.known_at - by, published.value)


def early_published(name: str, delay: int) -> Callable[[pytest.MonkeyPatch], None]:
    """Let one of the pair's series be known when its period begins."""
    known = market_module._published

    def drop(monkeypatch: pytest.MonkeyPatch) -> None:
        def early(frames, timeframe):
            out = known(frames, timeframe)
            return {**out, name: shifted(out[name], delay)}

        monkeypatch.setattr(market_module, "_published", early)

    return drop


def early_higher(timeframe: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Let a candle of a higher timeframe be seen from its opening on."""
    known = market_module._higher

    def drop(monkeypatch: pytest.MonkeyPatch) -> None:
        def early(frames, base):
            out = known(frames, base)
            candles = out[timeframe].candles
            row = np.searchsorted(candles.time, base.close_time, side="right") - 1
            return {**out, timeframe: replace(out[timeframe], row=row.astype(np.int64))}

        monkeypatch.setattr(market_module, "_higher", early)

    return drop


def early_candles(timeframe: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Let the candles that pairs share be stamped one period early."""
    known = source_module.cleaned_candles

    def drop(monkeypatch: pytest.MonkeyPatch) -> None:
        def early(frame, of, *, name="candles"):
            out = known(frame, of, name=name)
            return replace(out, time=out.time - out.step) if of == timeframe else out

        monkeypatch.setattr(source_module, "cleaned_candles", early)

    return drop


def early_records(kind: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Let the records of a kind be known an hour early."""
    known = RecordLoader.records

    def drop(monkeypatch: pytest.MonkeyPatch) -> None:
        def early(self, of, pair):
            out = known(self, of, pair)
            return replace(out, known_at=out.known_at - HOUR) if of.name == kind else out

        monkeypatch.setattr(RecordLoader, "records", early)

    return drop


@pytest.mark.parametrize(
    "drop",
    [
        pytest.param(early_published("spot_close", HOUR), id="spot"),
        pytest.param(early_published("open_interest", HOUR), id="open interest"),
        pytest.param(early_published("funding_rate", 60_000), id="funding"),
        pytest.param(early_higher("4h"), id="4h"),
        pytest.param(early_higher("1d"), id="1d"),
        pytest.param(early_higher("1w"), id="1w"),
        pytest.param(early_candles("1h"), id="context"),
        pytest.param(early_candles("1d"), id="universe"),
        pytest.param(early_records("sentiment"), id="sentiment records"),
        pytest.param(early_records("derivatives"), id="derivatives records"),
    ],
)
def test_a_delay_that_is_dropped_is_caught(given, monkeypatch, drop):
    drop(monkeypatch)
    certificate = examined(given)
    assert certificate.early > 0
    assert not certificate.clean


@pytest.mark.parametrize(
    ("name", "more", "spot"),
    [
        ("premium_index", ("premiumIndex",), True),
        ("mark", ("index",), False),
        ("index", ("index",), False),
    ],
)
def test_a_premium_that_is_early_is_caught(tmp_path_factory, monkeypatch, name, more, spot):
    """Mark and index are read where neither a premium nor a spot price is."""
    given = prepared(tmp_path_factory, more=more, spot=spot)
    early_published(name, HOUR)(monkeypatch)
    assert examined(given).early > 0


def test_only_rows_that_are_not_public_are_changed():
    dates = pd.date_range("2023-01-01", periods=6, freq="1h", tz="UTC")
    frame = pd.DataFrame({"date": dates, "open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5})
    moment = int(dates[3].timestamp() * 1000)
    out = garbled(Series(PAIR, "1h", "futures"), frame, moment)
    assert out.iloc[:3].equals(frame.iloc[:3])
    assert (out.iloc[3:]["close"] != 1.5).all()
    assert (out["high"] >= out["low"]).all()
    funding = pd.DataFrame({"date": dates, "funding_rate": 1e-4})
    of_funding = garbled(Series(PAIR, "1h", "funding_rate"), funding, moment)
    assert list(of_funding["funding_rate"] != 1e-4) == [False] * 3 + [True] * 3
    assert garbled(Series(PAIR, "1h", "futures"), frame, 2 * moment) is frame
