"""Where a local exchange takes its market data from."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from quorum.replay.datadir import DataDirectory, TradingMode
from quorum.replay.symbols import (
    SymbolRules,
    SymbolSettings,
    Ticker,
    last_day,
    symbol_rules,
)


class MarketSource(Protocol):
    """Market data behind the exchange's interface; endpoints ask it and nothing else."""

    @property
    def file_format(self) -> str:
        """Format of the candle files, as ``dataformat_ohlcv`` names it."""
        ...

    def now(self) -> int:
        """Return the exchange's clock, milliseconds since the epoch."""
        ...

    def symbols(self, mode: TradingMode) -> tuple[SymbolRules, ...]:
        """Return the rules of every symbol of the trading mode."""
        ...

    def tickers(self, mode: TradingMode) -> tuple[Ticker, ...]:
        """Return the last 24 hours of every symbol of the trading mode."""
        ...


class RecordedSource:
    """Candles of a data directory, recorded or synthetic.

    Its clock stands at the end of the data.
    """

    def __init__(self, directory: Path, settings: SymbolSettings | None = None) -> None:
        self.directory = DataDirectory(directory)
        self.settings = settings or SymbolSettings()
        self._symbols: dict[TradingMode, tuple[SymbolRules, ...]] = {}
        self._tickers: dict[TradingMode, tuple[Ticker, ...]] = {}

    @property
    def file_format(self) -> str:
        """Format of the candle files, as ``dataformat_ohlcv`` names it."""
        return self.directory.file_format

    def now(self) -> int:
        """Return the time of the last row of any series, milliseconds since the epoch."""
        ends = [s.span[1] for s in self.directory.series if s.span is not None]
        return int(max(ends).timestamp() * 1000) if ends else 0

    def symbols(self, mode: TradingMode) -> tuple[SymbolRules, ...]:
        """Return the rules of every pair with candles, read once."""
        if mode not in self._symbols:
            self._symbols[mode] = tuple(
                symbol_rules(self.directory, pair, mode, self.settings)
                for pair in self.directory.pairs(mode)
            )
        return self._symbols[mode]

    def tickers(self, mode: TradingMode) -> tuple[Ticker, ...]:
        """Return the last 24 hours on record of every pair, read once."""
        if mode not in self._tickers:
            self._tickers[mode] = tuple(
                last_day(self.directory, rules, mode) for rules in self.symbols(mode)
            )
        return self._tickers[mode]
