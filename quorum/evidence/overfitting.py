"""Overfitting: what the best of many trials is worth.

The best of many trials looks good by luck alone. The deflated Sharpe ratio asks whether it beats
what luck would have given; the probability of backtest overfitting asks how often the best in
sample falls under the median out of sample.

Sources: Bailey and Lopez de Prado, "The Sharpe ratio efficient frontier" (2012) and "The deflated
Sharpe ratio" (2014); Bailey, Borwein, Lopez de Prado and Zhu, "The probability of backtest
overfitting" (2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np

from quorum.evidence.performance import sharpe
from quorum.typing import Floats

NORMAL = NormalDist()
EULER = float(np.euler_gamma)
#: A spread under this is rounding: returns that never change have no Sharpe ratio.
TINY = 1e-14


def period_sharpe(returns: Floats) -> Floats:
    """Return the Sharpe ratio per period of each column, 0 where returns never change.

    Parameters
    ----------
    returns : ndarray of shape (n_periods,) or (n_periods, n_trials)
        Simple returns per period, not annualised.

    Returns
    -------
    ndarray of shape () or (n_trials,)
    """
    return np.asarray(np.nan_to_num(sharpe(np.moveaxis(returns, 0, -1), 1.0)))


def sharpe_confidence(
    ratio: float, benchmark: float, n_periods: int, skewness: float, kurtosis: float
) -> float:
    """Return the probability that the true Sharpe ratio is over ``benchmark``.

    Skewness and fat tails widen the error of an estimated ratio (Bailey and Lopez de Prado 2012,
    eq. 11).

    Parameters
    ----------
    ratio, benchmark : float
        Estimated Sharpe ratio and the one it is held against, per period.
    n_periods : int
    skewness, kurtosis : float
        Of the returns; 0 and 3 for normal ones.

    Returns
    -------
    float
        NaN where the error is not defined.
    """
    error = 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2
    if n_periods < 3 or not error > 0:
        return math.nan
    return NORMAL.cdf((ratio - benchmark) * math.sqrt((n_periods - 1) / error))


def probabilistic_sharpe(returns: Floats, benchmark: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio of returns is over ``benchmark``.

    Parameters
    ----------
    returns : ndarray of shape (n_periods,)
        Simple returns per period.
    benchmark : float, default 0
        Sharpe ratio per period.

    Returns
    -------
    float
        NaN with fewer than three periods, or returns that never change.
    """
    n = len(returns)
    spread = float(returns.std()) if n else 0.0
    if n < 3 or spread <= TINY:
        return math.nan
    standard = (returns - returns.mean()) / spread
    skewness, kurtosis = float((standard**3).mean()), float((standard**4).mean())
    return sharpe_confidence(float(period_sharpe(returns)), benchmark, n, skewness, kurtosis)


def expected_best_sharpe(variance: float, n_trials: float) -> float:
    """Return the Sharpe ratio the best of ``n_trials`` worthless ones is expected to show.

    Parameters
    ----------
    variance : float
        Of the trials' Sharpe ratios.
    n_trials : float
        Independent trials; 0 with one or fewer.
    """
    if n_trials <= 1:
        return 0.0
    first = NORMAL.inv_cdf(1 - 1 / n_trials)
    second = NORMAL.inv_cdf(1 - 1 / (n_trials * math.e))
    return float(math.sqrt(variance) * ((1 - EULER) * first + EULER * second))


def effective_trials(returns: Floats) -> float:
    """Return how many independent trials correlated ones amount to.

    ``r + (1 - r) n`` with the mean correlation ``r`` (Bailey and Lopez de Prado 2014, appendix 3),
    negative correlations counted as none. Trials whose returns never change count as one.

    Parameters
    ----------
    returns : ndarray of shape (n_periods, n_trials)
    """
    moving = returns[:, returns.std(axis=0) > TINY]
    n = moving.shape[1]
    still = int(n < returns.shape[1])
    if n < 2:
        return float(n + still)
    correlation = np.corrcoef(moving, rowvar=False)
    mean = max(0.0, float(correlation.sum() - n) / (n * (n - 1)))
    return float(mean + (1 - mean) * n + still)


def deflated_sharpe(returns: Floats, trial_sharpes: Floats, n_trials: float | None = None) -> float:
    """Return the probability that a Sharpe ratio beats what luck gives the best of all trials.

    Parameters
    ----------
    returns : ndarray of shape (n_periods,)
        Of the trial that was chosen.
    trial_sharpes : ndarray of shape (n_trials,)
        Sharpe ratio per period of every trial made, the chosen one among them.
    n_trials : float, optional
        Independent trials; by default every trial counts.

    Returns
    -------
    float
        NaN where :func:`probabilistic_sharpe` is.
    """
    variance = float(trial_sharpes.var(ddof=1)) if len(trial_sharpes) > 1 else 0.0
    count = len(trial_sharpes) if n_trials is None else n_trials
    return probabilistic_sharpe(returns, expected_best_sharpe(variance, count))


@dataclass(frozen=True)
class Overfitting:
    """What combinatorially symmetric cross-validation finds.

    Attributes
    ----------
    probability : float
        How often the best in sample is not over the median out of sample (PBO).
    loss_probability : float
        How often the best in sample has a negative Sharpe ratio out of sample.
    degradation : float
        Slope of the Sharpe ratio out of sample over that in sample; negative: the better a trial
        looked, the worse it became. NaN where all look the same.
    splits : int
        Ways of dividing the periods that were tried.
    """

    probability: float
    loss_probability: float
    degradation: float
    splits: int


def backtest_overfitting(returns: Floats, n_blocks: int = 12) -> Overfitting:
    """Estimate the probability of backtest overfitting (CSCV).

    1. Cut the periods into ``n_blocks`` blocks; what is left over at the start is not used.
    2. For every choice of half of the blocks: the best trial on them by Sharpe ratio,
    3. and its relative rank among all trials on the other half; ties share their mean rank.
    4. PBO is the share of choices in which that rank is not over the median.

    Parameters
    ----------
    returns : ndarray of shape (n_periods, n_trials)
        One column per trial, all over the same periods.
    n_blocks : int, default 12
        Even; 12 give 924 splits.

    Raises
    ------
    ValueError
        With fewer than two trials, an odd number of blocks, or fewer than two periods a block.
    """
    n_periods, n_trials = returns.shape
    if n_trials < 2:
        raise ValueError(f"overfitting: needs two trials or more, has {n_trials}")
    if n_blocks < 2 or n_blocks % 2:
        raise ValueError(f"overfitting: {n_blocks} blocks, must be an even number")
    size = n_periods // n_blocks
    if size < 2:
        raise ValueError(f"overfitting: {n_periods} periods are too few for {n_blocks} blocks")
    blocks = returns[n_periods - size * n_blocks :].reshape(n_blocks, size, n_trials)
    chosen = np.zeros((math.comb(n_blocks, n_blocks // 2), n_blocks))
    for split, members in enumerate(combinations(range(n_blocks), n_blocks // 2)):
        chosen[split, members] = 1.0
    total, square = blocks.sum(axis=1), (blocks**2).sum(axis=1)
    periods = size * n_blocks // 2
    inside = _split_sharpes(chosen, total, square, periods)
    outside = _split_sharpes(1 - chosen, total, square, periods)
    best = inside.argmax(axis=1)
    rows = np.arange(len(best))
    shown, kept = inside[rows, best], outside[rows, best]
    below = (outside < kept[:, None]).sum(axis=1)
    equal = (outside == kept[:, None]).sum(axis=1)
    rank = (below + (equal + 1) / 2) / (n_trials + 1)
    spread = float(shown.var())
    slope = float(np.cov(shown, kept, ddof=0)[0, 1] / spread) if spread > TINY else math.nan
    return Overfitting(float((rank <= 0.5).mean()), float((kept < 0).mean()), slope, len(best))


def _split_sharpes(chosen: Floats, total: Floats, square: Floats, periods: int) -> Floats:
    """Return the Sharpe ratio of every trial on every choice of blocks, from the blocks' sums."""
    mean = chosen @ total / periods
    variance = np.maximum(0.0, chosen @ square - periods * mean**2) / (periods - 1)
    # Differences of sums carry the rounding of their terms.
    moving = variance > TINY * np.maximum(mean**2, TINY)
    spread = np.sqrt(variance, out=np.ones_like(variance), where=moving)
    return np.asarray(np.where(moving, mean / spread, 0.0), dtype=np.float64)
