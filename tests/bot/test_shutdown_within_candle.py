"""A fall within a candle that closes back ends trading: in a backtest, simulated, and live."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from backtests import configuration, run, small_market
from live_exchange import Drill

from quorum.bot.host import load_market, read_settings
from quorum.guards import State
from quorum.pipeline import evaluate
from quorum.replay.exchange import ExchangeServer
from quorum.simulation import PortfolioSettings, Venue, books_of, material_of, run_portfolio

PAIR, OPENED = "SOL/USDT:USDT", pd.Timestamp("2023-05-09 04:00", tz="UTC")
#: The candle after the entry falls 4 % under its opening and closes where it would have.
DIP = pd.Timestamp("2023-05-09 05:00", tz="UTC")
AFTER = DIP + pd.Timedelta("1h")
#: A stop far under the fall, so that it is the account that ends the trade.
WIDE = {
    "exits": {
        "stop": {"method": "atr", "atr_multiple": 20.0, "max_risk": 40.0},
        "ladder": {"min_first": 0.0},
    },
    "sizing": {"basis": "risk", "max_percent": 100.0},
}


def quorum(**system):
    return {**WIDE, "guards": {"system": {"max_drawdown": 0.15, **system}}}


@pytest.fixture(scope="module")
def datadir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = small_market(tmp_path_factory.mktemp("dip") / "market")
    path = folder / "futures" / "SOL_USDT_USDT-1h-futures.feather"
    candles = pd.read_feather(path)
    row = candles.index[candles["date"] == DIP][0]
    candles.loc[row, "low"] = candles.loc[row, "open"] * 0.96
    candles.to_feather(path)
    return folder


def backtest(datadir: Path, folder: Path, **system):
    result = run(
        datadir,
        folder,
        pairs=[PAIR],
        timerange="20230509-20230510",
        quorum=quorum(**system),
    )
    return result["trades"].iloc[0], result["strategy"].watch


def test_a_backtest_halts_at_the_opening_after_the_fall(datadir, tmp_path):
    trade, watch = backtest(datadir, tmp_path)
    assert trade["open_date"] == OPENED
    assert (trade["exit_reason"], trade["close_date"]) == ("emergency_shutdown", AFTER)
    (halt,) = [t for t in watch.transitions if t.after is State.HALTED]
    assert halt.at == AFTER.to_pydatetime()
    assert "drawdown from peak 0.2" in halt.detail, "4 % of a position of 5 %"


def test_the_close_alone_tells_nothing_of_it(datadir, tmp_path):
    trade, watch = backtest(datadir, tmp_path, worst_price=False)
    assert trade["open_date"] == OPENED
    assert trade["close_date"] > AFTER
    assert all(t.at > AFTER for t in watch.transitions)


@pytest.mark.parametrize("worst", [True, False])
def test_the_simulation_halts_as_the_backtest_does(worst, datadir, tmp_path):
    with ExchangeServer(datadir) as exchange:
        changes = {"pairs": [PAIR], "quorum": quorum(worst_price=worst)}
        config = configuration(datadir, tmp_path, exchange, **changes)
    settings = read_settings(config, "1h")
    evaluated = evaluate(load_market(config, settings, PAIR), settings)
    start, end = (int((OPENED + pd.Timedelta(d)).timestamp() * 1000) for d in ("-1h", "20h"))
    material = material_of(
        evaluated, settings, Venue(fee=0.0005), start=start, end=end, startup=1400
    )
    found = run_portfolio(books_of([material], settings), settings, PortfolioSettings(guards=True))
    trade = found.trades[0]
    assert pd.Timestamp(trade.ordered, unit="ms", tz="UTC") == OPENED
    assert (pd.Timestamp(trade.closed, unit="ms", tz="UTC") == AFTER) is worst


def test_a_running_bot_halts_while_price_is_there(datadir, tmp_path):
    with Drill(
        tmp_path,
        datadir,
        "2023-05-09 03:40",
        pairs=[PAIR],
        throttle=60,
        config={"quorum": quorum()},
    ) as drill:
        drill.start_bot()
        drill.run_until("2023-05-09 05:02")
        (trade,) = drill.trades()
        assert trade["is_open"]
        drill.run_until("2023-05-09 06:00")
        (trade,) = drill.trades()
    assert trade["exit_reason"] == "emergency_shutdown"
    assert DIP < pd.Timestamp(trade["close_date"], tz="UTC") < AFTER
