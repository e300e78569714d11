"""The account as sizing and guards see it, the same in backtest, dry-run and live.

Equity is the realised balance plus what every open trade would bring if it were closed at the
price it is marked at (:mod:`quorum.bot.marks`), after fees and the funding not yet realised.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from freqtrade.enums import RunMode, TradingMode
from freqtrade.persistence import LocalTrade, Trade
from freqtrade.wallets import Wallets
from sqlalchemy import func, select

from quorum.account import AccountState, ClosedPosition, OpenPosition
from quorum.playbooks import NAMES

Prices = Callable[[str, datetime], float]
#: The worst price of a position with a stop within the last closed candle.
WorstPrice = Callable[[OpenPosition, float, datetime], float]


class AccountReader:
    """Reads the account; closed trades are read once.

    Parameters
    ----------
    wallets : callable
        Returns the host's wallets; asked for in live trading only.
    prices : callable
        Returns the last known price of a pair at a time, NaN where there is none: the equity
        is then not known either.
    config : dict
        freqtrade configuration.
    worst : callable, optional
        Returns the worst price of a trade; without it the worst equity is not known.
    """

    def __init__(
        self,
        wallets: Callable[[], Wallets],
        prices: Prices,
        config: Mapping[str, Any],
        worst: WorstPrice | None = None,
    ) -> None:
        self._wallets = wallets
        self.prices = prices
        self._worst = worst
        self._currency = str(config.get("stake_currency", ""))
        self._futures = config.get("trading_mode", "spot") == TradingMode.FUTURES
        live = not config.get("dry_run", True) or config.get("runmode") == RunMode.LIVE
        self._start = _start_balance(config, self._currency, live=live)
        self._run: list[LocalTrade] | None = None
        self._closed: list[ClosedPosition] = []
        self._frozen: tuple[ClosedPosition, ...] = ()

    def begins_anew(self) -> bool:
        """Whether a backtest has begun since the last reading."""
        return not Trade.use_db and LocalTrade.bt_trades is not self._run

    def read(self, at: datetime) -> AccountState:
        """Return the account at a time."""
        trades = Trade.get_trades_proxy(is_open=True)
        closed = self._read_closed()
        positions = tuple([_open_position(t, self.prices(t.pair, at)) for t in trades])
        realised = sum([t.realized_profit or 0.0 for t in trades])
        if Trade.use_db:
            realised += Trade.get_total_closed_profit()
        else:
            realised += LocalTrade.bt_total_profit
        live = self._start is None
        balance = self._live_balance(trades) if live else (self._start or 0.0) + realised
        equity = balance + sum([p.floating for p in positions])
        worst = balance + sum(self._at_worst(at, trades, positions)) if self._worst else None
        return AccountState(at, balance - realised, balance, equity, positions, closed, worst)

    def _at_worst(
        self, at: datetime, trades: list[LocalTrade], positions: tuple[OpenPosition, ...]
    ) -> list[float]:
        """Return what every open trade floats at its worst price."""
        assert self._worst is not None
        return [
            _floating(trade, self._worst(position, trade.stop_loss or 0.0, at))
            for trade, position in zip(trades, positions, strict=True)
        ]

    def _live_balance(self, trades: list[LocalTrade]) -> float:
        """Return the realised balance at the exchange; coins bought count at their cost.

        An answer of the exchange that tells of no such currency leaves the host with nothing:
        that is no loss of everything, the balance is then not known.
        """
        wallets = self._wallets()
        if not wallets.get_total(self._currency) and (self._futures or not trades):
            return math.nan
        if self._futures:
            # Funding is settled into the wallet while it still floats in the trade's account.
            floating = sum(_open_funding(t) for t in trades)
            return float(wallets.get_total(self._currency)) - floating
        return float(wallets.get_free(self._currency)) + sum(t.stake_amount for t in trades)

    def _read_closed(self) -> tuple[ClosedPosition, ...]:
        if not Trade.use_db:
            source: list[LocalTrade] = LocalTrade.bt_trades
            if source is not self._run or len(source) < len(self._closed):
                self._run, self._closed, self._frozen = source, [], ()
            if len(source) > len(self._closed):
                self._closed.extend(map(_closed_position, source[len(self._closed) :]))
                self._frozen = tuple(self._closed)
            return self._frozen
        count = Trade.session.scalar(select(func.count(Trade.id)).filter(Trade.is_open.is_(False)))
        if count != len(self._frozen):
            done = Trade.get_trades_proxy(is_open=False)
            done = [t for t in done if t.close_date is not None]
            self._frozen = tuple(map(_closed_position, sorted(done, key=_closing_time)))
        return self._frozen


def read_account(
    wallets: Wallets, prices: Prices, at: datetime, config: Mapping[str, Any]
) -> AccountState:
    """Return the account at a time, read from scratch."""
    return AccountReader(lambda: wallets, prices, config).read(at)


def _start_balance(config: Mapping[str, Any], currency: str, *, live: bool) -> float | None:
    """Return what the account began with, None where only the exchange knows."""
    if "available_capital" in config:
        return float(config["available_capital"])
    if live:
        return None
    wallet = config.get("dry_run_wallet", 1000.0)
    return float(wallet.get(currency, 0.0) if isinstance(wallet, Mapping) else wallet)


def _closing_time(trade: LocalTrade) -> tuple[datetime, int]:
    return trade.close_date_utc, trade.id


def _open_position(trade: LocalTrade, price: float) -> OpenPosition:
    """Return one open trade, marked at a price."""
    return OpenPosition(
        trade.pair,
        -1 if trade.is_short else 1,
        trade.open_date_utc,
        trade.open_rate,
        price,
        (trade.amount or 0.0) * trade.open_rate,
        _floating(trade, price),
        trade.enter_tag not in NAMES,
    )


def _floating(trade: LocalTrade, price: float) -> float:
    """Return what closing a trade at a price would bring, after fees and open funding.

    An entry that has not filled yet floats nothing. The host's own calculation works with decimal
    strings, too slow for every candle; this is the same in floats, without the funding that
    earlier partial exits have realised.
    """
    amount = trade.amount or 0.0
    if amount <= 0:
        return 0.0
    value = amount * price
    fee = value * (trade.fee_close or 0.0)
    opened = trade.open_trade_value
    gross = opened - value - fee if trade.is_short else value - fee - opened
    return gross + _open_funding(trade)


def _open_funding(trade: LocalTrade) -> float:
    """Return the funding that no exit has realised, positive where it was earned."""
    funding = trade.funding_fees or 0.0
    if funding == 0.0:
        return 0.0
    realised, so_far = 0.0, 0.0
    for order in trade.orders:
        if order.ft_is_open or not order.filled:
            continue
        so_far += order.funding_fee or 0.0
        if order.ft_order_side != trade.entry_side:
            realised = so_far
    return funding - realised


def _closed_position(trade: LocalTrade) -> ClosedPosition:
    return ClosedPosition(
        trade.pair,
        -1 if trade.is_short else 1,
        trade.open_date_utc,
        trade.close_date_utc,
        trade.close_profit_abs or 0.0,
        trade.close_profit or 0.0,
        trade.exit_reason or "",
        trade.enter_tag not in NAMES,
    )
