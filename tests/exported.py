"""One real backtest of Quorum, exported with its journal, for what reads results back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from backtests import backtesting, small_market

from quorum.bot.desk import Desk
from quorum.bot.journal import funnel_of, journal_path, write_journal
from quorum.bot.results import latest_result
from quorum.funnel import Funnel


@dataclass(frozen=True)
class Exported:
    """A backtest as its user finds it, and what the host had in memory."""

    user_data: Path
    result: Path
    trades: list[dict[str, Any]]
    desk: Desk
    funnel: Funnel


@cache
def exported(base: Path) -> Exported:
    """Run the backtest once per session's folder; the files it left are not to be changed."""
    user_data = base / "exported"
    user_data.mkdir()
    datadir = small_market(user_data / "market")
    with backtesting(datadir, user_data, export="trades") as bt:
        bt.start()
        content: Mapping[str, Any] = bt.all_bt_content["Quorum"]
        desk = bt.strategy.desk
        funnel = funnel_of(desk, bt.config)
        trades = content["results"].to_dict("records")
    result = latest_result(user_data)
    write_journal(desk, journal_path(result), funnel)
    return Exported(user_data, result, trades, desk, funnel)
