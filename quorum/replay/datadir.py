"""What a freqtrade data directory holds: pairs, timeframes, candle types and spans."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from quorum.candles import epoch_ms
from quorum.errors import DataError
from quorum.replay.candle_files import FORMATS, read_candle_file

TradingMode = Literal["spot", "futures"]

#: freqtrade's file names: ``BTC_USDT-1h``, ``BTC_USDT_USDT-1h-futures``.
_NAME = re.compile(
    r"^([A-Za-z0-9]+)_([A-Za-z0-9]+)(?:_([A-Za-z0-9]+))?-(\d+[a-zA-Z]{1,2})(?:-(\w+))?$"
)
#: The timeframe of the series a futures backtest takes funding fees from.
FUNDING_TIMEFRAME = "1h"


@dataclass(frozen=True)
class Series:
    """One file of a data directory.

    Attributes
    ----------
    pair : str
        For example ``"BTC/USDT:USDT"``.
    timeframe : str
    candle_type : str
        ``spot``, ``futures``, ``mark``, ``funding_rate``, ``open_interest`` ...
    path : Path
    """

    pair: str
    timeframe: str
    candle_type: str
    path: Path

    @cached_property
    def span(self) -> tuple[pd.Timestamp, pd.Timestamp] | None:
        """First and last date, None for an empty file."""
        dates = epoch_ms(self.read(("date",))["date"])
        if len(dates) == 0:
            return None
        first, last = int(dates.min()), int(dates.max())
        return pd.Timestamp(first, unit="ms", tz="UTC"), pd.Timestamp(last, unit="ms", tz="UTC")

    def read(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read the file, or some of its columns.

        Raises
        ------
        DataError
            If it cannot be read or a column is missing.
        """
        return read_candle_file(self.path, columns)


@dataclass(frozen=True)
class Selection:
    """Pairs that can be traded on the data, and why the others cannot.

    Attributes
    ----------
    pairs : tuple of str
        Largest turnover first.
    rejected : dict of str
        Pair to reason.
    """

    pairs: tuple[str, ...]
    rejected: dict[str, str] = field(default_factory=dict)


class DataDirectory:
    """A freqtrade data directory, in any of the host's formats.

    Parameters
    ----------
    path : Path
        For example ``user_data/data/binance``: spot files lie in it, the rest in ``futures/``.

    Attributes
    ----------
    path : Path
    file_format : str
        As ``dataformat_ohlcv`` names it; where files of several lie there, the best one.
    series : tuple of Series

    Raises
    ------
    DataError
        If it does not exist or holds no candle file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_dir():
            raise DataError(f"{path}: there is no such data directory")
        found = {name: tuple(_scan(path, suffix)) for name, suffix in FORMATS.items()}
        self.file_format = next((name for name, series in found.items() if series), "")
        if not self.file_format:
            suffixes = ", ".join(f"*{suffix}" for suffix in FORMATS.values())
            raise DataError(f"{path}: no candle files in freqtrade's layout ({suffixes}) in it")
        self.series: tuple[Series, ...] = found[self.file_format]
        self._by_key = {(s.pair, s.timeframe, s.candle_type): s for s in self.series}

    def find(self, pair: str, timeframe: str, candle_type: str) -> Series | None:
        """Return one series, None if there is no file."""
        return self._by_key.get((pair, timeframe, candle_type))

    def pairs(self, mode: TradingMode) -> tuple[str, ...]:
        """Return the pairs with candles to trade on, in alphabetical order."""
        return tuple(sorted({s.pair for s in self.series if s.candle_type == mode}))

    def timeframes(self, pair: str, candle_type: str) -> tuple[str, ...]:
        """Return the timeframes of a pair, shortest first."""
        found = [
            s.timeframe for s in self.series if s.pair == pair and s.candle_type == candle_type
        ]
        return tuple(sorted(found, key=_length))

    def select(
        self,
        mode: TradingMode = "futures",
        timeframe: str = "1h",
        informative: Sequence[str] = ("4h", "1d"),
        *,
        start: pd.Timestamp | None = None,
        end: pd.Timestamp | None = None,
        coverage: float = 0.95,
        limit: int | None = None,
    ) -> Selection:
        """Choose the pairs a strategy can be tested on.

        A pair needs candles of the timeframe and of the informative ones; futures also need
        mark prices and funding rates (without them the host charges no funding fee at all) and
        leverage tiers. With ``start`` and ``end`` each of these must cover the span.

        Parameters
        ----------
        mode : {"spot", "futures"}, default="futures"
        timeframe : str, default="1h"
        informative : sequence of str, default=("4h", "1d")
        start, end : Timestamp, optional
            The span to be tested, UTC; each may be left open.
        coverage : float, default=0.95
            Share of the span every series must cover.
        limit : int, optional
            Keep only so many pairs, those with the largest turnover.

        Returns
        -------
        Selection
        """
        rejected: dict[str, str] = {}
        turnover: dict[str, float] = {}
        for pair in self.pairs(mode):
            reason = self._unfit(pair, mode, timeframe, informative, (start, end), coverage)
            if reason:
                rejected[pair] = reason
            else:
                turnover[pair] = self._turnover(pair, mode, start, end)
        ranked = sorted(turnover, key=lambda pair: -turnover[pair])
        for pair in ranked[limit:] if limit is not None else ():
            rejected[pair] = f"not among the {limit} with the largest turnover"
        return Selection(tuple(ranked[:limit]), rejected)

    def _unfit(
        self,
        pair: str,
        mode: TradingMode,
        timeframe: str,
        informative: Sequence[str],
        span: tuple[pd.Timestamp | None, pd.Timestamp | None],
        coverage: float,
    ) -> str | None:
        """Return why a pair cannot be tested, None if it can."""
        needed: list[tuple[str, str]] = [
            (tf, mode) for tf in dict.fromkeys((timeframe, *informative))
        ]
        if mode == "futures":
            if pair not in leverage_pairs():
                return "the host knows no leverage tiers for it"
            needed += [(FUNDING_TIMEFRAME, "mark"), (FUNDING_TIMEFRAME, "funding_rate")]
        missing = [f"{tf} {kind}" for tf, kind in needed if self.find(pair, tf, kind) is None]
        if missing:
            return f"no {', '.join(missing)} file"
        for tf, kind in needed:
            series = self._by_key[pair, tf, kind]
            if series.span is None:
                return f"{tf} {kind} file is empty"
            if _covered(series.span, _length(tf), span) < coverage:
                first, last = (f"{date:%Y-%m-%d}" for date in series.span)
                return f"{tf} {kind} only from {first} to {last}"
        return None

    def _turnover(
        self,
        pair: str,
        mode: TradingMode,
        start: pd.Timestamp | None,
        end: pd.Timestamp | None,
    ) -> float:
        """Return the mean traded value of a day, of the longest timeframe's candles."""
        series = self._by_key[pair, self.timeframes(pair, mode)[-1], mode]
        frame = series.read(("date", "close", "volume"))
        inside = np.ones(len(frame), dtype=np.bool_)
        if start is not None:
            inside &= (frame["date"] >= start).to_numpy()
        if end is not None:
            inside &= (frame["date"] < end).to_numpy()
        value = frame["close"].to_numpy() * frame["volume"].to_numpy()
        days = inside.sum() * _length(series.timeframe) / _length("1d")
        return float(np.nansum(value[inside]) / days) if days else 0.0


def _scan(path: Path, suffix: str) -> Iterable[Series]:
    """Yield the series of one format in a data directory, in the order of their names."""
    for folder, futures in ((path, False), (path / "futures", True)):
        for file in sorted(folder.glob(f"*{suffix}")):
            match = _NAME.match(file.name.removesuffix(suffix))
            if match is None:
                continue
            base, quote, settle, timeframe, kind = match.groups()
            if futures != (kind is not None) or futures != (settle is not None):
                continue
            pair = f"{base}/{quote}:{settle}" if futures else f"{base}/{quote}"
            yield Series(pair, timeframe, kind or "spot", file)


def _length(timeframe: str) -> int:
    """Return a timeframe's length in minutes, also of those Quorum does not trade on."""
    unit = {"m": 1, "h": 60, "d": 1440, "w": 10080, "M": 43200, "Mo": 43200}
    return int(re.sub(r"\D", "", timeframe)) * unit.get(re.sub(r"\d", "", timeframe), 1)


def _covered(
    span: tuple[pd.Timestamp, pd.Timestamp],
    minutes: int,
    wanted: tuple[pd.Timestamp | None, pd.Timestamp | None],
) -> float:
    """Return the share of the wanted span that a series covers."""
    # The last row of funding stands for the hours until the next settlement.
    last = span[1] + pd.Timedelta(minutes=max(minutes, 480))
    first = span[0]
    start, end = wanted[0] or first, wanted[1] or last
    length = (end - start).total_seconds()
    return 1.0 if length <= 0 else (min(last, end) - max(first, start)).total_seconds() / length


@cache
def leverage_pairs() -> frozenset[str]:
    """Return the futures pairs the host bundles leverage tiers for.

    A dry run and a backtest read them from the installed package, never from the exchange, and
    refuse a pair that is not in it.
    """
    package = importlib.util.find_spec("freqtrade")
    if package is None or not package.submodule_search_locations:
        raise DataError("freqtrade is not installed")
    path = Path(package.submodule_search_locations[0]) / "exchange/binance_leverage_tiers.json"
    try:
        return frozenset(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
