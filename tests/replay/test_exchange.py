from __future__ import annotations

import json
import logging
import socket
import threading
from datetime import date
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import ccxt
import pandas as pd
import pytest

from quorum.errors import DataError
from quorum.replay.datadir import TradingMode
from quorum.replay.exchange import ExchangeServer, ExchangeSettings
from quorum.replay.server import HTTPError, LocalServer, Request
from quorum.replay.synthetic import SyntheticSettings, make_market

SETTINGS = SyntheticSettings(start=date(2023, 1, 1), end=date(2023, 3, 1), bases=("BTC", "XRP"))

STRATEGY = """
import talib.abstract as ta
from freqtrade.strategy import IStrategy

class Tiny(IStrategy):
    timeframe = "1h"
    can_short = {can_short}
    startup_candle_count = 50
    minimal_roi = {{"0": 0.04}}
    stoploss = -0.05

    def populate_indicators(self, dataframe, metadata):
        dataframe["fast"] = ta.EMA(dataframe, timeperiod=12)
        dataframe["slow"] = ta.EMA(dataframe, timeperiod=26)
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        over = dataframe["fast"] > dataframe["slow"]
        dataframe.loc[over, "enter_long"] = 1
        if self.can_short:
            dataframe.loc[~over, "enter_short"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        over = dataframe["fast"] > dataframe["slow"]
        dataframe.loc[~over, "exit_long"] = 1
        dataframe.loc[over, "exit_short"] = 1
        return dataframe
"""


@pytest.fixture(scope="module")
def datadir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("market") / "binance"
    make_market(SETTINGS, folder)
    return folder


@pytest.fixture
def only_this_machine(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Refuse and record every connection to anywhere else."""
    elsewhere: list[object] = []
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] != "127.0.0.1":
            elsewhere.append(address)
            raise OSError(f"no connection to {address}")
        connect(self, address)

    def resolve(host: object, *args: Any, **more: Any) -> Any:
        if host not in ("127.0.0.1", "localhost", None):
            elsewhere.append(host)
            raise socket.gaierror(f"no name resolution of {host}")
        return found(host, *args, **more)

    found = socket.getaddrinfo
    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return elsewhere


def get(port: int, path: str, method: str = "GET") -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def backtest(datadir: Path, folder: Path, mode: TradingMode, fee: float = 0.0007) -> Any:
    from freqtrade.configuration import Configuration
    from freqtrade.enums import RunMode
    from freqtrade.optimize.backtesting import Backtesting

    (folder / "strategies").mkdir()
    text = STRATEGY.format(can_short=mode == "futures")
    (folder / "strategies" / "tiny.py").write_text(text)
    settings = ExchangeSettings(
        futures_taker=fee, futures_maker=fee / 2, spot_taker=fee, spot_maker=fee / 2
    )
    pricing = {"price_side": "same", "use_order_book": True, "order_book_top": 1}
    with ExchangeServer(datadir, settings) as exchange:
        overlay = exchange.config_overlay(mode, exchange.pairs(mode))  # type: ignore[arg-type]
        config = {
            "max_open_trades": 2,
            "stake_currency": "USDT",
            "stake_amount": 100,
            "dry_run_wallet": 1000,
            "entry_pricing": pricing,
            "exit_pricing": pricing,
            "pairlists": [{"method": "StaticPairList"}],
            **overlay,
        }
        (folder / "config.json").write_text(json.dumps(config))
        arguments = {
            "config": [str(folder / "config.json")],
            "user_data_dir": str(folder),
            "datadir": str(datadir),
            "strategy": "Tiny",
            "strategy_path": str(folder / "strategies"),
            "timerange": "20230115-20230301",
            "export": "none",
            "backtest_cache": "none",
        }
        backtesting = Backtesting(Configuration(arguments, RunMode.BACKTEST).get_config())
        try:
            backtesting.start()
        finally:
            Backtesting.cleanup()
    return backtesting


def requests(caplog: pytest.LogCaptureFixture) -> set[str]:
    lines = (r.getMessage() for r in caplog.records if r.name == "quorum.replay.server")
    return {line.split('"')[1].split(" HTTP")[0] for line in lines if line.startswith('"')}


@pytest.mark.parametrize(
    ("mode", "suffix", "sides", "endpoint"),
    [
        ("futures", ":USDT", {True, False}, "/fapi/v1/exchangeInfo"),
        ("spot", "", {False}, "/api/v3/exchangeInfo"),
    ],
)
def test_stock_freqtrade_backtests_with_the_overlay_and_nothing_else(
    datadir: Path,
    tmp_path: Path,
    only_this_machine: list[object],
    caplog: pytest.LogCaptureFixture,
    mode: TradingMode,
    suffix: str,
    sides: set[bool],
    endpoint: str,
) -> None:
    caplog.set_level(logging.DEBUG, logger="quorum.replay")
    backtesting = backtest(datadir, tmp_path, mode)
    trades = backtesting.all_bt_content["Tiny"]["results"]
    assert set(trades["pair"]) == {f"BTC/USDT{suffix}", f"XRP/USDT{suffix}"}
    assert set(trades["is_short"]) == sides
    assert (trades["funding_fees"] != 0).any() == (mode == "futures")
    assert backtesting.fee == 0.0007
    assert requests(caplog) == {f"GET {endpoint}"}
    assert only_this_machine == []


@pytest.mark.parametrize(
    ("mode", "pair", "tick", "step"),
    [("futures", "BTC/USDT:USDT", 0.1, 0.001), ("spot", "XRP/USDT", 1e-6, 1.0)],
)
def test_ccxt_reads_the_trading_rules(
    datadir: Path, mode: str, pair: str, tick: float, step: float
) -> None:
    settings = ExchangeSettings(min_notional=7.5)
    with ExchangeServer(datadir, settings) as exchange:
        overlay = exchange.config_overlay(mode)  # type: ignore[arg-type]
        market = ccxt.binance(overlay["exchange"]["ccxt_config"]).load_markets()[pair]
    assert market["precision"]["price"] == tick
    assert market["precision"]["amount"] == step
    assert market["limits"]["cost"]["min"] == 7.5
    assert market["limits"]["amount"]["min"] == step
    assert (market["maker"], market["taker"]) == settings.fees(mode)  # type: ignore[arg-type]
    assert market["active"] is True


def test_no_interface_of_ccxt_is_left_on_the_real_exchange(datadir: Path) -> None:
    with ExchangeServer(datadir) as exchange:
        overlay = exchange.config_overlay("futures")
        for url in ccxt.binance(overlay["exchange"]["ccxt_config"]).urls["api"].values():
            assert url.startswith(exchange.url)


def test_the_overlay_holds_no_keys_and_leaves_the_pairs_alone_unless_told(datadir: Path) -> None:
    with ExchangeServer(datadir) as exchange:
        overlay = exchange.config_overlay("futures")
        named = exchange.config_overlay("futures", ["XRP/USDT:USDT"])
    assert (overlay["exchange"]["key"], overlay["exchange"]["secret"]) == ("", "")
    assert "pair_whitelist" not in overlay["exchange"]
    assert named["exchange"]["pair_whitelist"] == ["XRP/USDT:USDT"]


def test_a_pair_the_market_does_not_have_is_named(datadir: Path) -> None:
    with ExchangeServer(datadir) as exchange, pytest.raises(DataError, match="DOGE/USDT:USDT"):
        exchange.config_overlay("futures", ["BTC/USDT:USDT", "DOGE/USDT:USDT"])


def test_tickers_tell_the_last_day_of_the_candles(datadir: Path) -> None:
    candles = pd.read_feather(datadir / "futures" / "BTC_USDT_USDT-1h-futures.feather").tail(24)
    with ExchangeServer(datadir) as exchange:
        overlay = exchange.config_overlay("futures")
        binance = ccxt.binance(overlay["exchange"]["ccxt_config"])
        ticker = binance.fetch_tickers(["BTC/USDT:USDT", "XRP/USDT:USDT"])["BTC/USDT:USDT"]
        book = binance.fetch_bids_asks()["BTC/USDT:USDT"]
    assert ticker["last"] == candles["close"].iloc[-1]
    assert ticker["open"] == candles["open"].iloc[0]
    assert (ticker["high"], ticker["low"]) == (candles["high"].max(), candles["low"].min())
    assert ticker["baseVolume"] == pytest.approx(candles["volume"].sum())
    assert ticker["quoteVolume"] == pytest.approx((candles["volume"] * candles["close"]).sum())
    assert ticker["timestamp"] == 1677628800000  # 2023-03-01
    assert book["ask"] - book["bid"] == pytest.approx(0.1)


@pytest.mark.parametrize("query", ["symbol=NOPE", 'symbols=["NOPE"]', "symbols=5", "symbols=["])
def test_a_symbol_that_is_not_listed_is_refused(datadir: Path, query: str) -> None:
    with ExchangeServer(datadir) as exchange:
        status, body = get(exchange.port, f"/api/v3/ticker/24hr?{query}")
        assert get(exchange.port, "/api/v3/ticker/24hr?symbol=BTCUSDT")[1]["symbol"] == "BTCUSDT"
    assert (status, body["code"]) == (400, -1121)


def test_what_is_not_served_is_a_404_and_logged(
    datadir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ExchangeServer(datadir) as exchange:
        status, body = get(exchange.port, "/fapi/v1/order?symbol=BTCUSDT", "POST")
    assert status == 404
    assert "not served" in body["msg"]
    assert "POST /fapi/v1/order: not served" in caplog.text


def test_the_clock_stands_at_the_end_of_the_data(datadir: Path) -> None:
    with ExchangeServer(datadir) as exchange:
        assert get(exchange.port, "/fapi/v1/ping") == (200, {})
        _, body = get(exchange.port, "/api/v3/time")
    assert body["serverTime"] == 1677625200000  # 2023-02-28 23:00


def test_nothing_is_left_behind_even_with_a_client_that_stays(datadir: Path) -> None:
    before = set(threading.enumerate())
    exchange = ExchangeServer(datadir).start()
    port = exchange.port
    client = HTTPConnection("127.0.0.1", port, timeout=5)
    client.request("GET", "/api/v3/ping")
    assert client.getresponse().read() == b"{}"
    assert set(threading.enumerate()) - before
    exchange.stop()
    client.close()
    assert set(threading.enumerate()) - before == set()
    assert exchange.port == 0
    with pytest.raises(OSError, match="refused"):
        get(port, "/api/v3/ping")


def test_it_stops_when_the_work_inside_fails(datadir: Path) -> None:
    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="broken"), ExchangeServer(datadir):
        raise RuntimeError("broken")
    assert set(threading.enumerate()) - before == set()


def test_it_can_be_started_again_on_the_same_port(datadir: Path) -> None:
    with ExchangeServer(datadir) as exchange:
        port = exchange.port
        assert get(port, "/api/v3/ping") == (200, {})
    exchange = ExchangeServer(datadir, ExchangeSettings(port=port))
    for _ in range(2):
        with exchange:
            assert get(exchange.port, "/api/v3/ping") == (200, {})


def test_two_exchanges_run_side_by_side(datadir: Path) -> None:
    with ExchangeServer(datadir) as one, ExchangeServer(datadir) as other:
        assert one.port != other.port


def test_a_port_in_use_is_named(datadir: Path) -> None:
    with (
        ExchangeServer(datadir) as exchange,
        pytest.raises(DataError, match=f"port {exchange.port} on 127.0.0.1 cannot be used"),
    ):
        ExchangeServer(datadir, ExchangeSettings(port=exchange.port)).start()


def test_a_corrupt_candle_file_is_named_before_the_host_starts(tmp_path: Path) -> None:
    make_market(SETTINGS, tmp_path / "m")
    (tmp_path / "m" / "futures" / "XRP_USDT_USDT-1h-futures.feather").write_bytes(b"broken")
    with (
        ExchangeServer(tmp_path / "m") as exchange,
        pytest.raises(DataError, match=r"XRP_USDT_USDT-1h-futures\.feather: cannot be read"),
    ):
        exchange.config_overlay("futures")


def test_a_market_without_futures_is_named(tmp_path: Path) -> None:
    make_market(SETTINGS, tmp_path / "m")
    for path in (tmp_path / "m" / "futures").iterdir():
        path.unlink()
    with (
        ExchangeServer(tmp_path / "m") as exchange,
        pytest.raises(DataError, match="no futures candles"),
    ):
        exchange.config_overlay("futures")


def test_a_directory_without_candles_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no candle files"):
        ExchangeServer(tmp_path)


def test_a_handler_that_fails_answers_500_and_one_that_refuses_its_status() -> None:
    def fail(_request: Request) -> object:
        raise ValueError("oops")

    def refuse(request: Request) -> object:
        raise HTTPError(418, request.parameters)

    with LocalServer({("GET", "/a"): fail}, refuse) as server:
        assert get(server.port, "/a") == (500, {"code": -1000, "msg": "ValueError: oops"})
        assert get(server.port, "/b?x=1") == (418, {"x": "1"})
