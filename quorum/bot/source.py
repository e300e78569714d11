"""FrameSource: a pair's market from whatever serves freqtrade's candles.

One reader for the bot, backtests and the command line; they differ only in the function that
fetches a frame and in what that function can have.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from quorum.answers import Answers
from quorum.candles import Candles, cleaned_candles, timeframe_ms
from quorum.market import Frames, Market, MarketSettings, build_market
from quorum.records import RECORD_KINDS, RecordKind, RecordLoader
from quorum.state import Store

logger = logging.getLogger(__name__)

#: Informative timeframes; those not longer than the base timeframe are not read.
HIGHER = ("4h", "1d")


class Series(NamedTuple):
    """One candle series as freqtrade names it: pair, timeframe, candle type."""

    pair: str
    timeframe: str
    candle_type: str


Fetch = Callable[[Series], pd.DataFrame]


def sibling(pair: str, base: str) -> str:
    """Return the same market of another base currency, ``BTC`` for ``ETH/USDT:USDT``."""
    return f"{base}/{pair.split('/', 1)[1]}"


def spot_of(pair: str) -> str:
    """Return the spot pair of a futures pair."""
    return pair.split(":", maxsplit=1)[0]


class FrameSource:
    """Collects everything known of a pair into a :class:`~quorum.market.Market`.

    Parameters
    ----------
    fetch : callable
        Returns the frame of a series, empty where there is none.
    has : callable
        Whether a series can be had at all; those that cannot are not asked for.
    timeframe : str
        Base timeframe.
    futures : bool
        Whether pairs are perpetual contracts.
    funding_timeframe : str
        Timeframe under which the host files funding rates.
    settings : MarketSettings
    root : Path
        Folder that relative record paths are relative to.
    store : Store, optional
        For records in the state store.
    kinds : sequence of RecordKind
    answers : callable, optional
        Returns what advisors said of a pair.

    Raises
    ------
    DataError
        If records named in the settings cannot be used.
    """

    def __init__(
        self,
        fetch: Fetch,
        has: Callable[[Series], bool],
        *,
        timeframe: str,
        futures: bool,
        funding_timeframe: str,
        settings: MarketSettings,
        root: Path,
        store: Store | None = None,
        kinds: Sequence[RecordKind] = RECORD_KINDS,
        answers: Callable[[str], Answers] | None = None,
    ) -> None:
        self._fetch = fetch
        self._has = has
        self.timeframe = timeframe
        self.futures = futures
        self.funding_timeframe = funding_timeframe
        self.settings = settings
        self._records = RecordLoader(settings.records, root, store=store, kinds=kinds)
        self._answers = answers
        self._shared: dict[Series, tuple[tuple[int, object], Candles]] = {}

    @property
    def candle_type(self) -> str:
        """Candle type of the traded pairs."""
        return "futures" if self.futures else "spot"

    def higher_timeframes(self) -> tuple[str, ...]:
        """Informative timeframes longer than the base timeframe."""
        base = timeframe_ms(self.timeframe)
        return tuple(tf for tf in HIGHER if timeframe_ms(tf) > base)

    def series(self, pair: str) -> dict[str, Series]:
        """Return every optional series a pair's market reads, by role."""
        wanted = {
            f"higher {tf}": Series(pair, tf, self.candle_type) for tf in self.higher_timeframes()
        }
        if self.futures:
            wanted["funding_rate"] = Series(pair, self.funding_timeframe, "funding_rate")
            for role, kind in (
                ("mark", "mark"),
                ("index", "index"),
                ("open_interest", "open_interest"),
                ("premium_index", "premiumIndex"),
            ):
                wanted[role] = Series(pair, "1h", kind)
            if self.settings.spot:
                wanted["spot"] = Series(spot_of(pair), self.timeframe, "spot")
        for base in self.settings.context:
            wanted[f"context {base}"] = Series(
                sibling(pair, base), self.timeframe, self.candle_type
            )
        for base in self.settings.universe:
            wanted[f"universe {base}"] = Series(sibling(pair, base), "1d", self.candle_type)
        return {role: series for role, series in wanted.items() if self._has(series)}

    def all_series(self, pairs: Iterable[str]) -> list[Series]:
        """Return the series of several pairs, each once."""
        return list(dict.fromkeys(s for pair in pairs for s in self.series(pair).values()))

    def market(self, pair: str, base: pd.DataFrame) -> Market:
        """Build the market of ``pair``; its rows are the rows of ``base``.

        Raises
        ------
        DataError
            If the base candles cannot be used.
        """
        series = self.series(pair)

        def frame(role: str) -> pd.DataFrame | None:
            return self._fetch(series[role]) if role in series else None

        def shared(prefix: str) -> dict[str, Candles]:
            found = {
                role.removeprefix(prefix): self._candles(s)
                for role, s in series.items()
                if role.startswith(prefix)
            }
            return {name: candles for name, candles in found.items() if candles is not None}

        frames = Frames(
            base=base,
            higher={
                tf: self._fetch(series[f"higher {tf}"])
                for tf in self.higher_timeframes()
                if f"higher {tf}" in series
            },
            funding_rate=frame("funding_rate"),
            mark=frame("mark"),
            index=frame("index"),
            open_interest=frame("open_interest"),
            premium_index=frame("premium_index"),
            spot=frame("spot"),
            context=shared("context "),
            universe=shared("universe "),
        )
        market = self._records.join(build_market(pair, self.timeframe, frames, self.settings))
        return market if self._answers is None else replace(market, answers=self._answers(pair))

    def _candles(self, series: Series) -> Candles | None:
        """Return cleaned candles that several pairs share; cleaned once per new candle."""
        frame = self._fetch(series)
        if frame.empty:
            return None
        version = (len(frame), frame["date"].iloc[-1])
        cached = self._shared.get(series)
        if cached is None or cached[0] != version:
            name = f"{series.pair} {series.timeframe}"
            candles = cleaned_candles(frame, series.timeframe, name=name)
            cached = self._shared[series] = (version, candles)
        return cached[1]
