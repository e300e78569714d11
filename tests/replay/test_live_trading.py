"""Stock freqtrade with Quorum, in its own process, on an accelerated clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from backtests import small_market
from live_exchange import Drill

#: A trade of the backtest of the same candles: opened 04:00, two rungs, stopped in profit 13:00.
PAIR, BEGIN, END = "SOL/USDT:USDT", "2023-05-09 03:40", "2023-05-09 14:00"
BACKTEST_PROFIT = 0.0151


@pytest.fixture(scope="module")
def datadir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_market(tmp_path_factory.mktemp("live-trading") / "market")


def filled(trade: dict[str, Any], side: str) -> list[float]:
    orders = [order for order in trade["orders"] if order["side"] == side]
    return [order["filled"] for order in orders if order["filled"]]


def traded_as_in_the_backtest(drill: Drill) -> dict[str, Any]:
    """Check the only trade there is, and return it."""
    assert drill.bot.alive
    (trade,) = drill.trades()
    problems = [line for line in drill.bot.log.splitlines() if " - ERROR - " in line]
    assert not problems
    assert not trade["is_open"]
    assert pd.Timestamp(trade["open_date"]).floor("h") == pd.Timestamp("2023-05-09 04:00")
    assert pd.Timestamp(trade["close_date"]).floor("h") == pd.Timestamp("2023-05-09 13:00")
    assert trade["close_profit"] == pytest.approx(BACKTEST_PROFIT, abs=0.001)
    assert len(filled(trade, "buy")) == 1
    assert len(filled(trade, "sell")) >= 2
    assert sum(filled(trade, "sell")) == pytest.approx(sum(filled(trade, "buy")))
    assert "quorum" in " ".join(trade["custom"])
    return trade


def test_a_dry_run_opens_manages_and_closes_a_trade(datadir: Path, tmp_path: Path):
    with Drill(tmp_path, datadir, BEGIN, pairs=[PAIR], throttle=600) as drill:
        drill.start_bot()
        drill.run_until(END)
        trade = traded_as_in_the_backtest(drill)
        assert trade["exit_reason"] == "trailing_stop_loss"
        assert drill.account()["orders"] == []


def test_live_orders_survive_the_bot_that_placed_them(datadir: Path, tmp_path: Path):
    config = {"order_types": {"stoploss_on_exchange": True}}
    with Drill(
        tmp_path, datadir, BEGIN, orders=True, pairs=[PAIR], throttle=600, config=config
    ) as drill:
        bot = drill.start_bot()
        drill.run_until("2023-05-09 05:30")
        bot.kill()
        waiting = [order for order in drill.account()["orders"] if order["status"] == "NEW"]
        assert [order["algo"] for order in waiting].count(True) == 1
        drill.start_bot()
        drill.run_until(END)
        trade = traded_as_in_the_backtest(drill)
        account = drill.account()
    assert trade["exit_reason"] == "stoploss_on_exchange"
    # What the bot believes is what happened: no order lost, none doubled, none left behind.
    assert account["positions"] == {}
    assert not [order for order in account["orders"] if order["status"] == "NEW"]
    for side in ("buy", "sell"):
        fills = [e["quantity"] for e in account["executions"] if e["side"] == side.upper()]
        assert sum(fills) == pytest.approx(sum(filled(trade, side)))
    # The host books one fee for all exits, and no funding with an order that was a stop.
    assert account["wallet"] - 100_000 == pytest.approx(trade["close_profit_abs"], abs=0.1)
