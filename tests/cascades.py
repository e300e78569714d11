"""A drawn market that rises, falls for a moment far below its price, and ends its trend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from markets import resample

START = pd.Timestamp("2023-01-01", tz="UTC")
END = pd.Timestamp("2023-06-20", tz="UTC")
#: A candle whose low lies far below any bid, and one whose low lies above all of them.
CRASH = pd.Timestamp("2023-05-24 10:00", tz="UTC")
SHALLOW = pd.Timestamp("2023-05-26 10:00", tz="UTC")
#: From here on the market falls.
TURN = pd.Timestamp("2023-06-01", tz="UTC")
TIMERANGE = "20230520-20230618"
PAIRS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")


def drawn_candles(seed: int) -> pd.DataFrame:
    """Return hourly candles: a rise with little noise, two wicks, and a fall."""
    dates = pd.date_range(START, END, freq="1h", inclusive="left").as_unit("ms")
    rng = np.random.default_rng(seed)
    drift = np.where(dates < TURN, 0.0006, -0.0025)
    close = 1000.0 * np.exp(np.cumsum(drift + 0.005 * rng.uniform(-1.0, 1.0, len(dates))))
    opened = np.concatenate([[1000.0], close[:-1]])
    low = np.minimum(opened, close) * 0.999
    low[dates == CRASH] = close[dates == CRASH] * 0.90
    low[dates == SHALLOW] = opened[dates == SHALLOW] * 0.985
    high = np.maximum(opened, close) * 1.001
    # Its steps are what the local exchange takes for the size of a lot.
    volume = 1000.0 + 0.001 * (np.arange(len(dates)) % 7)
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    return pd.DataFrame({"date": dates, **columns})


def draw_cascades(folder: Path) -> Path:
    """Lay drawn candles over a market that has everything else."""
    for seed, pair in enumerate(PAIRS):
        name = pair.split("/")[0] + "_USDT_USDT"
        hours = drawn_candles(seed)
        frames = {"1h": hours, "4h": resample(hours, "4h"), "1d": resample(hours, "1d")}
        for timeframe, frame in frames.items():
            frame.to_feather(folder / "futures" / f"{name}-{timeframe}-futures.feather")
        mark = hours.assign(volume=0.0)
        mark.to_feather(folder / "futures" / f"{name}-1h-mark.feather")
        hours.to_feather(folder / f"{pair.split('/')[0]}_USDT-1h.feather")
    return folder
