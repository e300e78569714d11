"""What the guards look at of the market: the reference coin, a pair's last closed candle."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import numpy as np

from quorum.account import OpenPosition
from quorum.candles import Candles
from quorum.guards import GuardSettings, MarketFlags
from quorum.guards.base import QUIET
from quorum.guards.position import signed_correlation
from quorum.guards.system import ReferenceMarket, crossed_candles, reference_candles
from quorum.signals import SignalTable
from quorum.sizing.risk_measures import correlation, recent_returns
from quorum.typing import Floats

#: Fewest common returns a correlation is measured on.
LEAST_RETURNS = 30


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


class MarketView:
    """What the guards see of the market.

    Parameters
    ----------
    tables : mapping of pair to SignalTable
        Tables may be replaced at any time.
    step : int
        Length of a candle, milliseconds.
    limits : GuardSettings
    reference : callable
        Returns candles of the reference coin, None where there are none; asked for where it is
        not traded.
    """

    def __init__(
        self,
        tables: Mapping[str, SignalTable],
        step: int,
        limits: GuardSettings,
        reference: Callable[[], Candles | None],
    ) -> None:
        self.closes = LastCloses(tables, step)
        self._limits = limits
        self._reference = reference
        self._known: tuple[object, ReferenceMarket | None] | None = None

    def flags(self, at: datetime, errors: int = 0) -> MarketFlags:
        """Return what is wrong with the reference market; nothing without one."""
        reference = self._reference_market()
        if reference is None:
            return MarketFlags(errors=errors) if errors else QUIET
        return reference.flags(int(at.timestamp() * 1000), errors)

    def _reference_market(self) -> ReferenceMarket | None:
        """Return the reference coin's market: as traded, else as every pair's context has it."""
        limits, tables = self._limits.system, self.closes.tables
        base = f"{limits.reference}/"
        traded = next((table for pair, table in tables.items() if pair.startswith(base)), None)
        seen = self._reference() if traded is None else traded
        if self._known is not None and self._known[0] is seen:
            return self._known[1]
        market = None
        if traded is not None:
            prices, atr = prices_of(traded), traded.columns["atr"]
            market = ReferenceMarket(traded.time, prices, atr, self.closes.step, limits)
        elif isinstance(seen, Candles):
            market = reference_candles(seen, limits)
        self._known = seen, market
        return market

    def pair_flags(self, pair: str, at: datetime, quoted: float | None = None) -> MarketFlags:
        """Return what is wrong with the data of a pair to be entered, quoted at a price."""
        found = self.closes.row(pair, at)
        if found is None:
            return MarketFlags(stale=True)
        table, row = found
        s, columns = self._limits.system, table.columns
        high, low, close = (p[row : row + 1] for p in prices_of(table))
        latest = columns["volume"][: row + 1][-s.untraded_window :] if "volume" in columns else ()
        jump = 0.0 if quoted is None else abs(quoted - close[0])
        return MarketFlags(
            stale=self.closes.age(pair, at) >= s.max_age,
            crossed=bool(crossed_candles(high, low, close)[0]),
            missing=int(np.count_nonzero(np.asarray(latest) <= 0)) > s.max_untraded,
            spike=bool(jump > s.max_jump * columns["atr"][row]),
        )

    def correlation(
        self, pair: str, direction: int, at: datetime, peers: Iterable[OpenPosition]
    ) -> float | None:
        """Return the mean correlation with open trades, signed by direction; None if unknown."""
        limits, own = self._limits.position, self.closes.row(pair, at)
        peers = tuple(peers)
        if own is None or not peers or not limits.enabled or limits.max_correlation >= 1:
            return None
        window = limits.correlation_window
        returns, measured = recent_returns(own[0].columns["close"], own[1], window), []
        for peer in peers:
            found = self.closes.row(peer.pair, at)
            if found is not None:
                theirs = recent_returns(found[0].columns["close"], found[1], window)
                rho = correlation(returns, theirs, window, LEAST_RETURNS)
                measured.append((rho, peer.direction))
        return signed_correlation(measured, direction)

    def returns(
        self, pair: str, at: datetime, peers: Iterable[OpenPosition], count: int
    ) -> dict[str, Floats]:
        """Return the recent log returns of a pair and of every open trade's pair, by pair.

        All end with the last candle that had closed ``at``; pairs without it are left out.
        """
        known = {}
        for name in {pair, *(peer.pair for peer in peers)}:
            if self.closes.age(name, at) == 0:
                found = self.closes.row(name, at)
                assert found is not None
                known[name] = recent_returns(found[0].columns["close"], found[1], count)
        return known
