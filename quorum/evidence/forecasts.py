"""Forecasts: whether promised probabilities and scores mean anything.

``promised`` is the probability given to an event, ``happened`` whether it came true.

References: Wilson (1927), "Probable inference"; DeLong, DeLong and Clarke-Pearson (1988), with
the midrank form of Sun and Xu (2014); Newey and West (1987).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from quorum.evidence.bootstrap import Interval
from quorum.typing import Bools, Floats, Ints

#: Probabilities are kept this far from 0 and 1 where their logarithm is taken.
SMALLEST = 1e-12


def wilson(successes: ArrayLike, trials: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """Return the Wilson score interval of a success rate; NaN without trials.

    Parameters
    ----------
    successes, trials : array_like of the same shape
    level : float, default 0.95
    """
    n = np.asarray(trials, dtype=np.float64)
    k = np.asarray(successes, dtype=np.float64)
    z = _z(level)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = k / n
        centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
        half = z * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def win_interval(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Return a success rate with its Wilson interval."""
    low, high = wilson(successes, trials, level)
    rate = successes / trials if trials else math.nan
    return Interval(rate, float(low), float(high), level)


def _z(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def brier(promised: Floats, happened: ArrayLike, weight: Floats | None = None) -> float:
    """Return the mean squared error of probabilities; 0 is perfect, 0.25 is a coin's."""
    if len(promised) == 0:
        return math.nan
    error = (np.asarray(promised) - np.asarray(happened, dtype=np.float64)) ** 2
    return float(np.average(error, weights=weight))


def brier_skill(promised: Floats, happened: ArrayLike) -> float:
    """Return the share of the base rate's Brier score that the forecast removes.

    0 is as good as always promising the realised rate, below 0 worse; NaN where every outcome
    is the same.
    """
    outcome = np.asarray(happened, dtype=np.float64)
    if len(outcome) == 0 or np.ptp(outcome) == 0:
        return math.nan
    return 1.0 - brier(promised, outcome) / float(np.var(outcome))


def log_loss(promised: Floats, happened: ArrayLike, weight: Floats | None = None) -> float:
    """Return the mean negative log likelihood of a yes/no outcome [nats]."""
    if len(promised) == 0:
        return math.nan
    p = np.clip(np.asarray(promised, dtype=np.float64), SMALLEST, 1.0 - SMALLEST)
    y = np.asarray(happened, dtype=np.float64)
    return float(np.average(-(y * np.log(p) + (1.0 - y) * np.log(1.0 - p)), weights=weight))


@dataclass(frozen=True)
class Reliability:
    """Promised against realised rates by group of similar promises.

    Attributes
    ----------
    promised, realised : ndarray of shape (n_groups,), float64
        Mean probability and rate of events.
    count : ndarray of shape (n_groups,), int64
    low, high : ndarray of shape (n_groups,), float64
        Wilson interval of ``realised``.
    lower, upper : ndarray of shape (n_groups,), float64
        Smallest and largest probability of the group.
    """

    promised: Floats
    realised: Floats
    count: Ints
    low: Floats
    high: Floats
    lower: Floats
    upper: Floats


def reliability(
    promised: Floats, happened: ArrayLike, groups: int = 10, level: float = 0.95
) -> Reliability:
    """Group forecasts into quantiles of the promise; equal promises stay in one group.

    Parameters
    ----------
    promised : ndarray of shape (n,), float64
    happened : array_like of shape (n,), bool
    groups : int, default 10
        At most so many; fewer where promises repeat.
    level : float, default 0.95
    """
    p = np.asarray(promised, dtype=np.float64)
    y = np.asarray(happened, dtype=np.float64)
    if len(p) == 0:
        empty = np.empty(0)
        return Reliability(empty, empty, np.empty(0, np.int64), empty, empty, empty, empty)
    rank = (_midranks(p) - 0.5) / len(p)
    group = np.unique(np.floor(groups * rank), return_inverse=True)[1]
    count = np.bincount(group)
    hits = np.bincount(group, weights=y)
    low, high = wilson(hits, count, level)
    order = np.argsort(p, kind="stable")
    last = np.cumsum(count) - 1
    return Reliability(
        promised=np.bincount(group, weights=p) / count,
        realised=hits / count,
        count=count.astype(np.int64),
        low=low,
        high=high,
        lower=p[order][last - count + 1],
        upper=p[order][last],
    )


def calibration_error(promised: Floats, happened: ArrayLike, groups: int = 10) -> float:
    """Return the mean distance of promised from realised rates, groups weighted by size (ECE)."""
    found = reliability(promised, happened, groups)
    if len(found.count) == 0:
        return math.nan
    return float(np.average(np.abs(found.promised - found.realised), weights=found.count))


def _midranks(values: Floats) -> Floats:
    """Return the ranks of values from 1, equal values sharing their mean rank."""
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2.0)[inverse], dtype=np.float64)


def auc(score: Floats, happened: ArrayLike, level: float = 0.95) -> Interval:
    """Return the area under the ROC curve with DeLong's interval; NaN with one outcome only.

    It is the chance that an event had a higher score than a non-event; 0.5 is no skill.
    """
    score = np.asarray(score, dtype=np.float64)
    y: Bools = np.asarray(happened, dtype=np.bool_)
    yes, no = score[y], score[~y]
    m, n = len(yes), len(no)
    if m == 0 or n == 0:
        return Interval(math.nan, math.nan, math.nan, level)
    ranks = _midranks(np.concatenate([yes, no]))
    area = float((np.sum(ranks[:m]) - m * (m + 1) / 2) / (m * n))
    if m < 2 or n < 2:
        return Interval(area, math.nan, math.nan, level)
    above = (ranks[:m] - _midranks(yes)) / n
    below = 1.0 - (ranks[m:] - _midranks(no)) / m
    error = math.sqrt(np.var(above, ddof=1) / m + np.var(below, ddof=1) / n)
    half = _z(level) * error
    return Interval(area, max(area - half, 0.0), min(area + half, 1.0), level)


def information_coefficient(
    score: Floats, outcome: Floats, time: Ints, lag: int, level: float = 0.95
) -> Interval:
    """Return the rank correlation of scores with outcomes, and an interval that knows overlaps.

    Outcomes over ``lag`` candles overlap in time, and those of several pairs happen together; a
    plain interval would take them for independent and be far too narrow.

    1. Rank both, equal values sharing their rank; the coefficient is their correlation
       (Spearman).
    2. Each observation's influence on it; sums over observations of one time.
    3. Variance of the sums with Newey and West's weights over the times within ``lag``.

    Parameters
    ----------
    score, outcome : ndarray of shape (n,), float64
        Rows where either is not finite are left out.
    time : ndarray of shape (n,), int64
        Candle number of each observation; rows of several pairs may share one.
    lag : int
        Candles over which outcomes overlap.
    level : float, default 0.95
    """
    known = np.isfinite(score) & np.isfinite(outcome)
    n = int(known.sum())
    if n < 3:
        return Interval(math.nan, math.nan, math.nan, level)
    x, y = (_standardised(_midranks(v[known])) for v in (score, outcome))
    if x is None or y is None:
        return Interval(math.nan, math.nan, math.nan, level)
    estimate = float(np.mean(x * y))
    influence = x * y - estimate * (x * x + y * y) / 2.0
    half = _z(level) * _clustered_error(influence, time[known], lag)
    return Interval(estimate, max(estimate - half, -1.0), min(estimate + half, 1.0), level)


def overlapping_mean(values: Floats, time: Ints, lag: int, level: float = 0.95) -> Interval:
    """Return the mean of outcomes that overlap in time, with an interval that knows it.

    Parameters
    ----------
    values : ndarray of shape (n,), float64
        For example 1 where a vote was right; rows that are not finite are left out.
    time : ndarray of shape (n,), int64
        Candle number of each; rows of several pairs may share one.
    lag : int
        Candles over which outcomes overlap.
    level : float, default 0.95
    """
    known = np.isfinite(values)
    if not known.any():
        return Interval(math.nan, math.nan, math.nan, level)
    estimate = float(np.mean(values[known]))
    if known.sum() < 2:
        return Interval(estimate, math.nan, math.nan, level)
    half = _z(level) * _clustered_error(values[known] - estimate, time[known], lag)
    return Interval(estimate, estimate - half, estimate + half, level)


def _clustered_error(influence: Floats, time: Ints, lag: int) -> float:
    """Return the standard error of a mean by Newey and West over sums of equal times."""
    sums = np.bincount((time - time.min()).astype(np.int64), weights=influence)
    # Not with @: BLAS starts threads for each of many short products, and they wait for each other.
    variance = float(np.einsum("i,i", sums, sums))
    for k in range(1, min(lag, len(sums) - 1) + 1):
        product = float(np.einsum("i,i", sums[k:], sums[:-k]))
        variance += 2.0 * (1.0 - k / (lag + 1.0)) * product
    return math.sqrt(max(variance, 0.0)) / len(influence)


def _standardised(values: Floats) -> Floats | None:
    spread = float(np.std(values))
    return None if spread == 0 else np.asarray((values - np.mean(values)) / spread)
