"""Performance: what a series of returns or a list of profits is worth.

Every statistic of returns reduces the last axis, so that thousands of bootstrap samples are one
call. Returns are simple returns per period. A statistic that is not defined (too few returns, no
loss to divide by) is NaN or infinite, never a made-up number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quorum.candles import DAY_MS
from quorum.typing import Floats, Ints

#: Crypto trades on every day of the year.
DAYS_PER_YEAR = 365.0


def simple_returns(equity: Floats) -> Floats:
    """Return the simple returns of an equity series, shape (n - 1,)."""
    equity = np.asarray(equity, dtype=np.float64)
    return np.asarray(equity[1:] / equity[:-1] - 1.0, dtype=np.float64)


def daily_closes(time: Ints, equity: Floats) -> tuple[Ints, Floats]:
    """Return the last equity of every UTC day from the first to the last.

    A day without a reading keeps the day's before.

    Parameters
    ----------
    time : ndarray of shape (n,), int64
        Milliseconds since the epoch, increasing.
    equity : ndarray of shape (n,), float64

    Returns
    -------
    day : ndarray of shape (n_days,), int64
        Beginning of each day, milliseconds since the epoch.
    close : ndarray of shape (n_days,), float64
    """
    if len(time) == 0:
        return np.empty(0, np.int64), np.empty(0)
    days = np.arange(time[0] // DAY_MS, time[-1] // DAY_MS + 1, dtype=np.int64) * DAY_MS
    last = np.searchsorted(time, days + DAY_MS) - 1
    return days, np.asarray(equity, dtype=np.float64)[last]


def total_return(returns: Floats) -> Floats:
    """Return the compounded return over the last axis."""
    return np.asarray(np.prod(1.0 + returns, axis=-1) - 1.0)


def cagr(returns: Floats, periods: float = DAYS_PER_YEAR) -> Floats:
    """Return the compound annual growth rate over the last axis (share per year).

    An account that lost everything has grown by -1.
    """
    n = np.shape(returns)[-1]
    if n == 0:
        return np.full(np.shape(returns)[:-1], np.nan)
    growth = np.maximum(1.0 + total_return(returns), 0.0)
    return np.asarray(growth ** (periods / n) - 1.0)


def volatility(returns: Floats, periods: float = DAYS_PER_YEAR) -> Floats:
    """Return the annual standard deviation over the last axis (share per year)."""
    if np.shape(returns)[-1] < 2:
        return np.full(np.shape(returns)[:-1], np.nan)
    return np.asarray(np.std(returns, axis=-1, ddof=1) * np.sqrt(periods))


def sharpe(returns: Floats, periods: float = DAYS_PER_YEAR) -> Floats:
    """Return the annual Sharpe ratio over the last axis, no interest deducted.

    NaN where returns do not vary.
    """
    if np.shape(returns)[-1] < 2:
        return np.full(np.shape(returns)[:-1], np.nan)
    spread = np.std(returns, axis=-1, ddof=1)
    # A constant leaves rounding noise for a spread.
    flat = spread <= 1e-12 * np.max(np.abs(returns), axis=-1)
    return _ratio(np.mean(returns, axis=-1) * np.sqrt(periods), np.where(flat, np.nan, spread))


def sortino(returns: Floats, periods: float = DAYS_PER_YEAR) -> Floats:
    """Return the annual Sortino ratio over the last axis, against a return of 0.

    The downside deviation is over all periods, those that did not lose counted as 0. Without
    any loss it is infinite, without any return NaN.
    """
    if np.shape(returns)[-1] < 2:
        return np.full(np.shape(returns)[:-1], np.nan)
    downside = np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2, axis=-1))
    return _ratio(np.mean(returns, axis=-1) * np.sqrt(periods), downside)


def _ratio(gain: Floats, risk: Floats) -> Floats:
    """Divide; nothing over nothing is NaN, something over nothing infinite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.divide(gain, risk))


def drawdown(equity: Floats) -> Floats:
    """Return the share lost since the highest equity so far, over the last axis (0 to 1)."""
    peak = np.maximum.accumulate(equity, axis=-1)
    return np.asarray(1.0 - equity / peak)


def max_drawdown(returns: Floats) -> Floats:
    """Return the largest share lost from a peak over the last axis, the start counted (0 to 1)."""
    if np.shape(returns)[-1] == 0:
        return np.full(np.shape(returns)[:-1], np.nan)
    equity = np.cumprod(1.0 + returns, axis=-1)
    peak = np.maximum(np.maximum.accumulate(equity, axis=-1), 1.0)
    return np.asarray(np.max(1.0 - equity / peak, axis=-1))


def calmar(returns: Floats, periods: float = DAYS_PER_YEAR) -> Floats:
    """Return the CAGR over the maximum drawdown, over the last axis; NaN without a drawdown."""
    worst = max_drawdown(returns)
    return _ratio(cagr(returns, periods), np.where(worst > 0, worst, np.nan))


def profit_factor(profits: Floats) -> Floats:
    """Return gross profit over gross loss, over the last axis.

    Infinite without a loss, NaN without a trade.
    """
    won = np.sum(np.maximum(profits, 0.0), axis=-1)
    # abs, for a minus zero would divide to minus infinity.
    lost = np.abs(np.sum(np.minimum(profits, 0.0), axis=-1))
    return _ratio(won, lost)


def win_rate(profits: Floats) -> Floats:
    """Return the share of profits above zero, over the last axis; NaN without a trade."""
    if np.shape(profits)[-1] == 0:
        return np.full(np.shape(profits)[:-1], np.nan)
    return np.asarray(np.mean(np.asarray(profits) > 0, axis=-1))


def beta(returns: Floats, market: Floats) -> float:
    """Return how much the returns moved per unit of the market's; NaN if the market stood."""
    if len(returns) < 2:
        return float("nan")
    variance = float(np.var(market, ddof=1))
    if variance == 0:
        return float("nan")
    return float(np.cov(returns, market, ddof=1)[0, 1]) / variance


@dataclass(frozen=True)
class Drawdown:
    """The deepest fall from a peak.

    Attributes
    ----------
    depth : float
        Share lost (0 to 1).
    peak, trough : int
        Rows of the highest equity before it and of its lowest point.
    recovered : int or None
        Row at which the peak was reached again, None if it was not.
    """

    depth: float
    peak: int
    trough: int
    recovered: int | None


def deepest_drawdown(equity: Floats) -> Drawdown:
    """Find the deepest drawdown of an equity series, shape (n,) with n >= 1."""
    lost = drawdown(equity)
    trough = int(np.argmax(lost))
    peak = int(np.argmax(equity[: trough + 1]))
    back = np.flatnonzero(equity[trough:] >= equity[peak])
    return Drawdown(float(lost[trough]), peak, trough, trough + int(back[0]) if len(back) else None)


@dataclass(frozen=True)
class Performance:
    """What a series of returns is worth; shares, not percent.

    Attributes
    ----------
    total, cagr, volatility, max_drawdown : float
    sharpe, sortino, calmar : float
        Annual; NaN where not defined.
    """

    total: float
    cagr: float
    volatility: float
    sharpe: float
    sortino: float
    calmar: float
    max_drawdown: float


def performance(returns: Floats, periods: float = DAYS_PER_YEAR) -> Performance:
    """Compute every statistic of one series of returns, shape (n,)."""
    returns = np.asarray(returns, dtype=np.float64)
    return Performance(
        total=float(total_return(returns)),
        cagr=float(cagr(returns, periods)),
        volatility=float(volatility(returns, periods)),
        sharpe=float(sharpe(returns, periods)),
        sortino=float(sortino(returns, periods)),
        calmar=float(calmar(returns, periods)),
        max_drawdown=float(max_drawdown(returns)),
    )


def monthly_returns(day: Ints, close: Floats, start: float) -> tuple[NDArray[np.int64], Floats]:
    """Return the return of every calendar month (UTC).

    Parameters
    ----------
    day : ndarray of shape (n_days,), int64
        Beginning of each day, milliseconds since the epoch, consecutive.
    close : ndarray of shape (n_days,), float64
        Equity at the end of each day.
    start : float
        Equity before the first day.

    Returns
    -------
    month : ndarray of shape (n_months,), int64
        ``100 * year + month``.
    value : ndarray of shape (n_months,), float64
    """
    months = day.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    last = np.append(np.flatnonzero(np.diff(months)), len(months) - 1)
    if len(months) == 0:
        return np.empty(0, np.int64), np.empty(0)
    ends = np.concatenate([[start], np.asarray(close, dtype=np.float64)[last]])
    label = 100 * (1970 + months[last] // 12) + months[last] % 12 + 1
    return label, ends[1:] / ends[:-1] - 1.0
