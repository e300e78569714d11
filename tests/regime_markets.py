"""Hand-made markets for regimes and phases: paths whose kind nobody would dispute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from markets import START, resample

from quorum.candles import Candles, candles_from_frame, timeframe_ms
from quorum.market import Frames, Market, build_market
from quorum.typing import Floats

#: Usual volatility of a 4h candle.
SIGMA = 0.01


def noise(n: int, seed: int) -> Floats:
    """Return ``n`` shocks whose mean is exactly 0 and whose standard deviation is exactly 1."""
    shocks = np.random.default_rng(seed).standard_normal(n)
    return (shocks - shocks.mean()) / shocks.std()


def walk(n: int, *, drift: float = 0.0, sigma: float = SIGMA, seed: int = 0) -> Floats:
    """Return the log returns of ``n`` candles with exactly this mean and deviation."""
    return drift + sigma * noise(n, seed)


def swing(n: int, *, period: int, amplitude: float, sigma: float, seed: int = 0) -> Floats:
    """Return the log returns of a range: a wave that goes nowhere, with noise on it."""
    wave = amplitude * np.sin(2 * np.pi * np.arange(n + 1) / period)
    jitter = sigma * noise(n + 1, seed)
    return np.diff(wave + jitter - (wave[0] + jitter[0]))


def frame_of(returns: Floats, timeframe: str, *, wick: float = 0.3) -> pd.DataFrame:
    """Return candles that follow log returns, with wicks of ``wick`` times the usual body."""
    close = 100 * np.exp(np.cumsum(returns))
    opened = np.concatenate([[100.0], close[:-1]])
    recent = pd.Series(np.abs(returns)).rolling(6, min_periods=1).mean().to_numpy()
    reach = np.exp(wick * recent)
    step = pd.Timedelta(milliseconds=timeframe_ms(timeframe))
    return pd.DataFrame(
        {
            "date": pd.date_range(START, periods=len(returns), freq=step).as_unit("ms"),
            "open": opened,
            "high": np.maximum(opened, close) * reach,
            "low": np.minimum(opened, close) / reach,
            "close": close,
            "volume": 1000.0,
        }
    )


def mirrored(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the market upside down: every log return turned round."""
    turned = {
        "open": 1e4 / frame["open"],
        "high": 1e4 / frame["low"],
        "low": 1e4 / frame["high"],
        "close": 1e4 / frame["close"],
    }
    return frame.assign(**turned)


def regime_market(*segments: Floats, timeframe: str = "4h", mirror: bool = False) -> Market:
    """Return a market of one timeframe that follows segments of log returns."""
    frame = frame_of(np.concatenate(segments), timeframe)
    frame = mirrored(frame) if mirror else frame
    return build_market("BTC/USDT:USDT", timeframe, Frames(base=frame))


def daily(
    drift: float, *, days: int = 60, seed: int = 0, sigma: float = 0.01, mirror: bool = False
) -> Candles:
    """Return daily candles that drift, with noise that ends where it began."""
    frame = frame_of(walk(days, drift=drift, sigma=sigma, seed=seed), "1d")
    return candles_from_frame(mirrored(frame) if mirror else frame, "1d")


def sideways(other: Candles, swing: float = 0.01) -> Candles:
    """Return the candles of a coin that moves around another one and gets nowhere."""
    around = np.exp(swing * (np.arange(len(other)) % 2))
    return replace(other, close=other.close * around, high=other.high * around, low=other.low)


def phase_market(
    base: str,
    drifts: Mapping[str, float],
    *,
    days: int = 60,
    mirror: bool = False,
    **coins: Candles,
) -> Market:
    """Return a pair's hourly market whose universe drifts so much per day and coin.

    ``coins`` are candles that take the place of a coin's.
    """
    universe = {
        name: daily(drift, days=days, seed=i, mirror=mirror)
        for i, (name, drift) in enumerate(drifts.items())
    }
    hours = frame_of(walk(24 * days, sigma=0.003, seed=99), "1h")
    frames = Frames(
        base=hours, higher={"1d": resample(hours, "1d")}, universe={**universe, **coins}
    )
    return build_market(f"{base}/USDT:USDT", "1h", frames)
