"""History: what the account was worth and how much it had at work, candle by candle.

Marked to the market: an open position counts at the close of each candle. The host's own curve
knows closed trades only, and hides every loss that is still open.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quorum.candles import Candles, timeframe_ms
from quorum.evidence.performance import daily_closes
from quorum.report.page.ledger import entry_notional, fees_of, ms
from quorum.report.page.run import Run
from quorum.report.trades import TradeRecord
from quorum.typing import Floats, Ints


@dataclass(frozen=True)
class History:
    """The account per candle.

    Attributes
    ----------
    time : ndarray of shape (n,), int64
        Close times, milliseconds since the epoch.
    equity : ndarray of shape (n,), float64
        Capital and profit, open positions at the close (quote currency).
    long, short : ndarray of shape (n,), float64
        Value of the positions of either side at the close (quote currency).
    open : ndarray of shape (n,), int64
        Positions open at the close.
    busy : ndarray of shape (n,), bool
        Whether any position was open during the candle.
    holding : ndarray of shape (n,), float64 or None
        The same capital in equal parts in every pair from the first candle on, without costs.
    marked : float
        Share of the trades that could be marked to the market.
    """

    time: Ints
    equity: Floats
    long: Floats
    short: Floats
    open: Ints
    busy: np.ndarray
    holding: Floats | None
    marked: float

    @property
    def gross(self) -> Floats:
        """Value of all positions as a share of the equity."""
        return np.asarray((self.long + self.short) / self.equity)

    @property
    def net(self) -> Floats:
        """Value of long less short positions as a share of the equity."""
        return np.asarray((self.long - self.short) / self.equity)

    def daily(self, series: Floats) -> tuple[Ints, Floats]:
        """Return a series' last value of every day."""
        return daily_closes(self.time - 1, series)


def account_history(run: Run) -> History:
    """Follow the account through every candle of a run."""
    step = timeframe_ms(run.timeframe)
    first = run.first // step * step
    n = max(1, (run.last - first) // step)
    time = first + step * np.arange(1, n + 1, dtype=np.int64)
    worth = np.zeros(n)
    ends = np.zeros(n + 1)
    sides = {1: np.zeros(n), -1: np.zeros(n)}
    count = np.zeros(n + 1, dtype=np.int64)
    busy = np.zeros(n + 1, dtype=np.int64)
    marked = 0
    for trade in run.trades:
        opened, closed = ms(trade)
        # The candle in which it happened, and the first at whose close it was over.
        a = int(np.clip((opened - first) // step, 0, n - 1))
        b = n if closed < 0 else int(np.clip((closed - first) // step, a, n - 1))
        busy[a] += 1
        busy[min(b + 1, n)] -= 1
        ends[b] += trade.profit if closed >= 0 else 0.0
        series = run.candles.get(trade.pair)
        rows = slice(a, b)
        if series is None or a == b:
            marked += a == b
            continue
        price = _prices(series, time[rows], trade)
        amount, cash = _position(trade, time[rows])
        worth[rows] += cash + trade.direction * amount * price
        sides[trade.direction][rows] += amount * price
        count[a] += 1
        count[b] -= 1
        marked += 1
    equity = run.capital + worth + np.cumsum(ends[:n])
    return History(
        time=time,
        # A share of nothing is not defined; an account that is gone stays gone.
        equity=np.maximum(equity, 1e-9 * run.capital),
        long=sides[1],
        short=sides[-1],
        open=np.cumsum(count[:n]),
        busy=np.cumsum(busy[:n]) > 0,
        holding=_holding(run, time),
        marked=marked / len(run.trades) if run.trades else 1.0,
    )


def _prices(series: Candles, time: Ints, trade: TradeRecord) -> Floats:
    """Return the last close known at each time, the entry price before any."""
    row = np.searchsorted(series.close_time, time, side="right") - 1
    return np.where(row >= 0, series.close[np.maximum(row, 0)], trade.open_rate)


def _position(trade: TradeRecord, time: Ints) -> tuple[Floats, Floats]:
    """Return the amount held and the money that went in or out, at each time.

    Fees are spread over the fills by their value, funding evenly over the time held.
    """
    at = np.array([int(fill.at.timestamp() * 1000) for fill in trade.fills], dtype=np.int64)
    signs = np.array([1.0 if fill.entry else -1.0 for fill in trade.fills])
    amounts = np.array([fill.amount for fill in trade.fills])
    values = amounts * np.array([fill.price for fill in trade.fills])
    fees = fees_of(trade)
    paid = 0.0 if np.isnan(fees) else fees / values.sum()
    order = np.argsort(at, kind="stable")
    # Row k holds what is so after k fills.
    held = np.concatenate([[0.0], np.cumsum((signs * amounts)[order])])
    flow = (-trade.direction * signs - paid) * values
    cash = np.concatenate([[0.0], np.cumsum(flow[order])])
    seen = np.searchsorted(at[order], time - 1, side="right")
    opened, closed = ms(trade)
    length = max(1, (closed if closed >= 0 else int(time[-1])) - opened)
    funding = trade.funding * np.clip((time - opened) / length, 0.0, 1.0)
    return np.maximum(held[seen], 0.0), cash[seen] + funding


def _holding(run: Run, time: Ints) -> Floats | None:
    """Return the value of equal parts in every pair that has candles from the first on."""
    parts = []
    for pair in run.pairs:
        series = run.candles.get(pair)
        if series is None or len(series) == 0 or series.time[0] > run.first:
            continue
        row = np.searchsorted(series.close_time, time, side="right") - 1
        start = int(np.searchsorted(series.time, run.first))
        if start >= len(series):
            continue
        parts.append(series.close[np.maximum(row, 0)] / series.open[start])
    return run.capital * np.mean(parts, axis=0) if parts else None


def used_capital(run: Run, history: History) -> float:
    """Return the mean share of the equity at work; from entry values where nothing is marked."""
    if history.marked > 0.5 or not run.trades:
        return float(np.mean(history.gross))
    held = 0.0
    for trade in run.trades:
        opened, closed = ms(trade)
        held += entry_notional(trade) * ((closed if closed >= 0 else run.last) - opened)
    return held / max(1, run.last - run.first) / run.capital
