"""Block bootstrap: how far a statistic could have come out otherwise by luck.

Returns of neighbouring periods depend on each other, so whole blocks of them are drawn, of
random length around a mean that the data suggest (stationary bootstrap).

References: Politis and Romano (1994), "The stationary bootstrap"; Politis and White (2004),
"Automatic block-length selection for the dependent bootstrap", corrected by Patton, Politis and
White (2009).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from quorum.typing import Floats, Ints

#: Resampled values held in memory at a time.
CHUNK = 4_000_000


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval that holds the truth with the given confidence.

    Attributes
    ----------
    estimate, low, high : float
        NaN where it cannot be told.
    level : float
        Confidence of the interval, for example 0.95.
    """

    estimate: float
    low: float
    high: float
    level: float = 0.95

    def holds(self, value: float) -> bool:
        """Whether ``value`` lies inside, or the interval is not known."""
        return not (value < self.low or value > self.high)


def block_length(values: Floats) -> float:
    """Return the mean block length for the stationary bootstrap of a series' mean.

    1. Find the lag ``m`` after which the autocorrelation stays within its noise band.
    2. Estimate the spectral density at zero and its curvature with a flat-top window of ``2 m``.
    3. The length that minimises the mean squared error of the variance, at least 1 and at most
       ``3 sqrt(n)`` or ``n / 3``.

    Parameters
    ----------
    values : ndarray of shape (n,), float64
    """
    n = len(values)
    if n < 10 or not np.ptp(values) > 0:
        return 1.0
    centred = np.asarray(values, dtype=np.float64) - np.mean(values)
    in_a_row = max(5, int(math.sqrt(math.log10(n))))
    longest = min(math.ceil(math.sqrt(n)) + in_a_row, n - 1)
    covariance = np.array([centred[lag:] @ centred[: n - lag] / n for lag in range(longest + 1)])
    quiet = np.abs(covariance[1:] / covariance[0]) < 2.0 * math.sqrt(math.log10(n) / n)
    m = _last_loud_lag(quiet, in_a_row)
    lags = np.arange(-min(2 * m, longest), min(2 * m, longest) + 1)
    window = np.clip(2.0 * (1.0 - np.abs(lags) / (2 * m)), 0.0, 1.0)
    weighted = window * covariance[np.abs(lags)]
    curvature = float(np.sum(np.abs(lags) * weighted))
    variance = 2.0 * float(np.sum(weighted)) ** 2
    if variance <= 0:
        return 1.0
    length = (2.0 * curvature**2 / variance * n) ** (1.0 / 3.0)
    return float(min(max(length, 1.0), math.ceil(min(3.0 * math.sqrt(n), n / 3.0))))


def _last_loud_lag(quiet: np.ndarray, in_a_row: int) -> int:
    """Return the lag before the first ``in_a_row`` quiet lags, else the last loud one, at least 1.

    ``quiet[i]`` tells of lag ``i + 1``.
    """
    runs = np.convolve(quiet, np.ones(in_a_row), mode="valid") >= in_a_row
    if runs.any():
        return max(int(np.argmax(runs)), 1)
    loud = np.flatnonzero(~quiet)
    return int(loud[-1]) + 1 if len(loud) else 1


def block_rows(n: int, runs: int, length: float, rng: np.random.Generator) -> Ints:
    """Draw rows of the stationary bootstrap, shape (runs, n).

    Blocks begin anywhere, wrap around the end, and have geometric lengths of mean ``length``.
    """
    fresh = rng.random((runs, n)) < 1.0 / max(length, 1.0)
    fresh[:, 0] = True
    starts = rng.integers(0, n, (runs, n))
    position = np.arange(n)
    begun = np.maximum.accumulate(np.where(fresh, position, 0), axis=1)
    return np.asarray((np.take_along_axis(starts, begun, 1) + position - begun) % n)


def bootstrap(
    values: Floats,
    statistic: Callable[[Floats], Floats],
    *,
    runs: int = 1000,
    length: float | None = None,
    seed: int = 7,
) -> Floats:
    """Compute a statistic on resampled series.

    Parameters
    ----------
    values : ndarray of shape (..., n), float64
        Series that belong together are resampled together.
    statistic : callable
        Reduces the last axis of an array of shape (..., m, n) to shape (m,).
    runs : int, default 1000
    length : float, optional
        Mean block length; by default that of :func:`block_length`, for several series the
        longest of theirs.
    seed : int, default 7

    Returns
    -------
    ndarray of shape (runs,), float64
    """
    values = np.asarray(values, dtype=np.float64)
    n = values.shape[-1]
    if n == 0:
        return np.full(runs, np.nan)
    if length is None:
        length = max(block_length(series) for series in values.reshape(-1, n))
    rng = np.random.default_rng(seed)
    at_once = max(1, CHUNK // max(values.size, 1))
    samples = [
        np.asarray(statistic(values[..., block_rows(n, min(at_once, runs - done), length, rng)]))
        for done in range(0, runs, at_once)
    ]
    return np.concatenate(samples)


def bootstrap_interval(
    values: Floats,
    statistic: Callable[[Floats], Floats],
    *,
    level: float = 0.95,
    runs: int = 1000,
    length: float | None = None,
    seed: int = 7,
) -> Interval:
    """Return a statistic with its percentile interval over resampled series.

    Samples in which the statistic is not defined are left out; where that is most of them the
    interval is not known. Parameters are those of :func:`bootstrap`.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.shape[-1] == 0:
        return Interval(math.nan, math.nan, math.nan, level)
    estimate = float(np.asarray(statistic(values[..., None, :]))[0])
    samples = bootstrap(values, statistic, runs=runs, length=length, seed=seed)
    known = samples[~np.isnan(samples)]
    if 2 * len(known) < runs or values.shape[-1] < 2:
        return Interval(estimate, math.nan, math.nan, level)
    # Infinite samples (no loss drawn) stay: `lower` never interpolates between infinities.
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2], method="lower")
    return Interval(estimate, float(low), float(high), level)


def percentile_of(value: float, samples: Floats) -> float:
    """Return the share of samples below ``value`` (0 to 1), ties counted half; NaN without any."""
    known = samples[~np.isnan(samples)]
    if len(known) == 0 or math.isnan(value):
        return math.nan
    return float(np.mean(known < value) + 0.5 * np.mean(known == value))


def chance_of(value: float, samples: Floats) -> float:
    """Return how likely chance alone does as well: (1 + samples at or above) / (1 + samples)."""
    known = samples[~np.isnan(samples)]
    if math.isnan(value):
        return math.nan
    return float((1 + np.sum(known >= value)) / (1 + len(known)))
