"""Exponentially weighted moments and moving extremes with the start of pandas.

Weights are those of ``Series.ewm(span=..., adjust=True, ignore_na=False)``: a value's weight
falls with its age in rows, and the weights of the rows there are add up to one.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from quorum.typing import Floats


@njit(cache=True)
def ewm_mean(values: Floats, span: int, least: int) -> Floats:
    """Weighted mean per row, NaN before ``least`` values."""
    out = np.full(len(values), np.nan)
    keep = 1.0 - 2.0 / (span + 1.0)
    mean, weight, seen = 0.0, 0.0, 0
    for t in range(len(values)):
        weight *= keep
        if not np.isnan(values[t]):
            # Still prices keep their exact mean: rounding would be a trend of theirs.
            if mean != values[t]:
                mean = (weight * mean + values[t]) / (weight + 1.0)
            weight += 1.0
            seen += 1
        if seen >= max(least, 1):
            out[t] = mean
    return out


@njit(cache=True)
def ewm_deviation(values: Floats, span: int, least: int) -> Floats:
    """Weighted standard deviation per row, without bias, NaN before ``least`` values."""
    out = np.full(len(values), np.nan)
    keep = 1.0 - 2.0 / (span + 1.0)
    mean, variance, weight, squares, seen = 0.0, 0.0, 0.0, 0.0, 0
    for t in range(len(values)):
        weight *= keep
        squares *= keep * keep
        if not np.isnan(values[t]):
            before = mean
            if mean != values[t]:
                mean = (weight * mean + values[t]) / (weight + 1.0)
            spread = weight * (variance + (before - mean) ** 2) + (values[t] - mean) ** 2
            variance = spread / (weight + 1.0)
            weight += 1.0
            squares += 1.0
            seen += 1
        rest = weight * weight - squares
        if seen >= least and seen > 1 and rest > 0:
            out[t] = np.sqrt(weight * weight / rest * variance)
    return out


@njit(cache=True)
def moving_max(values: Floats, window: int, least: int) -> Floats:
    """Largest of the last ``window`` values per row, NaN before ``least`` rows."""
    out = np.full(len(values), np.nan)
    top = 0
    for t in range(len(values)):
        if top <= t - window:
            top = t - window + 1
            for j in range(top, t):
                if values[j] >= values[top]:
                    top = j
        if values[t] >= values[top]:
            top = t
        if t + 1 >= least:
            out[t] = values[top]
    return out
