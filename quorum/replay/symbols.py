"""Trading rules of a symbol (tick, step, limits), derived from its candles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from quorum.candles import DAY_MS, clean, epoch_ms, timeframe_ms
from quorum.errors import DataError
from quorum.replay.datadir import DataDirectory, TradingMode
from quorum.section import Section
from quorum.typing import Floats, Ints

#: No exchange quotes finer than this.
MAX_DECIMALS = 10
#: Above this a float64 does not hold every whole number.
EXACT = 2.0**53


#: Smallest order of Binance in quote currencies other than a dollar, whose is 5.
SMALLEST_ORDERS = {"BTC": 0.0001, "ETH": 0.001, "BNB": 0.01, "TRY": 10.0, "BRL": 10.0, "JPY": 100.0}
SMALLEST_DOLLARS = 5.0


class SymbolSettings(Section):
    """Trading rules that candles cannot tell."""

    futures_maker: float = Field(0.0002, ge=-0.01, le=0.1, description="futures maker fee")
    futures_taker: float = Field(0.0005, ge=-0.01, le=0.1, description="futures taker fee")
    spot_maker: float = Field(0.001, ge=-0.01, le=0.1, description="spot maker fee")
    spot_taker: float = Field(0.001, ge=-0.01, le=0.1, description="spot taker fee")
    min_notional: float | None = Field(
        None,
        ge=0,
        le=1e6,
        description="smallest order, by default as Binance asks for in each currency [quote]",
    )
    recent: int = Field(
        2000, ge=10, le=100_000, description="candles that tick and step are read from [candles]"
    )

    def fees(self, mode: TradingMode) -> tuple[float, float]:
        """Return maker and taker fee."""
        if mode == "spot":
            return self.spot_maker, self.spot_taker
        return self.futures_maker, self.futures_taker

    def smallest_order(self, quote: str) -> float:
        """Return the smallest order in a quote currency."""
        if self.min_notional is not None:
            return self.min_notional
        return SMALLEST_ORDERS.get(quote, SMALLEST_DOLLARS)


@dataclass(frozen=True)
class SymbolRules:
    """What an exchange says about one symbol.

    Attributes
    ----------
    pair : str
        For example ``"BTC/USDT:USDT"``.
    base, quote : str
    tick_size, step_size : float
        Smallest increments of price and amount.
    min_notional : float
        Smallest order, in the quote currency.
    listed : int
        Time of the first candle, milliseconds since the epoch.
    """

    pair: str
    base: str
    quote: str
    tick_size: float
    step_size: float
    min_notional: float
    listed: int

    @property
    def symbol(self) -> str:
        """The exchange's own name, for example ``"BTCUSDT"``."""
        return f"{self.base}{self.quote}"


@dataclass(frozen=True)
class Ticker:
    """The last 24 hours of a symbol; prices in the quote currency, volume in the base currency.

    ``opened`` and ``closed`` are milliseconds since the epoch.
    """

    rules: SymbolRules
    open: float
    high: float
    low: float
    last: float
    volume: float
    quote_volume: float
    opened: int
    closed: int


def increment(values: Floats) -> float:
    """Return the largest increment all values are multiples of.

    Values that lie on no grid of at most ``MAX_DECIMALS`` decimals get the finest one.

    Parameters
    ----------
    values : ndarray
        Positive and finite.
    """
    for decimals in range(MAX_DECIMALS + 1):
        scaled = values * 10.0**decimals
        if scaled.max() >= EXACT:
            break
        whole = np.round(scaled)
        # Decimal numbers are not exact in binary, sums of them even less.
        if np.all(np.abs(scaled - whole) <= np.minimum(1e-9 * scaled, 1e-3)):
            units: Ints = np.unique(whole.astype(np.int64))
            return float(np.gcd.reduce(units)) / 10.0**decimals
    return 10.0**-MAX_DECIMALS


def symbol_rules(
    directory: DataDirectory, pair: str, mode: TradingMode, settings: SymbolSettings
) -> SymbolRules:
    """Derive a symbol's rules from its shortest candles.

    Raises
    ------
    DataError
        If the file cannot be read or no candle has a usable price.
    """
    timeframes = directory.timeframes(pair, mode)
    series = directory.find(pair, timeframes[0], mode) if timeframes else None
    if series is None:
        raise DataError(f"{directory.path}: no {mode} candles of {pair}")
    columns = ("open", "high", "low", "close", "volume")
    frame = series.read(("date", *columns)).tail(settings.recent)
    table = frame[list(columns)].to_numpy(dtype=np.float64)
    usable = np.isfinite(table).all(axis=1) & (table[:, :4] > 0).all(axis=1)
    if not usable.any() or series.span is None:
        raise DataError(f"{series.path}: no row has usable prices")
    volume = table[usable, 4]
    traded = volume[volume > 0]
    base, quote = pair.split(":")[0].split("/")
    return SymbolRules(
        pair=pair,
        base=base,
        quote=quote,
        tick_size=increment(table[usable, :4].ravel()),
        # Volumes are sums of many orders, so their grid is the orders' - if there are enough.
        step_size=increment(traded) if len(traded) >= len(usable) / 2 else 10.0**-MAX_DECIMALS,
        min_notional=settings.smallest_order(quote),
        listed=int(series.span[0].timestamp() * 1000),
    )


def last_day(directory: DataDirectory, rules: SymbolRules, mode: TradingMode) -> Ticker:
    """Return the last 24 hours of a symbol's candles."""
    timeframe = directory.timeframes(rules.pair, mode)[0]
    series = directory.find(rules.pair, timeframe, mode)
    if series is None:
        raise DataError(f"{directory.path}: no {mode} candles of {rules.pair}")
    frame = clean(series.read(), timeframe, fill=False)
    closed = epoch_ms(frame["date"]) + timeframe_ms(timeframe)
    last = frame[closed > closed[-1] - DAY_MS]
    volume = last["volume"].to_numpy(dtype=np.float64)
    return Ticker(
        rules=rules,
        open=float(last["open"].iloc[0]),
        high=float(last["high"].max()),
        low=float(last["low"].min()),
        last=float(last["close"].iloc[-1]),
        volume=float(volume.sum()),
        quote_volume=float(volume @ last["close"].to_numpy(dtype=np.float64)),
        opened=int(closed[-1]) - DAY_MS,
        closed=int(closed[-1]),
    )
