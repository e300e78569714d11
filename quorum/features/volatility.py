"""Volatility: true range, bands and channels, and range-based estimates of the variance."""

from __future__ import annotations

from math import log
from typing import NamedTuple

import numpy as np
import talib
from numba import njit

from quorum.candles import Candles
from quorum.features.series import ratio
from quorum.features.table import Features
from quorum.market import Market
from quorum.typing import Floats

#: 1 / (4 ln 2): a driftless walk's squared log range over its variance (Parkinson 1980).
PARKINSON = 1.0 / (4.0 * log(2.0))
#: 2 ln 2 - 1: the weight of the body in the estimate of Garman and Klass (1980).
GARMAN_KLASS = 2.0 * log(2.0) - 1.0
#: The constant of Yang and Zhang (2000) that minimises the variance of their estimate.
YANG_ZHANG = 0.34


class MassIndexConstants(NamedTuple):
    """The Mass Index of Donald Dorsey and its reversal bulge."""

    average: int = 9  # averages of the range [candles]
    window: int = 25  # ratios added up [candles]
    bulge: float = 27.0  # level that opens a bulge [sum of ratios]
    trigger: float = 26.5  # level that ends it [sum of ratios]
    hold: int = 24  # life of the reversal signal [candles]


class VolatilityConstants(NamedTuple):
    """Periods of the volatility columns."""

    atr: int = 14  # average true range [candles]
    still: float = 1e-6  # ATR under which the market stands still [of close]
    expansion: int = 100  # mean that ATR and band width are held against [candles]
    bollinger: int = 20  # Bollinger bands [candles]
    bollinger_deviations: float = 2.0  # half width of the Bollinger bands [standard deviations]
    keltner: int = 20  # middle of the Keltner channel [candles]
    keltner_atr: int = 10  # ATR of the Keltner channel [candles]
    keltner_multiple: float = 2.0  # half width of the Keltner channel [ATR]
    donchian: int = 20  # Donchian channel [candles]
    chandelier: int = 22  # Chandelier exit and its ATR [candles]
    chandelier_multiple: float = 3.0  # distance of the Chandelier exit [ATR]
    mass: MassIndexConstants = MassIndexConstants()
    realised: int = 20  # range-based volatility [candles]


@njit(cache=True)
def _rolling_moments(values: Floats, window: int) -> tuple[Floats, Floats]:
    """Mean and population standard deviation of the last ``window`` values."""
    # Each window anew: a running sum of squares would keep rounding errors of prices long gone.
    n = len(values)
    mean = np.full(n, np.nan)
    deviation = np.full(n, np.nan)
    for t in range(window - 1, n):
        total = 0.0
        for j in range(t - window + 1, t + 1):
            total += values[j]
        middle = total / window
        squares = 0.0
        for j in range(t - window + 1, t + 1):
            squares += (values[j] - middle) ** 2
        mean[t] = middle
        deviation[t] = np.sqrt(squares / window)
    return mean, deviation


@njit(cache=True)
def _stop_side(close: Floats, long_stop: Floats, short_stop: Floats) -> Floats:
    """Which stop was broken last: +1 the short's, -1 the long's, NaN before the first."""
    n = len(close)
    side = np.full(n, np.nan)
    now = 0.0
    for t in range(1, n):
        if close[t] > short_stop[t - 1] and not close[t] < long_stop[t - 1]:
            now = 1.0
        elif close[t] < long_stop[t - 1] and not close[t] > short_stop[t - 1]:
            now = -1.0
        if now != 0.0:
            side[t] = now
    return side


@njit(cache=True)
def _reversal_bulge(mass: Floats, slope: Floats, bulge: float, trigger: float, hold: int) -> Floats:
    """Signal against the slope where a bulge ends, fading to 0 over ``hold`` candles."""
    n = len(mass)
    out = np.full(n, np.nan)
    armed = False
    side = 0.0
    age = hold
    for t in range(n):
        if np.isnan(mass[t]):
            continue
        age += 1
        if mass[t] > bulge:
            armed = True
        elif armed and mass[t] < trigger:
            armed = False
            side = -np.sign(slope[t])
            age = 0
        out[t] = side * (1.0 - age / hold) if age < hold else 0.0
    return out


def _add_bollinger(c: Candles, out: Features, constants: VolatilityConstants) -> None:
    """Add the Bollinger bands, their width, and where the close stands in them."""
    middle, deviation = _rolling_moments(c.close, constants.bollinger)
    half = constants.bollinger_deviations * deviation
    out.add("bollinger_upper", middle + half, scale_free=False)
    out.add("bollinger_middle", middle, scale_free=False)
    out.add("bollinger_lower", middle - half, scale_free=False)
    width = 2.0 * half / middle
    moving = np.where(half > constants.still * c.close, half, np.where(np.isnan(half), half, 0.0))
    out.add("bollinger_width", width)
    out.add("bollinger_percent_b", 0.5 + 0.5 * ratio(c.close - middle, moving, 0.0))
    mean_width = talib.SMA(width, constants.expansion)
    out.add("bollinger_expansion", ratio(width, mean_width, 1.0))


def _add_channels(c: Candles, out: Features, constants: VolatilityConstants) -> None:
    """Add the Keltner and Donchian channels, and the squeeze."""
    middle = talib.EMA(c.close, constants.keltner)
    half = constants.keltner_multiple * talib.ATR(c.high, c.low, c.close, constants.keltner_atr)
    out.add("keltner_upper", middle + half, scale_free=False)
    out.add("keltner_lower", middle - half, scale_free=False)
    out.add("keltner_position", ratio(c.close - middle, half, 0.0))
    inside = out["bollinger_upper"] - out["bollinger_lower"] < 2.0 * half
    known = np.isfinite(half) & np.isfinite(out["bollinger_width"])
    out.add("squeeze", np.where(known, inside.astype(np.float64), np.nan))
    upper = talib.MAX(c.high, constants.donchian)
    lower = talib.MIN(c.low, constants.donchian)
    out.add("donchian_upper", upper, scale_free=False)
    out.add("donchian_lower", lower, scale_free=False)
    out.add("donchian_position", ratio(c.close - lower, upper - lower, 0.5))


def _add_chandelier(c: Candles, out: Features, constants: VolatilityConstants) -> None:
    """Add the chandelier exit of both sides and the distance to the standing one."""
    distance = constants.chandelier_multiple * talib.ATR(
        c.high, c.low, c.close, constants.chandelier
    )
    long_stop = talib.MAX(c.high, constants.chandelier) - distance
    short_stop = talib.MIN(c.low, constants.chandelier) + distance
    side = _stop_side(c.close, long_stop, short_stop)
    room = np.where(side > 0, c.close - long_stop, short_stop - c.close)
    out.add("chandelier_long", long_stop, scale_free=False)
    out.add("chandelier_short", short_stop, scale_free=False)
    out.add("chandelier_side", side)
    out.add("chandelier_room", side * np.maximum(ratio(room, distance, 0.0), 0.0))


def _add_mass_index(c: Candles, out: Features, constants: MassIndexConstants) -> None:
    """Add the Mass Index and its reversal signal."""
    average = talib.EMA(c.high - c.low, constants.average)
    # Where no candle has a range, it rests.
    widening = ratio(average, talib.EMA(average, constants.average), 1.0)
    mass = talib.SUM(widening, constants.window)
    slope = talib.MOM(talib.EMA(c.close, constants.average), constants.average)
    out.add("mass_index", mass / constants.window)
    out.add(
        "mass_reversal",
        _reversal_bulge(mass, slope, constants.bulge, constants.trigger, constants.hold),
    )


def _add_realised(c: Candles, out: Features, window: int) -> None:
    """Add the range-based volatilities (per candle)."""
    opened, high, low, close = (np.log(p) for p in (c.open, c.high, c.low, c.close))
    spread = (high - low) ** 2
    body = close - opened
    out.add("parkinson_volatility", np.sqrt(PARKINSON * _mean(spread, window)))
    klass = 0.5 * spread - GARMAN_KLASS * body**2
    out.add("garman_klass_volatility", np.sqrt(_mean(klass, window)))
    # The first candle has no close before it: it counts as opened there.
    jump = opened - np.concatenate((opened[:1], close[:-1]))
    _, jump_deviation = _rolling_moments(jump, window)
    _, body_deviation = _rolling_moments(body, window)
    rogers = (high - close) * (high - opened) + (low - close) * (low - opened)
    sample = window / (window - 1.0)
    k = YANG_ZHANG / (1.0 + YANG_ZHANG + (window + 1.0) / (window - 1.0))
    variance = sample * (jump_deviation**2 + k * body_deviation**2)
    out.add("yang_zhang_volatility", np.sqrt(variance + (1.0 - k) * _mean(rogers, window)))


def _mean(squares: Floats, window: int) -> Floats:
    """Return the rolling mean of what cannot be negative but by rounding of the running sum."""
    return np.maximum(talib.SMA(squares, window), 0.0)


def add_volatility(market: Market, out: Features, constants: VolatilityConstants) -> None:
    """Add true range, bands, channels, trailing stops and volatility estimates. Lag 0.

    Prices: ``atr``; ``atr_unit`` (the ATR as a unit of distance: NaN where the market stands
    still); ``bollinger_upper/middle/lower``; ``keltner_upper/lower``; ``donchian_upper/lower``
    (extremes of the last candles, the current one included); ``chandelier_long/short`` (the
    stop of a long, of a short).

    Scale-free: ``atr_pct`` (fraction of the close); ``atr_expansion``, ``bollinger_expansion``
    (over their own mean); ``bollinger_width`` (fraction of the middle), ``bollinger_percent_b``
    (0 lower band, 1 upper), ``keltner_position`` (-1 lower line, +1 upper), ``squeeze`` (1
    where the Bollinger bands lie inside the Keltner channel), ``donchian_position`` (0 low,
    1 high), ``chandelier_side`` (+1 or -1: which stop was broken last), ``chandelier_room``
    (signed distance to the standing stop in stop widths), ``mass_index`` (mean ratio, 1 at
    rest), ``mass_reversal`` (+1 or -1 after a bulge, against the average's slope, fading to
    0), ``parkinson_volatility``, ``garman_klass_volatility``, ``yang_zhang_volatility``
    (standard deviation of the log return per candle).
    """
    c = market.candles
    atr = talib.ATR(c.high, c.low, c.close, constants.atr)
    out.add("atr", atr, scale_free=False)
    out.add("atr_unit", np.where(atr > constants.still * c.close, atr, np.nan), scale_free=False)
    atr_pct = out.add("atr_pct", atr / c.close)
    out.add("atr_expansion", ratio(atr_pct, talib.SMA(atr_pct, constants.expansion), 1.0))
    _add_bollinger(c, out, constants)
    _add_channels(c, out, constants)
    _add_chandelier(c, out, constants)
    _add_mass_index(c, out, constants.mass)
    _add_realised(c, out, constants.realised)
