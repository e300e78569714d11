"""Volume: how much was traded, on which side, and at which average price.

All columns are quotients of sums over the last candles, never levels of a cumulative sum, so
they mean the same in a live bot with a short history and in a backtest of years.
"""

from __future__ import annotations

import numpy as np
import talib
from pydantic import Field

from quorum.features.series import ratio, shifted, window_sum
from quorum.features.table import Features
from quorum.features.volume_delta import DeltaSettings, add_volume_delta
from quorum.market import Market
from quorum.section import Section
from quorum.typing import Floats

#: A variance below this share of the squared mean is the rounding of equal volumes.
ROUNDING = 1e-12


class ActivitySettings(Section):
    """When trading is unusually busy or quiet."""

    zscore: int = Field(
        50, ge=5, le=500, description="candles before, against which volume is scored [candles]"
    )
    short: int = Field(5, ge=1, le=500, description="short mean of volume [candles]")
    long: int = Field(50, ge=2, le=500, description="long mean of volume [candles]")
    dry_up: float = Field(
        0.5, gt=0, le=1, description="short over long mean that is a dry-up [ratio]"
    )
    pullback: int = Field(
        6, ge=1, le=200, description="candles a pullback is looked for when volume dries [candles]"
    )
    climax_volume: float = Field(
        2.5, ge=1, le=50, description="volume over its mean that makes a climax [ratio]"
    )
    climax_range: float = Field(
        1.5, ge=0, le=20, description="range of the climax candle [ATR before it]"
    )
    climax_lookback: int = Field(
        20, ge=2, le=500, description="candles of which a climax makes the extreme [candles]"
    )
    climax_close: float = Field(
        0.3, ge=0, le=1, description="how far the close is off that extreme [fraction of range]"
    )


class VolumeSettings(Section):
    """Windows of the volume columns."""

    mean: int = Field(20, ge=2, le=500, description="window of the mean volume [candles]")
    obv: int = Field(20, ge=2, le=500, description="window of the OBV slope [candles]")
    mfi: int = Field(14, ge=2, le=500, description="money flow index [candles]")
    cmf: int = Field(20, ge=2, le=500, description="Chaikin money flow [candles]")
    vwap: int = Field(24, ge=2, le=500, description="rolling VWAP [candles]")
    vwap_long: int = Field(120, ge=2, le=500, description="long rolling VWAP [candles]")
    activity: ActivitySettings = Field(ActivitySettings(), description="climax and dry-up")
    delta: DeltaSettings = Field(DeltaSettings(), description="delta, CVD and taker flow")


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


def _add_money_flow(market: Market, out: Features, settings: VolumeSettings) -> None:
    """Add OBV, MFI, CMF and the rolling VWAPs."""
    c = market.candles
    typical = (c.high + c.low + c.close) / 3.0
    out.add("obv_slope", obv_slope(c.close, c.volume, settings.obv))
    out.add("mfi", money_flow_index(typical, c.volume, settings.mfi))
    accumulated = close_location(c.high, c.low, c.close) * c.volume
    traded = window_sum(c.volume, settings.cmf)
    out.add("cmf", ratio(window_sum(accumulated, settings.cmf), traded))
    for suffix, window in (("", settings.vwap), ("_long", settings.vwap_long)):
        vwap = ratio(window_sum(typical * c.volume, window), window_sum(c.volume, window))
        out.add(f"vwap{suffix}", vwap, scale_free=False)
        out.add(f"vwap{suffix}_distance", ratio(c.close - vwap, out["atr_unit"]))


def _add_activity(market: Market, out: Features, settings: ActivitySettings) -> None:
    """Add how busy trading is: trend of volume, dry-ups and climaxes."""
    c = market.candles
    out.add("volume_zscore", volume_zscore(c.volume, settings.zscore))
    short = window_sum(c.volume, settings.short) / settings.short
    long = window_sum(c.volume, settings.long) / settings.long
    trend = out.add("volume_trend", ratio(short, long))
    dry = trend <= settings.dry_up
    out.add("volume_dry_up", dry.astype(np.float64))
    move = c.close - shifted(c.close, settings.pullback)
    side = out["vwap_long_distance"]
    out.add("no_supply", (dry & (move < 0) & (side > 0)).astype(np.float64))
    out.add("no_demand", (dry & (move > 0) & (side < 0)).astype(np.float64))

    span = c.high - c.low
    busy = out["volume_ratio"] >= settings.climax_volume
    busy &= span >= settings.climax_range * shifted(out["atr_unit"], 1)
    off = settings.climax_close * span
    lowest = talib.MIN(c.low, settings.climax_lookback)
    highest = talib.MAX(c.high, settings.climax_lookback)
    selling = busy & (c.low <= lowest) & (c.close - c.low >= off)
    buying = busy & (c.high >= highest) & (c.high - c.close >= off)
    out.add("selling_climax", selling.astype(np.float64))
    out.add("buying_climax", buying.astype(np.float64))


def add_volume(market: Market, out: Features, settings: VolumeSettings) -> None:
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
    out.add("volume_ratio", ratio(volume, mean_before(volume, settings.mean)))
    _add_money_flow(market, out, settings)
    _add_activity(market, out, settings.activity)
    add_volume_delta(market, out, settings.delta)
