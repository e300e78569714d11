"""Candles of one timeframe as arrays, and what defects in them mean.

Defined behaviour (tests/test_candles.py):

* rows out of order are sorted, of duplicate times the last row is kept;
* a row whose prices are NaN, infinite or not positive is *no trade*: it repeats the previous
  close with zero volume; such rows before the first good one are dropped by :func:`clean`;
* missing rows are filled the same way when ``fill`` is asked for;
* negative or NaN volume is zero volume.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from quorum.errors import DataError
from quorum.typing import Bools, Floats, Ints

MINUTE_MS = 60_000
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
#: 1970-01-05 was the first Monday of the epoch: weeks start on Mondays, 00:00 UTC.
FIRST_MONDAY_MS = 4 * DAY_MS

TIMEFRAMES: dict[str, int] = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "2h": 120 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
    "1d": DAY_MS,
    "1w": WEEK_MS,
}
#: The prices of a candle, in the order of :class:`Candles`.
PRICES = ("open", "high", "low", "close")
#: Base timeframes Quorum is built for.
BASE_TIMEFRAMES = ("5m", "15m", "30m", "1h", "2h", "4h")


def timeframe_ms(timeframe: str) -> int:
    """Length of a timeframe in milliseconds; raises ``DataError`` for an unknown one."""
    try:
        return TIMEFRAMES[timeframe]
    except KeyError:
        raise DataError(
            f"timeframe: {timeframe!r} is not known (known: {', '.join(TIMEFRAMES)})"
        ) from None


@dataclass(frozen=True)
class Candles:
    """Candles of one timeframe, oldest first, read-only.

    Attributes
    ----------
    timeframe : str
        For example ``"1h"``.
    time : ndarray of shape (n_candles,), int64
        Opening time, milliseconds since the epoch, UTC, strictly increasing.
    open, high, low, close : ndarray of shape (n_candles,), float64
        Prices in the quote currency, all finite and positive.
    volume : ndarray of shape (n_candles,), float64
        Traded volume in the base currency, never negative.
    """

    timeframe: str
    time: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __post_init__(self) -> None:
        # Some sources hand out read-only arrays: kernels are compiled for that one kind.
        for name in ("time", "open", "high", "low", "close", "volume"):
            array = np.ascontiguousarray(getattr(self, name)).view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.time)

    @property
    def step(self) -> int:
        """Length of one candle in milliseconds."""
        return timeframe_ms(self.timeframe)

    @property
    def close_time(self) -> Ints:
        """When each candle is complete and may be seen, milliseconds since the epoch."""
        return self.time + self.step

    def close_on(self, opened: Ints) -> Floats:
        """Return the close of the candle that opened at each time, NaN without one or a trade."""
        out = np.full(len(opened), np.nan)
        if len(self) == 0:
            return out
        row = np.minimum(np.searchsorted(self.time, opened), len(self) - 1)
        found = (self.time[row] == opened) & (self.volume[row] > 0)
        out[found] = self.close[row[found]]
        return out

    def until(self, end: int) -> Candles:
        """Return only the candles that had closed by ``end`` (milliseconds since the epoch)."""
        n = int(np.searchsorted(self.close_time, end, side="right"))
        return self.head(n)

    def head(self, n: int) -> Candles:
        """Return the first ``n`` candles."""
        return self._slice(slice(0, n))

    def tail(self, row: int) -> Candles:
        """Return the candles from ``row`` on."""
        return self._slice(slice(row, None))

    def _slice(self, rows: slice) -> Candles:
        return Candles(
            self.timeframe,
            self.time[rows],
            self.open[rows],
            self.high[rows],
            self.low[rows],
            self.close[rows],
            self.volume[rows],
        )


def epoch_ms(dates: pd.Series | pd.DatetimeIndex) -> Ints:
    """Convert dates (UTC) to milliseconds since the epoch."""
    return dates.to_numpy(dtype="datetime64[ms]").astype(np.int64)


def _carry_forward(prices: list[Floats], volume: Floats, bad: Bools) -> tuple[list[Floats], Floats]:
    """Replace bad rows by the previous close with zero volume."""
    close = prices[3].copy()
    good_row = np.where(bad, -1, np.arange(len(bad)))
    np.maximum.accumulate(good_row, out=good_row)
    previous = close[np.maximum(good_row, 0)]
    return [np.where(bad, previous, p) for p in prices], np.where(bad, 0.0, volume)


def candles_from_frame(frame: pd.DataFrame, timeframe: str, *, name: str = "candles") -> Candles:
    """Read a freqtrade candle frame row for row.

    The rows must already be sorted and unique (:func:`clean` sees to it); bad prices are
    carried forward. Rows in equal rows out, so columns can be written back beside the frame.

    Parameters
    ----------
    frame : DataFrame with columns date, open, high, low, close, volume
    timeframe : str
    name : str
        What the message of an error calls these candles.

    Raises
    ------
    DataError
        If a column is missing or the dates do not increase strictly.
    """
    missing = {"date", "open", "high", "low", "close", "volume"} - set(frame.columns)
    if missing:
        raise DataError(f"{name}: column(s) {', '.join(sorted(missing))} missing")
    time = epoch_ms(frame["date"])
    if len(time) > 1 and not bool(np.all(np.diff(time) > 0)):
        at = int(np.argmax(np.diff(time) <= 0)) + 1
        raise DataError(
            f"{name}: dates must increase, row {at} ({frame['date'].iloc[at]}) does not"
        )
    prices = [frame[c].to_numpy(dtype=np.float64) for c in PRICES]
    volume = frame["volume"].to_numpy(dtype=np.float64)
    volume = np.where(np.isfinite(volume) & (volume > 0), volume, 0.0)
    bad = ~np.all([np.isfinite(p) & (p > 0) for p in prices], axis=0)
    if bad.any():
        if bad[0]:
            first = int(np.argmin(bad)) if not bad.all() else -1
            if first < 0:
                raise DataError(f"{name}: no row has usable prices")
            fill = prices[0][first]
            prices = [np.where(np.arange(len(bad)) < first, fill, p) for p in prices]
            bad = bad & (np.arange(len(bad)) >= first)
            volume = np.where(np.arange(len(bad)) < first, 0.0, volume)
        prices, volume = _carry_forward(prices, volume, bad)
    opened, high, low, close = prices
    # A high under the body (or a low over it) is a feed error; the body is what was traded.
    high = np.maximum(high, np.maximum(opened, close))
    low = np.minimum(low, np.minimum(opened, close))
    return Candles(timeframe, time, opened, high, low, close, volume)


def clean(frame: pd.DataFrame, timeframe: str, *, fill: bool = True) -> pd.DataFrame:
    """Sort, drop duplicates and unusable rows, and fill missing candles.

    Returns a new frame with a fresh index; see the module docstring for the rules.
    """
    if _is_clean(frame, timeframe_ms(timeframe)):
        return frame[["date", *PRICES, "volume"]].reset_index(drop=True)
    return _cleaned(frame, timeframe, fill=fill)


def cleaned_candles(frame: pd.DataFrame, timeframe: str, *, name: str = "candles") -> Candles:
    """Clean a frame and read it; see :func:`clean` and :func:`candles_from_frame`."""
    if not _is_clean(frame, timeframe_ms(timeframe)):
        frame = _cleaned(frame, timeframe)
    return candles_from_frame(frame, timeframe, name=name)


def _cleaned(frame: pd.DataFrame, timeframe: str, *, fill: bool = True) -> pd.DataFrame:
    frame = frame.sort_values("date", kind="stable").drop_duplicates("date", keep="last")
    prices = frame[list(PRICES)].to_numpy(dtype=np.float64)
    usable = (np.isfinite(prices) & (prices > 0)).all(axis=1)
    frame = frame.loc[usable, ["date", *PRICES, "volume"]].reset_index(drop=True)
    if not fill or len(frame) < 2:
        return frame
    grid = pd.date_range(
        frame["date"].iloc[0],
        frame["date"].iloc[-1],
        freq=pd.Timedelta(milliseconds=timeframe_ms(timeframe)),
    )
    filled = frame.set_index("date").reindex(grid)
    filled["volume"] = filled["volume"].fillna(0.0)
    filled["close"] = filled["close"].ffill()
    for column in ("open", "high", "low"):
        filled[column] = filled[column].fillna(filled["close"])
    return filled.rename_axis("date").reset_index()


def _is_clean(frame: pd.DataFrame, step: int) -> bool:
    """Whether there is nothing to clean: it is nearly always so, and pandas takes its time."""
    if not bool((np.diff(epoch_ms(frame["date"])) == step).all()):
        return False
    values = [frame[column].to_numpy(dtype=np.float64) for column in PRICES]
    usable = all(bool((np.isfinite(v) & (v > 0)).all()) for v in values)
    return usable and not bool(frame["volume"].isna().any())


def weekly(daily: Candles) -> Candles:
    """Build calendar weeks (Monday to Sunday, UTC) from daily candles, causally.

    A week appears only once its last day has closed; an incomplete first week is left out.
    """
    if daily.timeframe != "1d":
        raise DataError(f"weekly: needs 1d candles, got {daily.timeframe}")
    if len(daily) == 0:
        return replace(daily, timeframe="1w")
    week = (daily.time - FIRST_MONDAY_MS) // WEEK_MS
    starts = np.flatnonzero(np.diff(week, prepend=week[0] - 1))
    time = week[starts] * WEEK_MS + FIRST_MONDAY_MS
    ends = np.append(starts[1:], len(week)) - 1
    complete = daily.close_time[-1] >= time + WEEK_MS
    if daily.time[0] > time[0]:
        complete[0] = False
    pick = np.flatnonzero(complete)
    return Candles(
        "1w",
        time[pick],
        daily.open[starts][pick],
        np.maximum.reduceat(daily.high, starts)[pick],
        np.minimum.reduceat(daily.low, starts)[pick],
        daily.close[ends][pick],
        np.add.reduceat(daily.volume, starts)[pick],
    )
