"""What open trades are marked at: the last close, live the rate now (spec G5).

A bot sees a rate of every open trade at each of its loops, as the host hands it to the callbacks; a
backtest sees candles, within which the worst price counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from quorum.account import OpenPosition
from quorum.signals import SignalTable
from quorum.typing import Floats


class LastCloses:
    """The last closed candle of every analysed pair, found without a search.

    Parameters
    ----------
    tables : mapping of pair to SignalTable
        Tables may be replaced at any time.
    step : int
        Length of a candle, milliseconds.
    """

    def __init__(self, tables: Mapping[str, SignalTable], step: int) -> None:
        self.tables = tables
        self.step = step
        self._grid: dict[str, tuple[SignalTable, int, int, bool]] = {}
        self._at: datetime | None = None
        self._opened = 0

    def row(self, pair: str, at: datetime) -> tuple[SignalTable, int] | None:
        """Return the table of a pair and the row of its last candle that had closed ``at``."""
        table = self.tables.get(pair)
        if table is None:
            return None
        grid = self._grid.get(pair)
        if grid is None or grid[0] is not table:
            n = len(table.time)
            first = int(table.time[0]) if n else 0
            regular = n > 0 and int(table.time[-1]) - first == (n - 1) * self.step
            grid = self._grid[pair] = (table, first, n, regular)
        _, first, n, regular = grid
        if at is not self._at:
            # Many pairs are asked for at the same moment.
            self._at, self._opened = at, int(at.timestamp() * 1000) - self.step
        opened = self._opened
        if regular:
            row = min((opened - first) // self.step, n - 1)
        else:
            row = int(table.time.searchsorted(opened, side="right")) - 1
        return None if row < 0 else (table, row)

    def __call__(self, pair: str, at: datetime) -> float:
        """Return the last known close, NaN where there is none."""
        found = self.row(pair, at)
        return math.nan if found is None else float(found[0].columns["close"][found[1]])

    def age(self, pair: str, at: datetime) -> float:
        """Return how long ago the last known candle has closed, in candles; inf without one."""
        found = self.row(pair, at)
        if found is None:
            return math.inf
        return (self._opened - int(found[0].time[found[1]])) / self.step

    def candle(self, pair: str, at: datetime) -> tuple[int, float, float] | None:
        """Return opening time [ms], high and low of the candle that has just closed, if any."""
        found = self.row(pair, at)
        if found is None:
            return None
        table, row = found
        opened = int(table.time[row])
        if opened + self.step <= self._opened:
            return None
        high, low, _ = prices_of(table)
        return opened, float(high[row]), float(low[row])


def prices_of(table: SignalTable) -> tuple[Floats, Floats, Floats]:
    """Return high, low and close; where only closes were published they stand for all three."""
    close = table.columns["close"]
    return table.columns.get("high", close), table.columns.get("low", close), close


class Marks:
    """Prices of open trades.

    Parameters
    ----------
    closes : LastCloses
    """

    def __init__(self, closes: LastCloses) -> None:
        self.closes = closes
        #: By pair the last two looks, newest first: milliseconds since the epoch, rate.
        self._looks: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {}

    def saw(self, pair: str, at: datetime, rate: float) -> None:
        """Take note of a rate the host has handed over."""
        now = (at.timestamp() * 1000, rate)
        before = self._looks.get(pair, ((-math.inf, rate),))[0]
        if math.isfinite(rate) and rate > 0 and before[0] < now[0]:
            self._looks[pair] = now, before

    def __call__(self, pair: str, at: datetime) -> float:
        """Return the middle one of the last close and the last two rates, NaN without a close.

        So a move counts once it has been seen at two looks in a row: a stray quote neither halts
        the bot nor raises the peak it is measured from. Looks older than a candle tell nothing.
        """
        close = self.closes(pair, at)
        looks = self._looks.get(pair)
        if looks is None or math.isnan(close):
            return close
        (_, now), (seen, before) = looks
        if at.timestamp() * 1000 - seen > self.closes.step:
            return close
        return sorted((close, now, before))[1]

    def worst(self, position: OpenPosition, stop: float, at: datetime) -> float:
        """Return the worst price of a position in the candle that has just closed.

        It is no worse than the stop in force and no better than the price it is marked at; one that
        was opened within the candle has no other than that. (Where its order waited, prices beyond
        that of the order came after it had filled.)
        """
        price, candle = position.price, self.closes.candle(position.pair, at)
        if candle is None or position.opened.timestamp() * 1000 > candle[0]:
            return price
        _, high, low = candle
        if position.direction < 0:
            return max(price, min(high, stop) if stop else high)
        return min(price, max(low, stop) if stop else low)
