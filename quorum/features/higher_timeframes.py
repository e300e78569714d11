"""Higher timeframes: the classic readings of 4h and 1d candles, for models (spec M1).

Each base candle sees the last candle of the timeframe that had closed.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
import talib

from quorum.candles import Candles
from quorum.features.series import ratio, window_sum
from quorum.features.table import Features
from quorum.market import Market
from quorum.typing import Floats

#: Timeframes read, where they are longer than the base timeframe.
TIMEFRAMES = ("4h", "1d")
#: The readings, in the order of their columns.
NAMES = (
    "rsi",
    "adx",
    "di_spread",
    "atr_pct",
    "fast_distance",
    "slow_distance",
    "average_spread",
    "move",
    "band_position",
    "volume_ratio",
)


class HigherTimeframeConstants(NamedTuple):
    """Periods of the higher-timeframe columns, in candles of that timeframe."""

    rsi: int = 14  # relative strength index [candles]
    adx: int = 14  # directional movement [candles]
    atr: int = 14  # average true range [candles]
    fast: int = 21  # fast exponential average [candles]
    slow: int = 50  # slow exponential average [candles]
    move: int = 10  # move, in ATR and its root [candles]
    bollinger: int = 20  # Bollinger bands [candles]
    volume: int = 20  # usual volume [candles]


def _readings(c: Candles, s: HigherTimeframeConstants) -> dict[str, Floats]:
    """Return the readings on the timeframe's own candles, shape (n_higher,) each."""
    atr = talib.ATR(c.high, c.low, c.close, s.atr)
    fast, slow = talib.EMA(c.close, s.fast), talib.EMA(c.close, s.slow)
    upper, middle, _ = talib.BBANDS(c.close, s.bollinger)
    plus = talib.PLUS_DI(c.high, c.low, c.close, s.adx)
    minus = talib.MINUS_DI(c.high, c.low, c.close, s.adx)
    move = np.full(len(c), np.nan)
    move[s.move :] = c.close[s.move :] - c.close[: -s.move]
    usual = window_sum(c.volume, s.volume) / s.volume
    return {
        "rsi": talib.RSI(c.close, s.rsi),
        "adx": talib.ADX(c.high, c.low, c.close, s.adx),
        "di_spread": plus - minus,
        "atr_pct": 100.0 * atr / c.close,
        "fast_distance": ratio(c.close - fast, atr),
        "slow_distance": ratio(c.close - slow, atr),
        "average_spread": ratio(fast - slow, atr),
        "move": ratio(move, atr * sqrt(s.move)),
        "band_position": ratio(c.close - middle, 2.0 * (upper - middle)),
        "volume_ratio": ratio(c.volume, usual),
    }


def add_higher_timeframes(
    market: Market, out: Features, constants: HigherTimeframeConstants
) -> None:
    """Add ``<reading>_<timeframe>`` for 4h and 1d. Lag 0 after that candle's close.

    ``htf_rsi``, ``htf_adx`` (0-100), ``htf_di_spread`` (-100 to 100), ``htf_atr_pct`` [%],
    ``htf_fast_distance``, ``htf_slow_distance``, ``htf_average_spread`` [ATR], ``htf_move`` [ATR
    times the root of the span], ``htf_band_position`` (-0.5 at the lower band, 0.5 at the upper),
    ``htf_volume_ratio`` [times the usual]. All scale-free; NaN where the timeframe is absent.
    """
    for timeframe in TIMEFRAMES:
        source = market.higher.get(timeframe)
        readings: dict[str, Floats] = {}
        if source is not None and len(source.candles) > 1:
            readings = {n: source.align(v) for n, v in _readings(source.candles, constants).items()}
        for name in NAMES:
            values = readings.get(name, np.full(len(market), np.nan))
            out.add(f"htf_{name}_{timeframe}", values)
