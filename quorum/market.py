"""Market: one pair's causal inputs as arrays.

Row *t* of everything here is what was known at the *close* of base candle *t*. Series that are
published at their own times are aligned by that time, never by the time they describe: an
informative candle is seen once it has closed, a funding rate once it has settled. A value that
is older than its source's maximum age is NaN, and the readings that need it abstain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from quorum.answers import Answers
from quorum.candles import (
    Candles,
    candles_from_frame,
    cleaned_candles,
    epoch_ms,
    timeframe_ms,
    weekly,
)
from quorum.section import Section
from quorum.typing import Bools, Floats, Ints

HOUR_MS = 3_600_000
#: Funding is filed moments after it has settled on the hour: the candle that closes on that very
#: moment does not know it yet, neither live nor in the host's truncated histories.
FUNDING_FILED_MS = 60_000


#: A base currency; an empty name would silently find no candles.
Coin = Annotated[str, Field(pattern=r"^\S+$")]


class MarketSettings(Section):
    """Which inputs are read, and how old they may be."""

    spot: bool = Field(True, description="read the spot candles of the same pair, where present")
    context: tuple[Coin, ...] = Field(
        ("BTC", "ETH"), description="base currencies whose base-timeframe candles every pair sees"
    )
    universe: tuple[Coin, ...] = Field(
        ("BTC", "ETH", "BNB", "SOL", "XRP", "ADA", "DOT", "LINK", "TRX", "BCH"),
        description="base currencies whose 1d candles make the market-wide readings "
        "(alt-season index, market phase)",
    )
    records: dict[str, str] = Field(
        {},
        description="records to read, by kind (sentiment, derivatives): path of a CSV or feather "
        "file, or state; flow: folder of quorum record",
    )
    funding_max_age: float = Field(12.0, gt=0, le=168, description="oldest usable funding [h]")
    mark_max_age: float = Field(1.0, ge=0, le=168, description="oldest usable mark price [h]")
    open_interest_max_age: float = Field(
        3.0, ge=0, le=168, description="oldest usable open interest [h]"
    )
    spot_max_age: float = Field(1.0, ge=0, le=168, description="oldest usable spot close [h]")
    premium_max_age: float = Field(
        1.0, ge=0, le=24, description="oldest usable premium or index price [h]"
    )
    taker_max_age: float = Field(
        2.0, ge=0, le=168, description="oldest usable record of the taker buy share [h]"
    )
    ratio_max_age: float = Field(
        6.0, ge=0, le=168, description="oldest usable long/short ratio [h]"
    )
    reserves_max_age: float = Field(
        48.0, ge=0, le=336, description="oldest usable exchange reserves or netflow [h]"
    )
    alt_season_max_age: float = Field(
        30.0, ge=0, le=336, description="oldest usable alt-season index after its day closed [h]"
    )
    min_history: int = Field(
        300, ge=50, le=5000, description="candles before any signal is given [candles]"
    )
    gap_candles: int = Field(
        6, ge=1, le=1000, description="untraded candles in a row that make a gap [candles]"
    )
    gap_recovery: int = Field(
        24, ge=0, le=1000, description="traded candles needed after a gap [candles]"
    )


@dataclass(frozen=True)
class HigherTimeframe:
    """Candles of a higher timeframe and which of them each base candle may see.

    Attributes
    ----------
    candles : Candles
    row : ndarray of shape (n_candles,), int64
        Per base candle the last row of ``candles`` that had closed, -1 where none had.
    """

    candles: Candles
    row: Ints

    def align(self, values: Floats) -> Floats:
        """Spread values per higher candle to base candles (NaN before the first)."""
        if len(values) == 0:
            return np.full(len(self.row), np.nan)
        return np.where(self.row >= 0, values[np.maximum(self.row, 0)], np.nan)


@dataclass(frozen=True)
class Records:
    """Time-stamped rows of one kind with the moment each became known.

    Attributes
    ----------
    known_at : ndarray of shape (n_records,), int64
        Milliseconds since the epoch, sorted.
    columns : mapping of name to ndarray of shape (n_records,)
        Numbers as float64; names as int64, an index into their ``labels``.
    labels : mapping of name to tuple of str
    max_age : float
        Age beyond which a value is not used, milliseconds.
    """

    known_at: Ints
    columns: Mapping[str, NDArray[Any]]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    max_age: float = math.inf

    def __len__(self) -> int:
        return len(self.known_at)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def until(self, end: int) -> Records:
        """Return only the records known by ``end``: the one cut of every kind."""
        n = int(np.searchsorted(self.known_at, end, side="right"))
        columns = {name: values[:n] for name, values in self.columns.items()}
        return replace(self, known_at=self.known_at[:n], columns=columns)

    def rows(self, chosen: Bools) -> Records:
        """Return some of the rows, with only the labels that they have."""
        columns, labels = {}, {}
        for name, values in self.columns.items():
            columns[name] = values[chosen]
            if name in self.labels:
                used, codes = np.unique(columns[name], return_inverse=True)
                columns[name] = codes.astype(np.int64)
                labels[name] = tuple(self.labels[name][code] for code in used)
        return replace(self, known_at=self.known_at[chosen], columns=columns, labels=labels)

    def latest(self, name: str, at: Ints) -> Floats:
        """Return the last number known at each time, NaN where there is none young enough."""
        return Published(self.known_at, self.columns[name]).align(at, self.max_age)


@dataclass(frozen=True)
class Published:
    """One value per publication time (funding rate, open interest, mark price ...).

    Attributes
    ----------
    known_at : ndarray of shape (n_values,), int64
        Milliseconds since the epoch, strictly increasing.
    value : ndarray of shape (n_values,), float64
    """

    known_at: Ints
    value: Floats

    def until(self, end: int) -> Published:
        """Return only what was known by ``end``."""
        n = int(np.searchsorted(self.known_at, end, side="right"))
        return Published(self.known_at[:n], self.value[:n])

    def align(self, at: Ints, max_age_ms: float) -> Floats:
        """Return the last value known at each time, NaN where it is older than ``max_age_ms``."""
        row = np.searchsorted(self.known_at, at, side="right") - 1
        out = np.full(len(at), np.nan)
        known = row >= 0
        fresh = np.zeros(len(at), dtype=np.bool_)
        fresh[known] = at[known] - self.known_at[row[known]] <= max_age_ms
        out[fresh] = self.value[row[fresh]]
        return out


@dataclass(frozen=True)
class Market:
    """One pair's inputs. Every optional source may be absent; absent readings abstain.

    Attributes
    ----------
    pair : str
        For example ``"BTC/USDT:USDT"``.
    candles : Candles
        Base timeframe.
    settings : MarketSettings
    higher : mapping of timeframe to HigherTimeframe
        Those of 4h, 1d, 1w that are longer than the base timeframe and present.
    published : mapping of name to Published
        Some of ``funding_rate``, ``mark``, ``index``, ``premium_index``, ``open_interest``,
        ``spot_close``, ``spot_volume``, and per kind of record ``long_short_ratio``,
        ``taker_buy_share``, ``exchange_reserves``, ``exchange_netflow``, ``liquidations``.
    context : mapping of base currency to Candles
        BTC and ETH candles of the base timeframe, *not* row-aligned: use :meth:`context_close`.
    universe : mapping of base currency to Candles
        1d candles of the universe.
    records : mapping of kind to Records
        Those that are read, of the pair and of the whole market.
    answers : Answers or None
        Of advisors, where their ledger is read.
    taker_delta : ndarray of shape (n_candles,) or None
        Buy minus sell volume from the exchange's trades, where the host has them.
    """

    pair: str
    candles: Candles
    settings: MarketSettings = field(default_factory=MarketSettings)
    higher: Mapping[str, HigherTimeframe] = field(default_factory=dict)
    published: Mapping[str, Published] = field(default_factory=dict)
    context: Mapping[str, Candles] = field(default_factory=dict)
    universe: Mapping[str, Candles] = field(default_factory=dict)
    records: Mapping[str, Records] = field(default_factory=dict)
    taker_delta: Floats | None = None
    answers: Answers | None = None

    def __len__(self) -> int:
        return len(self.candles)

    @property
    def base(self) -> str:
        """Base currency of the pair, for example ``"BTC"``."""
        return self.pair.split("/")[0]

    @cached_property
    def close_time(self) -> Ints:
        """Per candle the moment its row is known, milliseconds since the epoch."""
        return self.candles.close_time

    def latest(self, name: str, max_age_hours: float) -> Floats:
        """Return a published series per candle, NaN where absent or too old."""
        series = self.published.get(name)
        if series is None:
            return np.full(len(self), np.nan)
        return series.align(self.close_time, max_age_hours * HOUR_MS)

    def recorded(self, kind: str, column: str) -> Floats:
        """Return a number of a kind of record per candle, NaN where absent or too old."""
        records = self.records.get(kind)
        if records is None:
            return np.full(len(self), np.nan)
        return records.latest(column, self.close_time)

    @cached_property
    def funding_rate(self) -> Floats:
        """Last settled funding rate (fraction per settlement)."""
        return self.latest("funding_rate", self.settings.funding_max_age)

    @cached_property
    def mark(self) -> Floats:
        """Mark price at the candle's close (quote currency)."""
        return self.latest("mark", self.settings.mark_max_age)

    @cached_property
    def open_interest(self) -> Floats:
        """Open interest (base currency)."""
        return self.latest("open_interest", self.settings.open_interest_max_age)

    @cached_property
    def spot_close(self) -> Floats:
        """Close of the pair's spot market (quote currency)."""
        return self.latest("spot_close", self.settings.spot_max_age)

    def context_close(self, base: str) -> Floats:
        """Close of a context currency at each candle's close, NaN where absent."""
        candles = self.context.get(base)
        if candles is None:
            return np.full(len(self), np.nan)
        series = Published(candles.close_time, candles.close)
        return series.align(self.close_time, float(self.candles.step))

    @cached_property
    def tradable(self) -> Bools:
        """Whether a signal may be given: traded, enough history, no fresh gap behind it."""
        traded = self.candles.volume > 0
        rows = np.arange(len(traded))
        last_traded = np.maximum.accumulate(np.where(traded, rows, -1))
        untraded_run = rows - last_traded
        gap_ends = np.where(untraded_run >= self.settings.gap_candles, rows, -1)
        since_gap = rows - np.maximum.accumulate(gap_ends)
        seen_gap = np.maximum.accumulate(gap_ends) >= 0
        recovered = ~seen_gap | (since_gap > self.settings.gap_recovery)
        return traded & recovered & (rows >= self.settings.min_history - 1)

    def head(self, n: int) -> Market:
        """Return the market as it was known at the close of candle ``n - 1``.

        Everything published later is cut off: what is computed on the result cannot have
        looked ahead. This is what the causality certificate is made with.
        """
        candles = self.candles.head(n)
        end = int(candles.close_time[-1]) if n else 0
        return replace(
            self,
            candles=candles,
            higher={
                tf: HigherTimeframe(h.candles.until(end), h.row[:n])
                for tf, h in self.higher.items()
            },
            published={name: p.until(end) for name, p in self.published.items()},
            context={name: c.until(end) for name, c in self.context.items()},
            universe={name: c.until(end) for name, c in self.universe.items()},
            records={kind: records.until(end) for kind, records in self.records.items()},
            taker_delta=self.taker_delta[:n] if self.taker_delta is not None else None,
            answers=self.answers.until(end) if self.answers is not None else None,
        )

    def since(self, row: int) -> Market:
        """Return the market as a bot sees it whose base history begins at candle ``row``."""
        return replace(
            self,
            candles=self.candles.tail(row),
            higher={tf: HigherTimeframe(h.candles, h.row[row:]) for tf, h in self.higher.items()},
            taker_delta=self.taker_delta[row:] if self.taker_delta is not None else None,
        )


@dataclass(frozen=True)
class Frames:
    """What a market is built from; only ``base`` is required.

    The pair's own series are frames as freqtrade stores them. ``context`` (base timeframe) and
    ``universe`` (1d) are shared by all pairs and come cleaned.
    """

    base: pd.DataFrame
    higher: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    funding_rate: pd.DataFrame | None = None
    mark: pd.DataFrame | None = None
    open_interest: pd.DataFrame | None = None
    index: pd.DataFrame | None = None
    premium_index: pd.DataFrame | None = None
    spot: pd.DataFrame | None = None
    context: Mapping[str, Candles] = field(default_factory=dict)
    universe: Mapping[str, Candles] = field(default_factory=dict)


def published_from(frame: pd.DataFrame, column: str, *, delay_ms: int = 0) -> Published:
    """Read one published series: rows with NaN dropped, sorted, of duplicates the last kept."""
    values = frame[column].to_numpy(dtype=np.float64)
    known_at = epoch_ms(frame["date"]) + delay_ms
    keep = np.isfinite(values)
    known_at, values = known_at[keep], values[keep]
    # Reversed, so that `unique` keeps the last row of a duplicate time.
    times, rows = np.unique(known_at[::-1], return_index=True)
    return Published(times, values[::-1][rows])


def _published(frames: Frames, timeframe: str) -> dict[str, Published]:
    """Collect the pair's published series with the moment each becomes known."""
    out: dict[str, Published] = {}
    hour = timeframe_ms("1h")
    if frames.funding_rate is not None and len(frames.funding_rate):
        column = "funding_rate" if "funding_rate" in frames.funding_rate else "open"
        out["funding_rate"] = published_from(frames.funding_rate, column, delay_ms=FUNDING_FILED_MS)
    # Mark, index and premium come as hourly candles: their close is known when the hour ends.
    for name in ("mark", "index", "premium_index"):
        frame = getattr(frames, name)
        if frame is not None and len(frame):
            out[name] = published_from(frame, "close", delay_ms=hour)
    # Snapshots are stamped with the start of their period by some exchanges: wait it out.
    if frames.open_interest is not None and len(frames.open_interest):
        out["open_interest"] = published_from(
            frames.open_interest, "open_interest_amount", delay_ms=hour
        )
    if frames.spot is not None and len(frames.spot):
        spot_step = timeframe_ms(timeframe)
        out["spot_close"] = published_from(frames.spot, "close", delay_ms=spot_step)
        out["spot_volume"] = published_from(frames.spot, "volume", delay_ms=spot_step)
    return out


def _higher(frames: Frames, base: Candles) -> dict[str, HigherTimeframe]:
    """Align the higher timeframes, building weeks from days."""
    candles: dict[str, Candles] = {}
    for timeframe, frame in frames.higher.items():
        if timeframe_ms(timeframe) > base.step and len(frame):
            candles[timeframe] = cleaned_candles(frame, timeframe, name=f"{timeframe} candles")
    if "1d" in candles:
        candles["1w"] = weekly(candles["1d"])
    return {
        timeframe: HigherTimeframe(
            c, np.searchsorted(c.close_time, base.close_time, side="right").astype(np.int64) - 1
        )
        for timeframe, c in candles.items()
    }


def build_market(
    pair: str,
    timeframe: str,
    frames: Frames,
    settings: MarketSettings | None = None,
) -> Market:
    """Align a pair's frames into a :class:`Market`.

    Rows of the result are the rows of ``frames.base``.

    Raises
    ------
    DataError
        If the base candles miss a column, are not sorted, or have no usable price.
    """
    settings = settings or MarketSettings()
    candles = candles_from_frame(frames.base, timeframe, name=f"{pair} {timeframe}")
    delta = None
    if "delta" in frames.base.columns:
        delta = frames.base["delta"].to_numpy(dtype=np.float64)
    return Market(
        pair=pair,
        candles=candles,
        settings=settings,
        higher=_higher(frames, candles),
        published=_published(frames, timeframe),
        context=frames.context,
        universe=frames.universe,
        taker_delta=delta,
    )
