"""Volume: how much was traded, on which side, and at which average price.

All columns are quotients of sums over the last candles, never levels of a cumulative sum, so
they mean the same in a live bot with a short history and in a backtest of years.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import talib

from quorum.features.series import ratio, shifted, window_sum
from quorum.features.table import Features
from quorum.features.volume_delta import DeltaConstants, add_volume_delta
from quorum.market import Market
from quorum.typing import Floats

#: A variance below this share of the squared mean is the rounding of equal volumes.
ROUNDING = 1e-12


class ActivityConstants(NamedTuple):
    """When trading is unusually busy or quiet."""

    zscore: int = 50  # candles before, against which volume is scored [candles]
    short: int = 5  # short mean of volume [candles]
    long: int = 50  # long mean of volume [candles]
    dry_up: float = 0.5  # short over long mean that is a dry-up [ratio]
    pullback: int = 6  # candles a pullback is looked for when volume dries [candles]
    climax_volume: float = 2.5  # volume over its mean that makes a climax [ratio]
    climax_range: float = 1.5  # range of the climax candle [ATR before it]
    climax_lookback: int = 20  # candles of which a climax makes the extreme [candles]
    climax_close: float = 0.3  # how far the close is off that extreme [fraction of range]


class VolumeConstants(NamedTuple):
    """Windows of the volume columns."""

    mean: int = 20  # window of the mean volume [candles]
    obv: int = 20  # window of the OBV slope [candles]
    mfi: int = 14  # money flow index [candles]
    cmf: int = 20  # Chaikin money flow [candles]
    vwap: int = 24  # rolling VWAP [candles]
    vwap_long: int = 120  # long rolling VWAP [candles]
    activity: ActivityConstants = ActivityConstants()
    delta: DeltaConstants = DeltaConstants()


def mean_before(volume: Floats, window: int) -> Floats:
    """Mean of the ``window`` candles before each candle."""
    return shifted(window_sum(volume, window) / window, 1)


def volume_zscore(volume: Floats, window: int) -> Floats:
    """Volume in standard deviations from the mean of the ``window`` candles before it."""
    mean = mean_before(volume, window)
    variance = mean_before(volume**2, window) - mean**2
    spread = np.sqrt(np.where(variance > ROUNDING * mean**2, variance, np.nan))
    return (volume - mean) / spread


def obv_slope(close: Floats, volume: Floats, window: int) -> Floats:
    """Change of on-balance volume over ``window`` candles per volume traded, -1 to 1."""
    signed = np.sign(np.diff(close, prepend=close[:1])) * volume
    return ratio(window_sum(signed, window), window_sum(volume, window))


def money_flow_index(typical: Floats, volume: Floats, window: int) -> Floats:
    """Money flow index, 0-100 (Quong and Soudack, 1989).

    Not TA-Lib's: that one answers 0, the extreme, when less than one unit was traded.
    """
    change = np.diff(typical, prepend=typical[:1])
    flow = typical * volume
    up = window_sum(np.where(change > 0, flow, 0.0), window)
    down = window_sum(np.where(change < 0, flow, 0.0), window)
    return 100.0 * ratio(up, up + down)


def close_location(high: Floats, low: Floats, close: Floats) -> Floats:
    """Where the candle closed in its range, -1 (low) to 1 (high), 0 without a range."""
    return ratio(2.0 * close - high - low, high - low, 0.0)


def _add_money_flow(market: Market, out: Features, constants: VolumeConstants) -> None:
    """Add OBV, MFI, CMF and the rolling VWAPs."""
    c = market.candles
    typical = (c.high + c.low + c.close) / 3.0
    out.add("obv_slope", obv_slope(c.close, c.volume, constants.obv))
    out.add("mfi", money_flow_index(typical, c.volume, constants.mfi))
    accumulated = close_location(c.high, c.low, c.close) * c.volume
    traded = window_sum(c.volume, constants.cmf)
    out.add("cmf", ratio(window_sum(accumulated, constants.cmf), traded))
    for suffix, window in (("", constants.vwap), ("_long", constants.vwap_long)):
        vwap = ratio(window_sum(typical * c.volume, window), window_sum(c.volume, window))
        out.add(f"vwap{suffix}", vwap, scale_free=False)
        out.add(f"vwap{suffix}_distance", ratio(c.close - vwap, out["atr_unit"]))


def _add_activity(market: Market, out: Features, constants: ActivityConstants) -> None:
    """Add how busy trading is: trend of volume, dry-ups and climaxes."""
    c = market.candles
    out.add("volume_zscore", volume_zscore(c.volume, constants.zscore))
    short = window_sum(c.volume, constants.short) / constants.short
    long = window_sum(c.volume, constants.long) / constants.long
    trend = out.add("volume_trend", ratio(short, long))
    dry = trend <= constants.dry_up
    out.add("volume_dry_up", dry.astype(np.float64))
    move = c.close - shifted(c.close, constants.pullback)
    side = out["vwap_long_distance"]
    out.add("no_supply", (dry & (move < 0) & (side > 0)).astype(np.float64))
    out.add("no_demand", (dry & (move > 0) & (side < 0)).astype(np.float64))

    span = c.high - c.low
    busy = out["volume_ratio"] >= constants.climax_volume
    busy &= span >= constants.climax_range * shifted(out["atr_unit"], 1)
    off = constants.climax_close * span
    lowest = talib.MIN(c.low, constants.climax_lookback)
    highest = talib.MAX(c.high, constants.climax_lookback)
    selling = busy & (c.low <= lowest) & (c.close - c.low >= off)
    buying = busy & (c.high >= highest) & (c.high - c.close >= off)
    out.add("selling_climax", selling.astype(np.float64))
    out.add("buying_climax", buying.astype(np.float64))


def add_volume(market: Market, out: Features, constants: VolumeConstants) -> None:
    """Add the volume columns; needs ``atr`` and the confirmed swings.

    Lag 0, but the divergences (see :func:`~quorum.features.volume_delta.add_volume_delta`):

    * ``volume_ratio``: volume over the mean of the candles *before* it; ``volume_zscore``:
      standard deviations from it; ``volume_trend``: short over long mean;
    * ``volume_dry_up`` (0/1); ``no_supply`` (0/1): a dry-up in a pullback above the long VWAP,
      ``no_demand`` its mirror;
    * ``selling_climax``, ``buying_climax`` (0/1): a wide candle of climactic volume at the
      extreme of the last candles that closes off it;
    * ``obv_slope`` (-1 to 1), ``mfi`` (0-100), ``cmf`` (-1 to 1);
    * ``vwap``, ``vwap_long`` (price), ``vwap_distance``, ``vwap_long_distance`` (ATR).
    """
    volume = market.candles.volume
    out.add("volume_ratio", ratio(volume, mean_before(volume, constants.mean)))
    _add_money_flow(market, out, constants)
    _add_activity(market, out, constants.activity)
    add_volume_delta(market, out, constants.delta)
