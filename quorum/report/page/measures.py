"""Measures: the numbers of a run that the verdict rests on, with their intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from quorum.evidence import performance as perf
from quorum.evidence.bootstrap import Interval, bootstrap_interval
from quorum.evidence.forecasts import win_interval
from quorum.report.page.history import History, account_history, used_capital
from quorum.report.page.ledger import Ledger, read_ledger
from quorum.report.page.run import PageSettings, Run
from quorum.report.trades import filled_at_once
from quorum.typing import Floats, Ints


@dataclass(frozen=True)
class Measures:
    """A run measured.

    Attributes
    ----------
    ledger : Ledger
    history : History
    day : ndarray of shape (n_days,), int64
    close, returns : ndarray of shape (n_days,), float64
        Equity at the end of each day, and the day's return.
    run, holding : Performance
        Of the daily returns; of buying and holding, None without candles.
    held : ndarray of shape (n_days,), float64 or None
        Daily returns of buying and holding.
    intervals : mapping of measure to Interval
        ``cagr``, ``sharpe``, ``sortino``, ``calmar``, ``max_drawdown``, ``volatility`` of the
        daily returns; ``profit_factor``, ``profit``, ``multiple``, ``win_rate`` of the trades.
    sharpe_lead : Interval
        Sharpe ratio above that of buying and holding, on the same days.
    exposure : float
        Mean share of the equity at work.
    in_market : float
        Share of the candles with a position.
    open_profit : float
        Of positions still open, quote currency.
    """

    ledger: Ledger
    history: History
    day: Ints
    close: Floats
    returns: Floats
    run: perf.Performance
    holding: perf.Performance | None
    held: Floats | None
    intervals: dict[str, Interval]
    sharpe_lead: Interval
    exposure: float
    in_market: float
    open_profit: float

    @property
    def profit(self) -> float:
        """Profit at the end, quote currency."""
        return float(self.close[-1] - self.close[0] / (1.0 + self.returns[0]))

    @property
    def at_once(self) -> float:
        """What levels brought that filled in the candle of their entry, quote currency."""
        return sum(filled_at_once(trade) for trade in self.ledger.trades)

    @property
    def conservative(self) -> float:
        """Profit as if no level had filled in the candle of its entry, quote currency."""
        return self.profit - self.at_once

    @property
    def fees(self) -> float:
        """Fees paid by closed trades, quote currency."""
        return float(np.nansum(self.ledger.fees))

    @property
    def funding(self) -> float:
        """Funding received (paid, where negative) by closed trades, quote currency."""
        return float(np.sum(self.ledger.funding))

    @property
    def costs(self) -> float:
        """Fees and funding paid, quote currency."""
        return self.fees - self.funding

    def held_as_calmly(self) -> float:
        """Return the CAGR of buying and holding at the run's volatility, the rest in cash."""
        if self.held is None or self.holding is None or not self.holding.volatility > 0:
            return math.nan
        share = self.run.volatility / self.holding.volatility
        return float(perf.cagr(share * self.held))


def _daily_returns(start: float, close: Floats) -> Floats:
    return perf.simple_returns(np.concatenate([[start], close]))


def measure(run: Run, settings: PageSettings) -> Measures:
    """Measure a run."""
    ledger, history = read_ledger(run.trades), account_history(run)
    day, close = history.daily(history.equity)
    returns = _daily_returns(run.capital, close)
    held = None
    if history.holding is not None:
        held = _daily_returns(run.capital, history.daily(history.holding)[1])
    lead = Interval(math.nan, math.nan, math.nan, settings.level)
    if held is not None and len(held) >= settings.min_days:
        lead = bootstrap_interval(
            np.vstack([returns, held]),
            lambda v: perf.sharpe(v[0]) - perf.sharpe(v[1]),
            level=settings.level,
            runs=settings.runs,
        )
    open_profit = sum(t.profit for t in run.trades if t.closed is None)
    return Measures(
        ledger=ledger,
        history=history,
        day=day,
        close=close,
        returns=returns,
        run=perf.performance(returns),
        holding=None if held is None else perf.performance(held),
        held=held,
        intervals=_intervals(returns, ledger, settings),
        sharpe_lead=lead,
        exposure=used_capital(run, history),
        in_market=float(np.mean(history.busy)),
        open_profit=float(open_profit),
    )


def _intervals(returns: Floats, ledger: Ledger, settings: PageSettings) -> dict[str, Interval]:
    """Resample days for what is of days, and trades in order of opening for what is of trades."""
    found: dict[str, Interval] = {}
    known = len(returns) >= settings.min_days
    for name in ("cagr", "volatility", "sharpe", "sortino", "calmar", "max_drawdown"):
        statistic = getattr(perf, name)
        found[name] = (
            bootstrap_interval(returns, statistic, level=settings.level, runs=settings.runs)
            if known
            else Interval(float(statistic(returns)), math.nan, math.nan, settings.level)
        )
    multiples = ledger.multiple[np.isfinite(ledger.multiple)]
    for name, values, statistic in (
        ("profit_factor", ledger.profit, perf.profit_factor),
        ("profit", ledger.profit, mean),
        ("multiple", multiples, mean),
    ):
        found[name] = bootstrap_interval(
            values, statistic, level=settings.level, runs=settings.runs
        )
    found["win_rate"] = win_interval(int(ledger.won.sum()), len(ledger), settings.level)
    return found


def mean(values: Floats) -> Floats:
    """Return the mean over the last axis, NaN without any."""
    if np.shape(values)[-1] == 0:
        return np.full(np.shape(values)[:-1], np.nan)
    return np.asarray(np.mean(values, axis=-1))
