"""Rolling volume profile: at which prices the volume of the last candles was traded.

Each candle's volume is spread evenly over its range (in log price). The bins lie on an absolute
grid whose width is a power of two, chosen so that the window's range takes at most ``bins`` of
them; the grid therefore depends on the window alone. Candles enter and leave the profile one by
one. Amounts are rounded to 24 bits first: then adding and subtracting them in 53 bits is exact,
nothing is left over of a candle that has gone, and the profile is a function of its window
whatever came before it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import talib
from numba import njit

from quorum.features.series import ratio, shifted
from quorum.features.table import Features
from quorum.market import Market
from quorum.typing import Floats

#: Rows of the kernel's answer, all in log price.
POC, VALUE_HIGH, VALUE_LOW, GAP_ABOVE, GAP_BELOW = range(5)
#: A window whose log range is smaller did not trade at more than one price.
FLAT = 1e-9


class VolumeProfileConstants(NamedTuple):
    """Window and resolution of the rolling volume profile."""

    window: int = 168  # candles in the profile [candles]
    bins: int = 48  # most price bins in the profile [bins]
    value_area: float = 0.70  # share of the volume in the value area [fraction]
    gap: float = 0.35  # volume of a low-volume gap [fraction of the mean bin]
    shift: int = 24  # candles over which value is seen to move [candles]


@njit(cache=True)
def _spread(
    bins: Floats, mask: int, low: float, high: float, volume: float, per_log: float, sign: float
) -> None:
    """Add (or with ``sign`` -1 take away) one candle's volume."""
    a = low * per_log
    b = high * per_log
    i = math.floor(a)
    j = math.floor(b)
    if i == j:
        bins[i & mask] += sign * np.float64(np.float32(volume))
        return
    density = volume / (b - a)
    bins[i & mask] += sign * np.float64(np.float32(density * (i + 1 - a)))
    full = sign * np.float64(np.float32(density))
    for k in range(i + 1, j):
        bins[k & mask] += full
    bins[j & mask] += sign * np.float64(np.float32(density * (b - j)))


@njit(cache=True)
def _value_area(profile: Floats, k: int, share: float) -> tuple[int, int, int]:
    """Point of control and the bottom and top bin of the value area around it."""
    total = 0.0
    poc = k // 2
    for i in range(k):
        total += profile[i]
        # Of equal bins the one nearest the middle of the profile is the point of control.
        nearer = abs(2 * i - k + 1) < abs(2 * poc - k + 1)
        if profile[i] > profile[poc] or (profile[i] == profile[poc] and nearer):
            poc = i
    bottom = poc
    top = poc
    inside = profile[poc]
    while inside < share * total and (bottom > 0 or top < k - 1):
        above = profile[top + 1] if top < k - 1 else -1.0
        below = profile[bottom - 1] if bottom > 0 else -1.0
        # Both on a tie: neither side may be preferred, and empty bins must not lead one way.
        if above >= below:
            top += 1
            inside += above
        if below >= above:
            bottom -= 1
            inside += below
    # It ends at prices that were traded.
    while top > poc and profile[top] <= 0:
        top -= 1
    while bottom < poc and profile[bottom] <= 0:
        bottom += 1
    return poc, bottom, top


@njit(cache=True)
def _gaps(profile: Floats, k: int, place: int, gap: float) -> tuple[int, int]:
    """Nearest low-volume bin at or below and at or above ``place``, -1 where none."""
    mean = 0.0
    for i in range(k):
        mean += profile[i] / k
    first = 0
    last = k - 1
    # The thin ends of a profile are no gaps: beyond a gap there is traded volume again.
    while first < k - 1 and profile[first] < mean:
        first += 1
    while last > 0 and profile[last] < mean:
        last -= 1
    above = -1
    for i in range(place, last):
        if profile[i] <= gap * mean:
            above = i
            break
    below = -1
    for i in range(place, first, -1):
        if profile[i] <= gap * mean:
            below = i
            break
    return below, above


@njit(cache=True)
def _slide(
    bins: Floats, low: Floats, high: Floats, volume: Floats,
    t: int, window: int, per_log: float, rebuild: bool,
) -> None:  # fmt: skip
    """Bring the bins from the window that ended at ``t - 1`` to the one that ends at ``t``."""
    mask = len(bins) - 1
    first = t
    if rebuild:
        bins[:] = 0.0
        first = t - window + 1
    else:
        gone = t - window
        _spread(bins, mask, low[gone], high[gone], volume[gone], per_log, -1.0)
    for j in range(first, t + 1):
        _spread(bins, mask, low[j], high[j], volume[j], per_log, 1.0)


@njit(cache=True)
def _profile(
    low: Floats, high: Floats, close: Floats, volume: Floats, floor: Floats, ceiling: Floats,
    window: int, n_bins: int, value_area: float, gap: float,
) -> Floats:  # fmt: skip
    """Slide the profile along; the rows of the result are log prices, NaN where unknown."""
    n = len(low)
    out = np.full((5, n), np.nan)
    size = 1
    while size < n_bins + 4:
        size *= 2
    bins = np.zeros(size)
    profile = np.zeros(size)
    exponent = 0
    built = False
    for t in range(window - 1, n):
        if ceiling[t] - floor[t] < FLAT:
            built = False
            continue
        _, needed = math.frexp((ceiling[t] - floor[t]) / n_bins)
        per_log = math.ldexp(1.0, -needed)
        _slide(bins, low, high, volume, t, window, per_log, not built or needed != exponent)
        exponent = needed
        built = True
        base = math.floor(floor[t] * per_log)
        k = math.floor(ceiling[t] * per_log) - base + 1
        for i in range(k):
            profile[i] = bins[(base + i) & (size - 1)]
        place = math.floor(close[t] * per_log) - base
        poc, bottom, top = _value_area(profile, k, value_area)
        if profile[poc] <= 0:
            continue
        below, above = _gaps(profile, k, place, gap)
        out[POC, t] = (base + poc + 0.5) / per_log
        out[VALUE_HIGH, t] = (base + top + 1) / per_log
        out[VALUE_LOW, t] = (base + bottom) / per_log
        if above >= 0:
            out[GAP_ABOVE, t] = max(close[t], (base + above) / per_log)
        if below >= 0:
            out[GAP_BELOW, t] = min(close[t], (base + below + 1) / per_log)
    return out


def add_volume_profile(market: Market, out: Features, constants: VolumeProfileConstants) -> None:
    """Add the rolling volume profile; needs ``atr_unit``. Lag 0.

    Prices: ``poc`` (point of control), ``value_area_high``, ``value_area_low`` (market profile,
    Steidlmayer), ``volume_gap_above``, ``volume_gap_below`` (where the nearest low-volume gap
    begins; the close itself when it lies in one; NaN if none). Scale-free: ``poc_distance``,
    ``volume_gap_above_distance``, ``volume_gap_below_distance`` (ATR), ``value_position`` (0 at
    the low, 1 at the high of the value area), ``value_shift`` (move of its middle, ATR).
    """
    c = market.candles
    low, high, close = np.log(c.low), np.log(c.high), np.log(c.close)
    rows = _profile(
        low,
        high,
        close,
        c.volume,
        talib.MIN(low, constants.window),
        talib.MAX(high, constants.window),
        constants.window,
        constants.bins,
        constants.value_area,
        constants.gap,
    )
    prices = np.exp(rows)
    atr = out["atr_unit"]
    out.add("poc", prices[POC], scale_free=False)
    top = out.add("value_area_high", prices[VALUE_HIGH], scale_free=False)
    bottom = out.add("value_area_low", prices[VALUE_LOW], scale_free=False)
    above = out.add("volume_gap_above", prices[GAP_ABOVE], scale_free=False)
    below = out.add("volume_gap_below", prices[GAP_BELOW], scale_free=False)
    # The bins lie on one fixed grid of prices, so that the history's start does not move them: in
    # another currency unit their edges, and with them these ratios, are others.
    middle = (top + bottom) / 2.0
    for name, values in (
        ("poc_distance", ratio(c.close - prices[POC], atr)),
        ("volume_gap_above_distance", ratio(np.maximum(above - c.close, 0.0), atr)),
        ("volume_gap_below_distance", ratio(np.maximum(c.close - below, 0.0), atr)),
        ("value_position", ratio(c.close - bottom, top - bottom)),
        ("value_shift", ratio(middle - shifted(middle, constants.shift), atr)),
    ):
        out.add(name, values, scale_free=False)
