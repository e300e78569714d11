"""Trades, liquidations and books of the local exchange: made up on the path of its prices.

Candles do not tell the trades there were. These add up to about the candle's volume, buyers take
more of it while the price rises, and positions are liquidated after fast moves: a plausible flow,
the same for everyone who asks, whenever and however often.
"""

from __future__ import annotations

import math
import zlib
from typing import Any, NamedTuple

from quorum.replay.live.market import Listing
from quorum.replay.live.orders import plain

#: One trade so often.
TRADE_MS = 10_000
#: Share of trades on the side of the price's last step.
WITH_THE_MOVE = 0.75
#: Move over :data:`FAST_MS` after which positions are liquidated, share of the price.
FAST_MOVE = 0.004
FAST_MS = 600_000


class FlowTrade(NamedTuple):
    """One made-up trade."""

    number: int
    time: int
    price: float
    amount: float
    taker_sells: bool


def chance(symbol: str, number: int, salt: str) -> float:
    """Return a number in (0, 1) that depends on nothing else."""
    return (zlib.crc32(f"{symbol} {number} {salt}".encode()) + 0.5) / 2**32


def trade_at(listing: Listing, number: int) -> FlowTrade:
    """Return the trade of a number; numbers count up without a hole."""
    symbol, step, at = listing.rules.symbol, listing.rules.step_size, number * TRADE_MS
    price = listing.price(at)
    move = price - listing.price(at - TRADE_MS)
    sells = move < 0 if move else chance(symbol, number, "even") < 0.5
    if chance(symbol, number, "side") > WITH_THE_MOVE:
        sells = not sells
    bar = listing.trades.bar_at(at)
    mean = 0.0 if bar is None else bar.volume * TRADE_MS / bar.length
    amount = -math.log(chance(symbol, number, "size")) * mean
    return FlowTrade(number, at, price, max(step, round(amount / step) * step), sells)


def aggregate_trade(trade: FlowTrade) -> dict[str, Any]:
    """Describe a trade as Binance's ``aggTrades`` does."""
    return {
        "a": trade.number,
        "p": plain(trade.price),
        "q": plain(round(trade.amount, 12)),
        "f": trade.number,
        "l": trade.number,
        "T": trade.time,
        "m": trade.taker_sells,
        "M": True,
    }


def liquidation_at(listing: Listing, number: int) -> dict[str, Any] | None:
    """Return the liquidation beside a trade as Binance's ``forceOrder`` tells it, if there is one.

    After a fast fall longs are sold, after a fast rise shorts are bought back.
    """
    trade = trade_at(listing, number)
    move = trade.price / listing.price(trade.time - FAST_MS) - 1.0
    if abs(move) < FAST_MOVE or chance(listing.rules.symbol, number, "liquidation") > 0.5:
        return None
    price, amount = plain(trade.price), plain(round(trade.amount, 12))
    return {
        "s": listing.rules.symbol,
        "S": "SELL" if move < 0 else "BUY",
        "o": "LIMIT",
        "f": "IOC",
        "q": amount,
        "p": price,
        "ap": price,
        "X": "FILLED",
        "l": amount,
        "z": amount,
        "T": trade.time,
    }
