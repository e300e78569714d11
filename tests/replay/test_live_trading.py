"""Stock freqtrade with Quorum, in its own process, on an accelerated clock."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from backtests import small_market
from live_exchange import Drill

#: A trade of the backtest of the same candles: opened 04:00, closed in profit at 13:00.
PAIR, BEGIN, END = "SOL/USDT:USDT", "2023-05-09 03:10", "2023-05-09 14:30"


@pytest.fixture(scope="module")
def datadir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_market(tmp_path_factory.mktemp("live-trading") / "market")


@pytest.mark.parametrize("orders", [False, True], ids=["dry run", "live orders"])
def test_the_bot_opens_manages_and_closes_a_trade(datadir: Path, tmp_path: Path, orders: bool):
    config = {"order_types": {"stoploss_on_exchange": orders}}
    with Drill(
        tmp_path, datadir, BEGIN, orders=orders, pairs=[PAIR], throttle=600, config=config
    ) as drill:
        drill.start_bot()
        drill.run_until(END)
        (trade,) = drill.trades()
        assert drill.bot.alive
        account = drill.account()
        print(trade)
        for o in account["orders"]: print(o)
        print("\n".join(l for l in drill.bot.log.splitlines() if "WARN" in l or "ERR" in l))
        assert drill.bot.stop() == 0
    assert not trade["is_open"]
