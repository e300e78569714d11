"""Risk measured on returns and on outcomes: CVaR, correlation, past results (spec S3).

Pure functions of what had happened before the trade; what cannot be measured is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from quorum.account import ClosedPosition
from quorum.typing import Floats


def recent_returns(close: Floats, row: int, count: int) -> Floats:
    """Return the last log returns that are known at the close of candle ``row``.

    Parameters
    ----------
    close : ndarray of shape (n_candles,)
        Closing prices.
    row : int
        Last closed candle; nothing after it is read.
    count : int
        Returns wanted.

    Returns
    -------
    ndarray of shape (min(count, row),), float64
        The last is the return of candle ``row``; NaN next to a price that is not positive.
    """
    price = np.asarray(close[max(0, row - count) : row + 1], dtype=np.float64)
    return np.diff(np.log(np.where(price > 0, price, np.nan)))


def holding_returns(returns: Floats, holding: int) -> Floats:
    """Return the simple return over every span of ``holding`` candles (they overlap).

    Spans with a return that is not finite are left out.
    """
    if len(returns) < holding:
        return np.empty(0, dtype=np.float64)
    spans: Floats = np.lib.stride_tricks.sliding_window_view(returns, holding).sum(axis=1)
    outcomes: Floats = np.expm1(spans[np.isfinite(spans)])
    return outcomes


def cvar(outcomes: Floats, level: float) -> float:
    """Return the empirical CVaR: the mean loss of the worst ``1 - level`` of the outcomes.

    The outcome on the edge counts with the part of it that belongs to the tail, so the measure
    is continuous in ``level`` (Rockafellar and Uryasev 2002). A loss is positive; where even
    the tail gains it is negative. NaN without outcomes.
    """
    if len(outcomes) == 0:
        return math.nan
    losses = -np.sort(outcomes)
    tail = (1.0 - level) * len(losses)
    # Decimals such as .95 leave a residue that must not count as an outcome of its own.
    whole = math.floor(tail + 1e-9)
    if whole == 0:
        return float(losses[0])
    rest = max(tail - whole, 0.0)
    edge = rest * losses[whole] if whole < len(losses) else 0.0
    return float((losses[:whole].sum() + edge) / (whole + rest))


def holding_cvar(
    returns: Floats | None, direction: int, holding: int, level: float, periods: int
) -> float:
    """Return the CVaR of holding a position, as a fraction of its value.

    Parameters
    ----------
    returns : ndarray of shape (n_candles,) or None
        Log returns of the pair.
    direction : int
        +1 long, -1 short: a short loses what the price gains.
    holding : int
        Expected holding time [candles].
    level : float
        For example 0.95.
    periods : int
        Holding times the history must hold side by side.

    Returns
    -------
    float
        NaN where the history is too short; overlapping spans say little more than the number
        of them that fit side by side.
    """
    if returns is None:
        return math.nan
    outcomes = holding_returns(returns, holding)
    if len(outcomes) < periods * holding - holding + 1:
        return math.nan
    return cvar(direction * outcomes, level)


def correlation(first: Floats, second: Floats, candles: int, least: int) -> float:
    """Return the correlation of two pairs' returns over the last ``candles``.

    Both end with the same candle. Candles where either is unknown are left out; NaN where fewer
    than ``least`` remain or one stood still.
    """
    n = min(len(first), len(second), candles)
    a, b = first[len(first) - n :], second[len(second) - n :]
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < max(least, 2):
        return math.nan
    a, b = a[known] - a[known].mean(), b[known] - b[known].mean()
    spread = math.sqrt(float(a @ a)) * math.sqrt(float(b @ b))
    # Equal returns leave a residue of rounding in place of no spread at all.
    if spread <= np.finfo(np.float64).eps * n:
        return math.nan
    return float(np.clip(a @ b / spread, -1.0, 1.0))


def mean_known(values: Iterable[float]) -> float:
    """Return the mean of the values that are known, NaN where none is."""
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def past_results(closed: Sequence[ClosedPosition], count: int) -> tuple[int, float, float]:
    """Return the number, win rate and Sharpe ratio of the last ``count`` closed trades.

    The Sharpe ratio is that of one trade: mean over standard deviation of the trades' profit
    ratios. NaN where it is undefined: fewer than two trades, or all alike.
    """
    ratios = np.array([trade.ratio for trade in closed[-count:]], dtype=np.float64)
    ratios = ratios[np.isfinite(ratios)]
    if len(ratios) == 0:
        return 0, math.nan, math.nan
    win_rate = float((ratios > 0).mean())
    deviation = float(ratios.std(ddof=1)) if len(ratios) > 1 else 0.0
    if deviation <= np.finfo(np.float64).eps * float(np.abs(ratios).max()):
        return len(ratios), win_rate, math.nan
    return len(ratios), win_rate, float(ratios.mean()) / deviation
