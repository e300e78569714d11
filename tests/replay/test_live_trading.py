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


def test_a_spot_position_is_without_its_stop_for_no_longer_than_one_look(
    datadir: Path, tmp_path: Path
):
    # On spot a stop and a resting exit want the same coins: levels must not rest.
    config = {
        "trading_mode": "spot",
        "margin_mode": "",
        "order_types": {
            "stoploss": "limit",
            "stoploss_on_exchange": True,
            "stoploss_on_exchange_limit_ratio": 0.99,
        },
    }
    begin = pd.Timestamp("2023-05-02 00:05")
    with Drill(
        tmp_path,
        datadir,
        str(begin),
        orders=True,
        mode="spot",
        pairs=["ETH/USDT"],
        throttle=600,
        config=config,
    ) as drill:
        drill.start_bot()
        seen = []
        # A look comes every ten minutes, a sample just before one of them every half an hour.
        for moment in pd.date_range(begin + pd.Timedelta(minutes=29), periods=96, freq="30min"):
            drill.run_until(str(moment))
            account = drill.account()
            waiting = [order for order in account["orders"] if order["status"] == "NEW"]
            held = account["coins"].get("ETH", 0.0)
            seen.append((held, sum(o["quantity"] for o in waiting if o["stop_price"])))
        (trade,) = drill.trades()
    assert len(filled(trade, "sell")) >= 1
    held = [(coins, abs(coins - stopped) < 0.01) for coins, stopped in seen if coins > 0.01]
    assert len({coins for coins, _ in held}) >= 2, "a part of it went"
    bare = [number for number, (_, stopped) in enumerate(held) if not stopped]
    # The looks after which an order had just filled: the host places the stop at the next.
    assert len(bare) <= 2
    assert all(number + 1 not in bare for number in bare)
