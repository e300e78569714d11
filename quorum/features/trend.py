"""Trend: moving averages, directional movement and trend-following systems."""

from __future__ import annotations

from itertools import pairwise
from math import isqrt, sqrt
from typing import NamedTuple

import numpy as np
import talib
from numba import njit

from quorum.candles import Candles
from quorum.features.series import shifted
from quorum.features.table import Features
from quorum.market import Market
from quorum.typing import Floats

#: Decimals of a difference in ATR that count: below is the rounding of running sums.
SIGN_DECIMALS = 6


class IchimokuConstants(NamedTuple):
    """Ichimoku Kinko Hyo, Hosoda's periods."""

    conversion: int = 9  # conversion line [candles]
    base: int = 26  # base line [candles]
    span_b: int = 52  # leading span B [candles]
    displacement: int = 26  # how far the cloud is drawn ahead [candles]


class TrendConstants(NamedTuple):
    """Periods of the trend columns."""

    # exponential moving averages [candles]
    ema: tuple[int, ...] = (5, 8, 9, 12, 13, 21, 26, 34, 50, 55, 89, 144, 200)
    sma: tuple[int, ...] = (10, 20, 30, 50, 100, 150, 200)  # simple moving averages [candles]
    # fast and slow EMA of each spread [candles]
    spreads: tuple[tuple[int, int], ...] = (
        (5, 13),
        (8, 21),
        (12, 26),
        (21, 55),
        (34, 89),
        (50, 200),
    )
    # SMAs that must be stacked, fastest first [candles]
    alignment: tuple[int, ...] = (20, 50, 200)
    macd_fast: int = 12  # fast average of MACD [candles]
    macd_slow: int = 26  # slow average of MACD [candles]
    macd_signal: int = 9  # signal line of MACD [candles]
    adx: int = 14  # directional movement [candles]
    supertrend: int = 10  # ATR of the Supertrend [candles]
    supertrend_multiple: float = 3.0  # distance of the Supertrend [ATR]
    hull: int = 20  # Hull moving average [candles]
    dema: int = 21  # double exponential average [candles]
    tema: int = 21  # triple exponential average [candles]
    slope: int = 5  # span of the averages' slopes [candles]
    aroon: int = 25  # Aroon [candles]
    ichimoku: IchimokuConstants = IchimokuConstants()


@njit(cache=True)
def _supertrend(
    high: Floats, low: Floats, close: Floats, distance: Floats
) -> tuple[Floats, Floats]:
    """Trailing line (price) and its side (+1 under the price, -1 over it), NaN at first."""
    n = len(close)
    line = np.full(n, np.nan)
    side = np.full(n, np.nan)
    upper = np.nan
    lower = np.nan
    now = 0.0
    for t in range(n):
        if np.isnan(distance[t]):
            continue
        middle = 0.5 * (high[t] + low[t])
        # A band only moves towards the price, until a close has broken it.
        basic = middle + distance[t]
        if not (basic >= upper and close[t - 1] <= upper):
            upper = basic
        basic = middle - distance[t]
        if not (basic <= lower and close[t - 1] >= lower):
            lower = basic
        if now <= 0.0 and close[t] > upper:
            now = 1.0
        elif now >= 0.0 and close[t] < lower:
            now = -1.0
        if now != 0.0:
            side[t] = now
            line[t] = lower if now > 0 else upper
    return line, side


def _middle(c: Candles, window: int) -> Floats:
    """Return the middle between the highest high and the lowest low of the last candles."""
    middle: Floats = 0.5 * (talib.MAX(c.high, window) + talib.MIN(c.low, window))
    return middle


def _add_averages(c: Candles, out: Features, constants: TrendConstants) -> None:
    """Add the averages, the close over them, their spreads and their stack."""
    unit = out["atr_unit"]
    for kind, periods, average in (
        ("ema", constants.ema, talib.EMA),
        ("sma", constants.sma, talib.SMA),
    ):
        for period in dict.fromkeys(periods):
            line = out.add(f"{kind}_{period}", average(c.close, period), scale_free=False)
            # A random walk strays from its average with the root of the period.
            out.add(f"{kind}_distance_{period}", (c.close - line) / (unit * sqrt(period)))
    for fast, slow in dict.fromkeys(constants.spreads):
        spread = _average(c, out, "ema", fast) - _average(c, out, "ema", slow)
        out.add(f"ema_spread_{fast}_{slow}", spread / (unit * sqrt(slow)))
    stack = [c.close, *(_average(c, out, "sma", period) for period in constants.alignment)]
    steps = [
        np.sign(np.round((above - below) / unit, SIGN_DECIMALS)) for above, below in pairwise(stack)
    ]
    out.add("sma_alignment", sum(steps, np.zeros(len(c))) / max(len(steps), 1))


def _average(c: Candles, out: Features, kind: str, period: int) -> Floats:
    """Return an average's column, or compute it where it is not among the columns."""
    name = f"{kind}_{period}"
    if name in out:
        return out[name]
    values: Floats = (talib.EMA if kind == "ema" else talib.SMA)(c.close, period)
    return values


def _add_slopes(c: Candles, out: Features, constants: TrendConstants) -> None:
    """Add the averages that hardly lag, and their slopes."""
    half = talib.WMA(c.close, constants.hull // 2)
    raw = 2.0 * half - talib.WMA(c.close, constants.hull)
    unit = out["atr_unit"] * sqrt(constants.slope)
    slopes = {}
    for name, line in (
        ("hull", talib.WMA(raw, isqrt(constants.hull))),
        ("dema", talib.DEMA(c.close, constants.dema)),
        ("tema", talib.TEMA(c.close, constants.tema)),
    ):
        out.add(name, line, scale_free=False)
        slopes[name] = out.add(f"{name}_slope", (line - shifted(line, constants.slope)) / unit)
    out.add("dema_tema_slope", 0.5 * (slopes["dema"] + slopes["tema"]))


def _add_systems(c: Candles, out: Features, constants: TrendConstants) -> None:
    """Add MACD, directional movement, Supertrend and Aroon."""
    unit = out["atr_unit"]
    lines = talib.MACD(c.close, constants.macd_fast, constants.macd_slow, constants.macd_signal)
    for name, line in zip(("macd", "macd_signal", "macd_histogram"), lines, strict=True):
        out.add(name, line / unit)
    out.add("adx", talib.ADX(c.high, c.low, c.close, constants.adx))
    plus = out.add("plus_di", talib.PLUS_DI(c.high, c.low, c.close, constants.adx))
    minus = out.add("minus_di", talib.MINUS_DI(c.high, c.low, c.close, constants.adx))
    out.add("di_spread", plus - minus)
    distance = constants.supertrend_multiple * talib.ATR(
        c.high, c.low, c.close, constants.supertrend
    )
    line, side = _supertrend(c.high, c.low, c.close, distance)
    out.add("supertrend", line, scale_free=False)
    out.add("supertrend_side", side)
    out.add("supertrend_room", (c.close - line) / (constants.supertrend_multiple * unit))
    down, up = talib.AROON(c.high, c.low, constants.aroon)
    out.add("aroon_up", up)
    out.add("aroon_down", down)
    out.add("aroon_oscillator", up - down)


def _add_ichimoku(c: Candles, out: Features, constants: IchimokuConstants) -> None:
    """Add the lines of Ichimoku and the mean of its five signals."""
    conversion = _middle(c, constants.conversion)
    base = _middle(c, constants.base)
    # The cloud over this candle was computed `displacement` candles ago.
    span_a = shifted(0.5 * (conversion + base), constants.displacement)
    span_b = shifted(_middle(c, constants.span_b), constants.displacement)
    out.add("ichimoku_conversion", conversion, scale_free=False)
    out.add("ichimoku_base", base, scale_free=False)
    out.add("ichimoku_span_a", span_a, scale_free=False)
    out.add("ichimoku_span_b", span_b, scale_free=False)
    out_of_cloud = 0.5 * (np.sign(c.close - span_a) + np.sign(c.close - span_b))
    signals = (
        out_of_cloud,
        np.sign(span_a - span_b),
        np.sign(conversion - base),
        np.sign(c.close - base),
        np.sign(c.close - shifted(c.close, constants.displacement)),
    )
    out.add("ichimoku_score", sum(signals, np.zeros(len(c))) / len(signals))


def add_trend(market: Market, out: Features, constants: TrendConstants) -> None:
    """Add averages, their distances and slopes, and trend-following systems. Lag 0.

    Reads ``atr_unit`` of the volatility family.

    Prices: ``ema_<n>``, ``sma_<n>``, ``hull``, ``dema``, ``tema``, ``supertrend`` (the trailing
    line), ``ichimoku_conversion``, ``ichimoku_base``, ``ichimoku_span_a``, ``ichimoku_span_b``
    (the cloud that stands over the current candle).

    Scale-free: ``ema_distance_<n>``, ``sma_distance_<n>`` (close over the average),
    ``ema_spread_<fast>_<slow>`` [all in ATR times the root of the (slow) period]; ``hull_slope``,
    ``dema_slope``, ``tema_slope`` and ``dema_tema_slope``, the mean of the last two [ATR times
    the root of the span]; ``sma_alignment`` (-1 to 1: how far close and SMAs are stacked);
    ``macd``, ``macd_signal``, ``macd_histogram`` [ATR]; ``adx``, ``plus_di``, ``minus_di``,
    ``di_spread`` (0-100); ``supertrend_side`` (+1 or -1) and ``supertrend_room`` (signed
    distance to the line in its widths); ``aroon_up``, ``aroon_down`` (0-100),
    ``aroon_oscillator`` (their difference); ``ichimoku_score`` (-1 to 1: mean of close against
    cloud, cloud colour, conversion against base, close against base, close against the close
    under the lagging span).
    """
    c = market.candles
    _add_averages(c, out, constants)
    _add_slopes(c, out, constants)
    _add_systems(c, out, constants)
    _add_ichimoku(c, out, constants.ichimoku)
