"""The account as sizing and guards see it, the same in backtest, dry-run and live.

Equity is the realised balance plus what every open trade would bring if it were closed at the
close of the last closed candle, after fees and the funding that is not yet realised.
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
from quorum.bot.lots import NAMES
from quorum.signals import SignalTable

Prices = Callable[[str, datetime], float]


class LastCloses:
    """The last closed candle of every analysed pair, found without a search.

    Parameters
    ----------
    tables : mapping of pair to SignalTable
        Tables may be replaced at any time.
    step : int
        Length of a candle, milliseconds.
    """

    def __init__(self, tables: Mapping[str, SignalTable], step: int) -> None:
        self.tables = tables
        self.step = step
        self._grid: dict[str, tuple[SignalTable, int, int, bool]] = {}
        self._at: datetime | None = None
        self._opened = 0

    def row(self, pair: str, at: datetime) -> tuple[SignalTable, int] | None:
        """Return the table of a pair and the row of its last candle that had closed ``at``."""
        table = self.tables.get(pair)
        if table is None:
            return None
        grid = self._grid.get(pair)
        if grid is None or grid[0] is not table:
            n = len(table.time)
            first = int(table.time[0]) if n else 0
            regular = n > 0 and int(table.time[-1]) - first == (n - 1) * self.step
            grid = self._grid[pair] = (table, first, n, regular)
        _, first, n, regular = grid
        if at is not self._at:
            # Many pairs are asked for at the same moment.
            self._at, self._opened = at, int(at.timestamp() * 1000) - self.step
        opened = self._opened
        if regular:
            row = min((opened - first) // self.step, n - 1)
        else:
            row = int(table.time.searchsorted(opened, side="right")) - 1
        return None if row < 0 else (table, row)

    def __call__(self, pair: str, at: datetime) -> float:
        """Return the last known close, NaN where there is none."""
        found = self.row(pair, at)
        return math.nan if found is None else float(found[0].columns["close"][found[1]])

    def age(self, pair: str, at: datetime) -> float:
        """Return how long ago the last known candle has closed, in candles; inf without one."""
        found = self.row(pair, at)
        if found is None:
            return math.inf
        return (self._opened - int(found[0].time[found[1]])) / self.step


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
    """

    def __init__(
        self, wallets: Callable[[], Wallets], prices: Prices, config: Mapping[str, Any]
    ) -> None:
        self._wallets = wallets
        self.prices = prices
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
        floating = sum([p.floating for p in positions])
        return AccountState(at, balance - realised, balance, balance + floating, positions, closed)

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
    """Return one open trade; an entry that has not filled yet floats nothing.

    The host's own calculation works with decimal strings, too slow for every candle; this is
    the same in floats, without the funding that earlier partial exits have realised.
    """
    amount = trade.amount or 0.0
    floating = 0.0
    if amount > 0:
        value = amount * price
        fee = value * (trade.fee_close or 0.0)
        opened = trade.open_trade_value
        gross = opened - value - fee if trade.is_short else value - fee - opened
        floating = gross + _open_funding(trade)
    return OpenPosition(
        trade.pair,
        -1 if trade.is_short else 1,
        trade.open_date_utc,
        trade.open_rate,
        price,
        amount * trade.open_rate,
        floating,
        trade.enter_tag not in NAMES,
    )


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
