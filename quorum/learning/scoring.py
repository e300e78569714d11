"""Scoring: forecasts against outcomes, with intervals that know that labels overlap (spec M9).

A label spans days, labels of one day overlap, and pairs move together: thousands of rows are a
few hundred observations. So days are resampled in blocks, with all their rows and all pairs; every
figure is a function of sums over days, and all of them are computed from the same draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from quorum.candles import DAY_MS
from quorum.evidence.bootstrap import Interval, block_length, block_rows
from quorum.learning.probabilities import SMALLEST
from quorum.typing import Bools, Floats, Ints

#: Rows of fewer days tell no interval: resampling repeats them, and luck looks certain [days].
LEAST_DAYS = 20


@dataclass(frozen=True)
class Draws:
    """How often each day is in each resampled period.

    Attributes
    ----------
    first : int
        Number of the first day.
    counts : ndarray of shape (runs, n_days), float64
    level : float
        Confidence of the intervals.
    """

    first: int
    counts: Floats
    level: float

    def totals(self, time: Ints, values: Floats) -> Floats:
        """Return the sums of values in every resampled period, shape (runs, n_columns).

        Parameters
        ----------
        time : ndarray of shape (n,), int64
            Of each row, ms.
        values : ndarray of shape (n, n_columns), float64
        """
        day = time // DAY_MS - self.first
        n = self.counts.shape[1]
        columns = [np.bincount(day, weights=v, minlength=n) for v in np.asarray(values).T]
        return np.asarray(self.counts @ np.column_stack(columns))

    def interval(self, estimate: float, samples: Floats) -> Interval:
        """Return the percentile interval; unknown where most samples are not defined."""
        defined = samples[np.isfinite(samples)]
        if not math.isfinite(estimate) or 2 * len(defined) < len(samples):
            return Interval(estimate, math.nan, math.nan, self.level)
        low, high = np.quantile(defined, [(1 - self.level) / 2, (1 + self.level) / 2])
        return Interval(estimate, float(low), float(high), self.level)

    def mean(self, time: Ints, values: Floats) -> Interval:
        """Return the mean of values with its interval; rows that are not finite are left out.

        From fewer than ``LEAST_DAYS`` days the interval is unknown.
        """
        rows = np.isfinite(values)
        if not rows.any():
            return Interval(math.nan, math.nan, math.nan, self.level)
        time, values = time[rows], values[rows]
        if len(np.unique(time // DAY_MS)) < LEAST_DAYS:
            return Interval(float(np.mean(values)), math.nan, math.nan, self.level)
        sums = self.totals(time, np.column_stack([values, np.ones(len(values))]))
        return self.interval(float(np.mean(values)), ratio(sums[:, 0], sums[:, 1]))

    def auc(self, time: Ints, score: Floats, happened: Sequence[Bools]) -> Interval:
        """Return the mean AUC of several outcomes with its interval.

        The interval follows from the rows' placements (DeLong et al. 1988): the AUC is the mean
        placement of the events and of the non-events, each of which is a ratio of sums over days.

        Parameters
        ----------
        time : ndarray of shape (n,), int64
        score : ndarray of shape (n, n_outcomes), float64
        happened : sequence of n_outcomes arrays of shape (n,), bool
            Those that always or never happened are left out.
        """
        estimates, samples = [], []
        for values, yes in zip(score.T, happened, strict=True):
            if not 0 < yes.sum() < len(yes):
                continue
            place = placements(values, yes)
            estimates.append(float(np.mean(place[yes])))
            columns = np.column_stack([place * yes, yes, place * ~yes, ~yes])
            sums = self.totals(time, columns)
            above = ratio(sums[:, 0], sums[:, 1]) + ratio(sums[:, 2], sums[:, 3])
            samples.append(np.clip(above - estimates[-1], 0.0, 1.0))
        if not estimates:
            return Interval(math.nan, math.nan, math.nan, self.level)
        estimate = float(np.mean(estimates))
        if len(np.unique(time // DAY_MS)) < LEAST_DAYS:
            return Interval(estimate, math.nan, math.nan, self.level)
        return self.interval(estimate, np.mean(samples, axis=0))


def draw_days(
    time: Ints,
    series: Sequence[Floats],
    shortest: float,
    runs: int,
    level: float,
    seed: int,
    *,
    within: Ints | None = None,
) -> tuple[Draws, float]:
    """Draw days in blocks of the length that the series need.

    Parameters
    ----------
    time : ndarray of shape (n,), int64
    series : sequence of ndarray of shape (n,), float64
        Values by row whose daily means say how far days depend on each other.
    shortest : float
        Shortest mean block [days].
    runs, level, seed : int, float, int
    within : ndarray of int64, optional
        Times whose days are drawn from too, from the first to the last; ms.

    Returns
    -------
    draws : Draws
    length : float
        Mean length of the blocks [days].
    """
    day = time // DAY_MS
    days = day if within is None else within // DAY_MS
    first = int(days.min())
    n = int(days.max()) - first + 1
    rows = np.bincount(day - first, minlength=n)
    length = min(shortest, max(n / 3, 1.0))
    for values in series:
        sums = np.bincount(day - first, weights=values, minlength=n)
        length = max(length, block_length(sums[rows > 0] / rows[rows > 0]))
    drawn = block_rows(n, runs, length, np.random.default_rng(seed))
    at = drawn + n * np.arange(runs)[:, None]
    counts = np.bincount(at.ravel(), minlength=runs * n).reshape(runs, n)
    return Draws(first, counts.astype(np.float64), level), length


def placements(score: Floats, happened: Bools) -> Floats:
    """Return which share of the other kind each row is on the right side of, shape (n,).

    Of an event the share of non-events below it, of a non-event that of the events above it; ties
    count half. Their mean over either kind is the AUC.
    """
    m, n = int(happened.sum()), int((~happened).sum())
    rank = rankdata(score)
    out = np.empty(len(score))
    out[happened] = (rank[happened] - rankdata(score[happened])) / n
    out[~happened] = 1.0 - (rank[~happened] - rankdata(score[~happened])) / m
    return out


def rank_auc(rank: Floats, happened: Bools) -> float:
    """Return the AUC of outcomes against scores whose ranks are known; NaN with one outcome."""
    m = int(happened.sum())
    n = len(happened) - m
    if not m or not n:
        return math.nan
    return float((rank[happened].sum() - m * (m + 1) / 2) / (m * n))


def row_log_loss(p: Floats, code: Ints) -> Floats:
    """Return minus the logarithm of the probability of what came true, shape (n,) [nats]."""
    true = p[np.arange(len(code)), code]
    return np.asarray(-np.log(np.maximum(true, SMALLEST)))


def row_brier(p: Floats, code: Ints) -> Floats:
    """Return the squared error summed over the classes, shape (n,)."""
    error = p.copy()
    error[np.arange(len(code)), code] -= 1.0
    return np.asarray((error**2).sum(axis=1))


def ratio(above: Floats, below: Floats) -> Floats:
    """Return the quotient, NaN where nothing is below."""
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)
