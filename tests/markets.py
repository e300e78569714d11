"""Hand-made markets for tests."""

from __future__ import annotations

import numpy as np
import pandas as pd

from quorum.candles import timeframe_ms
from quorum.market import Frames, Market, build_market

START = pd.Timestamp("2024-01-01", tz="UTC")


def candle_frame(
    n: int, *, seed: int = 0, timeframe: str = "1h", start: pd.Timestamp = START
) -> pd.DataFrame:
    """Return ``n`` candles of a random walk with changing volatility, as freqtrade has them."""
    rng = np.random.default_rng(seed)
    scale = 0.004 * np.exp(0.5 * np.sin(np.arange(n) / 60) + 0.2 * rng.standard_normal(n))
    close = 100 * np.exp(np.cumsum(scale * rng.standard_t(4, n)))
    opened = np.concatenate([[100.0], close[:-1]])
    wick = np.abs(rng.standard_normal((2, n))) * scale * close
    step = pd.Timedelta(milliseconds=timeframe_ms(timeframe))
    return pd.DataFrame(
        {
            "date": pd.date_range(start, periods=n, freq=step).as_unit("ms"),
            "open": opened,
            "high": np.maximum(opened, close) + wick[0],
            "low": np.minimum(opened, close) - wick[1],
            "close": close,
            "volume": 1000 * np.exp(rng.standard_normal(n) * 0.5 + scale * 50),
        }
    )


def resample(frame: pd.DataFrame, timeframe: str) -> pd.DataFrame:
    """Aggregate candles to a longer timeframe."""
    step = pd.Timedelta(milliseconds=timeframe_ms(timeframe))
    rules = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    return frame.set_index("date").resample(step).agg(rules).dropna().reset_index()


def full_market(n: int = 2200, *, seed: int = 0, pair: str = "SOL/USDT:USDT") -> Market:
    """Return a 1h market with every optional source but records."""
    rng = np.random.default_rng(seed + 1)
    history = candle_frame(n + 24 * 300, seed=seed, start=START - pd.Timedelta(days=300))
    base = history.iloc[-n:].reset_index(drop=True)
    close = base["close"].to_numpy()
    funding_dates = pd.date_range(START, periods=n // 8 + 1, freq="8h").as_unit("ms")
    frames = Frames(
        base=base,
        higher={"4h": resample(history, "4h"), "1d": resample(history, "1d")},
        funding_rate=pd.DataFrame(
            {
                "date": funding_dates,
                "funding_rate": 1e-4 + 2e-4 * rng.standard_normal(len(funding_dates)),
            }
        ),
        mark=base.assign(close=close * (1 + 2e-4 * rng.standard_normal(n))),
        open_interest=pd.DataFrame(
            {
                "date": base["date"],
                "open_interest_amount": 1e6 * np.exp(np.cumsum(0.01 * rng.standard_normal(n))),
            }
        ),
        spot=base.assign(close=close * (1 + 1e-3 * rng.standard_normal(n))),
    )
    return build_market(pair, "1h", frames)
