"""The market as it stands at a time: candles so far, prices, tickers, funding, open interest.

Nothing here knows what comes after the time it is asked for. A candle in progress is built from
finer candles where there are any, else from the path of :mod:`quorum.replay.live.path`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from threading import Lock

import numpy as np

from quorum.candles import (
    DAY_MS,
    FIRST_MONDAY_MS,
    TIMEFRAMES,
    Candles,
    candles_from_frame,
    clean,
    epoch_ms,
    timeframe_ms,
)
from quorum.replay.datadir import DataDirectory, TradingMode
from quorum.replay.live.path import Bar, Waypoint, corners_between, price_at, until
from quorum.replay.symbols import SymbolRules, SymbolSettings, Ticker, symbol_rules
from quorum.typing import Floats, Ints

#: Binance settles funding at these hours where nothing else is on record.
FUNDING_MS = 8 * 3_600_000


class Tape:
    """All candles of one pair and candle type, of every timeframe on disk.

    Parameters
    ----------
    directory : DataDirectory
    pair : str
    kind : str
        Candle type, for example ``"futures"`` or ``"mark"``.
    shift : int
        Milliseconds added to every time on record.
    tick : float, default=0
        What prices inside a candle are rounded to, 0: not at all.
    """

    def __init__(
        self, directory: DataDirectory, pair: str, kind: str, shift: int, tick: float = 0.0
    ) -> None:
        self.tick = tick
        self._candles: dict[str, Candles] = {}
        for timeframe in directory.timeframes(pair, kind):
            series = directory.find(pair, timeframe, kind)
            if series is None or timeframe not in TIMEFRAMES or series.span is None:
                continue
            frame = clean(series.read(), timeframe, fill=False)
            candles = candles_from_frame(frame, timeframe, name=str(series.path))
            self._candles[timeframe] = _shifted(candles, shift)
        #: Shortest first, with their opening times as a list: bisect is faster on one.
        self._order = [(c, c.time.tolist()) for c in self._candles.values()]

    def __bool__(self) -> bool:
        return bool(self._order)

    @property
    def span(self) -> tuple[int, int]:
        """First and last time there is a price for, milliseconds since the epoch."""
        first = min(times[0] for _, times in self._order)
        return first, max(times[-1] + candles.step for candles, times in self._order)

    def bar_at(self, now: int) -> Bar | None:
        """Return the shortest candle that is in progress at a time, whole; None in a gap."""
        for candles, times in self._order:
            row = bisect_right(times, now) - 1
            if row >= 0 and now < times[row] + candles.step:
                return _bar(candles, row)
        return None

    def price(self, now: int) -> float:
        """Return the price at a time; in a gap and after the end the last one there was."""
        bar = self.bar_at(now)
        if bar is not None:
            return self._on_tick(price_at(bar, now), bar)
        closes = [
            (times[row] + candles.step, float(candles.close[row]))
            for candles, times in self._order
            if (row := bisect_right(times, now) - 1) >= 0
        ]
        return max(closes)[1] if closes else float(self._order[0][0].open[0])

    def _on_tick(self, price: float, bar: Bar) -> float:
        """Round a price inside a candle, which it must not leave."""
        if not self.tick:
            return price
        rounded = round(round(price / self.tick) * self.tick, 10)
        return min(bar.high, max(bar.low, rounded))

    def corners(self, start: int, end: int) -> Iterator[Waypoint]:
        """Yield the corners of the price's path in (start, end]."""
        at = start
        while at <= end:
            bar = self.bar_at(at)
            if bar is None:
                following = [
                    times[row]
                    for _, times in self._order
                    if (row := bisect_right(times, at)) < len(times)
                ]
                if not following:
                    return
                at = min(following)
                continue
            yield from corners_between(bar, start, end)
            at = bar.time + bar.length

    def candles(self, timeframe: str) -> Candles | None:
        """Return a timeframe's candles, made of shorter ones where none are on disk."""
        if timeframe not in self._candles:
            length = timeframe_ms(timeframe)
            shorter = [c for c, _ in self._order if c.step < length and length % c.step == 0]
            if not shorter:
                return None
            self._candles[timeframe] = _grouped(shorter[-1], timeframe)
        return self._candles[timeframe]

    def seen(self, timeframe: str, now: int) -> Candles | None:
        """Return the candles that had opened by a time, the last one as far as it was seen."""
        candles = self.candles(timeframe)
        if candles is None:
            return None
        n = int(np.searchsorted(candles.time, now, side="right"))
        if n == 0 or now >= int(candles.time[n - 1]) + candles.step:
            return candles.head(n)
        whole = _bar(candles, n - 1)
        last = self._forming(whole, now)
        price = self._on_tick(last.close, whole)
        last = last._replace(close=price, high=max(last.high, price), low=min(last.low, price))
        columns = {
            name: np.append(getattr(candles, name)[: n - 1], getattr(last, name))
            for name in ("open", "high", "low", "close", "volume")
        }
        return Candles(timeframe, candles.time[:n], **columns)

    def _forming(self, whole: Bar, now: int) -> Bar:
        """Return what was seen of a candle in progress, of shorter candles where there are."""
        for candles, times in self._order:
            if candles.step >= whole.length:
                break
            first = bisect_right(times, whole.time - 1)
            last = bisect_right(times, now) - 1
            if last < first or times[first] != whole.time or now >= times[last] + candles.step:
                continue
            rows = slice(first, last)
            part = until(_bar(candles, last), now)
            return Bar(
                whole.time,
                whole.length,
                whole.open,
                min(whole.high, max(candles.high[rows].max(initial=0.0), part.high)),
                max(whole.low, min(candles.low[rows].min(initial=np.inf), part.low)),
                min(whole.high, max(whole.low, part.close)),
                float(candles.volume[rows].sum()) + part.volume,
            )
        return until(whole, now)


def _bar(candles: Candles, row: int) -> Bar:
    return Bar(
        int(candles.time[row]),
        candles.step,
        float(candles.open[row]),
        float(candles.high[row]),
        float(candles.low[row]),
        float(candles.close[row]),
        float(candles.volume[row]),
    )


def _shifted(candles: Candles, shift: int) -> Candles:
    prices = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    return Candles(candles.timeframe, candles.time + shift, *prices)


def _grouped(candles: Candles, timeframe: str) -> Candles:
    """Make longer candles of shorter ones."""
    length = timeframe_ms(timeframe)
    offset = FIRST_MONDAY_MS if timeframe == "1w" else 0
    group = (candles.time - offset) // length
    starts = np.flatnonzero(np.diff(group, prepend=group[:1] - 1))
    ends = np.append(starts[1:], len(group)) - 1
    return Candles(
        timeframe,
        group[starts] * length + offset,
        candles.open[starts],
        np.maximum.reduceat(candles.high, starts),
        np.minimum.reduceat(candles.low, starts),
        candles.close[ends],
        np.add.reduceat(candles.volume, starts),
    )


class Listing:
    """One symbol of the exchange: its rules and all its series."""

    def __init__(
        self, directory: DataDirectory, rules: SymbolRules, mode: TradingMode, shift: int
    ) -> None:
        self.rules = rules
        self.mode = mode
        self._directory = directory
        self._shift = shift
        self._tapes: dict[str, Tape] = {}
        self._lock = Lock()

    def tape(self, kind: str) -> Tape:
        """Return a candle type's series, read once; it is false where there are none."""
        with self._lock:
            if kind not in self._tapes:
                pair = self.rules.pair.split(":")[0] if kind == "spot" else self.rules.pair
                tick = self.rules.tick_size if kind == self.mode else 0.0
                self._tapes[kind] = Tape(self._directory, pair, kind, self._shift, tick)
            return self._tapes[kind]

    @property
    def trades(self) -> Tape:
        """What is traded here."""
        return self.tape(self.mode)

    @property
    def mark(self) -> Tape:
        """Mark prices; the traded ones where none are on record."""
        return self.tape("mark") or self.trades

    @property
    def index(self) -> Tape:
        """Index prices; spot, else mark, where none are on record."""
        return self.tape("index") or self.tape("spot") or self.mark

    def price(self, now: int) -> float:
        """Return the last price on the tick, inside the candle in progress."""
        return self.trades.price(now)

    def ticker(self, now: int) -> Ticker:
        """Return the last 24 hours."""
        tape = self.trades
        timeframe = "1h" if tape.candles("1h") is not None else next(iter(tape._candles))
        candles = tape.seen(timeframe, now)
        if candles is None or len(candles) == 0:
            price = self.price(now)
            return Ticker(self.rules, price, price, price, price, 0.0, 0.0, now - DAY_MS, now)
        first = int(np.searchsorted(candles.close_time, now - DAY_MS, side="right"))
        day = candles.tail(min(first, len(candles) - 1))
        return Ticker(
            rules=self.rules,
            open=float(day.open[0]),
            high=float(day.high.max()),
            low=float(day.low.min()),
            last=self.price(now),
            volume=float(day.volume.sum()),
            quote_volume=float(day.volume @ day.close),
            opened=now - DAY_MS,
            closed=now,
        )

    @cached_property
    def funding(self) -> tuple[Ints, Floats]:
        """Times and rates of the funding settlements on record."""
        return self._columns("funding_rate", "funding_rate")

    @cached_property
    def funding_marks(self) -> list[float]:
        """Mark prices at the funding settlements."""
        return [self.mark.price(time) for time in self.funding[0].tolist()]

    @cached_property
    def open_interest(self) -> tuple[Ints, Floats, Floats]:
        """Times, amounts and values of open interest on record.

        A value that was not recorded is the amount at the price of that time.
        """
        time, amount = self._columns("open_interest", "open_interest_amount")
        value = self._columns("open_interest", "open_interest_value")[1]
        lacking = np.flatnonzero(np.isfinite(amount) & ~np.isfinite(value))
        value = value.copy()
        value[lacking] = [amount[row] * self.trades.price(int(time[row])) for row in lacking]
        return time, amount, value

    def _columns(self, kind: str, column: str) -> tuple[Ints, Floats]:
        """Read a column of a series that is no candles, sorted, without what is not finite."""
        timeframes = self._directory.timeframes(self.rules.pair, kind)
        series = self._directory.find(self.rules.pair, timeframes[0], kind) if timeframes else None
        if series is None:
            return np.empty(0, np.int64), np.empty(0)
        frame = series.read().sort_values("date")
        if column not in frame.columns:
            # The host files funding in a candle's columns, the rate as its open.
            column = "open"
        time, values = epoch_ms(frame["date"]), frame[column].to_numpy(dtype=np.float64)
        return time + self._shift, values


class LiveMarket:
    """Every symbol of a data directory.

    Parameters
    ----------
    directory : DataDirectory
    settings : SymbolSettings
    shift : int, default=0
        Milliseconds added to every time on record, whole weeks.
    """

    def __init__(self, directory: DataDirectory, settings: SymbolSettings, shift: int = 0) -> None:
        self.directory = directory
        self.settings = settings
        self.shift = shift
        self._listings: dict[TradingMode, dict[str, Listing]] = {}
        self._lock = Lock()

    def listings(self, mode: TradingMode) -> dict[str, Listing]:
        """Return the symbols of a trading mode by the exchange's names."""
        with self._lock:
            if mode not in self._listings:
                rules = [
                    symbol_rules(self.directory, pair, mode, self.settings)
                    for pair in self.directory.pairs(mode)
                ]
                self._listings[mode] = {
                    r.symbol: Listing(self.directory, r, mode, self.shift) for r in rules
                }
            return self._listings[mode]
