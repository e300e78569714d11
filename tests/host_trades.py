"""Trades of the host made by hand, kept as a backtest or a bot keeps them, and candles."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import numpy as np
from freqtrade.enums import TradingMode
from freqtrade.persistence import LocalTrade, Order, Trade, init_db
from freqtrade.persistence.usedb_context import disable_database_use, enable_database_use
from markets import START

STEP = 3_600_000
HOUR = timedelta(hours=1)
BEGIN = START.to_pydatetime()
BTC, SOL = "BTC/USDT:USDT", "SOL/USDT:USDT"


def table(close, *, start=BEGIN, step=STEP, **columns):
    """Return what a signal table shows of a pair; candles are flat but for what is given."""
    close = np.asarray(close, dtype=float)
    first = int(start.timestamp() * 1000)
    own = {"high": close, "low": close, "close": close, "atr": np.full(len(close), 1.0), **columns}
    return SimpleNamespace(time=first + step * np.arange(len(close)), columns=own)


def kept_in(kind):
    """Keep trades as a backtest does (memory), or as a bot does (database)."""
    init_db("sqlite://")
    if kind == "memory":
        disable_database_use("1h")
        Trade.reset_trades()
    yield kind
    if kind == "memory":
        Trade.reset_trades()
        enable_database_use()


def open_trade(pair=SOL, rate=100.0, amount=10.0, *, short=False, opened=BEGIN, fee=0.0, **more):
    trade = (Trade if Trade.use_db else LocalTrade)(
        pair=pair, stake_amount=rate * amount, amount=amount, open_rate=rate, open_date=opened,
        fee_open=fee, fee_close=fee, exchange="binance", is_open=True, is_short=short,
        leverage=1.0, trading_mode=TradingMode.FUTURES, stake_currency="USDT", **more,
    )  # fmt: skip
    trade.recalc_open_trade_value()
    if Trade.use_db:
        Trade.session.add(trade)
        Trade.commit()
    else:
        trade.id = len(LocalTrade.bt_trades) + len(LocalTrade.bt_trades_open) + 1
        Trade.add_bt_trade(trade)
    return trade


def order(trade, side, amount, price, at=BEGIN, *, funding=0.0, filled=True, tag=None):
    made = Order(
        order_id=f"{side}{len(trade.orders)}", ft_pair=trade.pair, symbol=trade.pair,
        ft_order_side=side, side=side, ft_is_open=not filled, ft_amount=amount, ft_price=price,
        price=price, average=price, filled=amount if filled else 0.0, remaining=0.0,
        status="closed" if filled else "open", order_date=at, order_filled_date=at,
        funding_fee=funding, amount=amount, ft_order_tag=tag,
    )  # fmt: skip
    trade.orders.append(made)
    return made


def close_trade(trade, profit, at, reason="stop_loss"):
    trade.close_date, trade.is_open, trade.exit_reason = at, False, reason
    trade.close_profit_abs, trade.close_profit = profit, profit / trade.stake_amount
    if Trade.use_db:
        Trade.commit()
    else:
        Trade.close_bt_trade(trade)
